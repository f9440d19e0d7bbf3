package beside

import (
	"errors"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
)

func TestWhatWasMadeBesideAClusterThatGoesIsTakenBack(t *testing.T) {
	cluster := &v1alpha1.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: "one", UID: "a"}}
	deleting, other := cluster.DeepCopy(), cluster.DeepCopy()
	now := metav1.Now()
	deleting.DeletionTimestamp, other.UID = &now, "b"
	gone := arm.ResourceNotFound(arm.ResourceID{SubscriptionID: "s", ResourceGroup: "g", Provider: "p", Types: []string{"t"}, Names: []string{"one"}})
	unasked := errors.New("nobody answers")
	for name, c := range map[string]struct {
		now   *v1alpha1.ManagedCluster
		err   error
		want  error
		stays bool
	}{
		"one that stays":            {now: cluster, stays: true},
		"one that is being deleted": {now: deleting, want: ErrDeleting},
		"one that was made anew":    {now: other, want: ErrDeleting},
		"one that is gone":          {err: gone, want: gone},
		"one that cannot be found":  {err: unasked, stays: true},
	} {
		t.Run(name, func(t *testing.T) {
			scheme := runtime.NewScheme()
			if err := v1alpha1.AddToScheme(scheme); err != nil {
				t.Fatal(err)
			}
			made := &v1alpha1.BackupSchedule{ObjectMeta: metav1.ObjectMeta{Name: "nightly"}}
			store := fake.NewClientBuilder().WithScheme(scheme).WithObjects(made).Build()
			err := Withdraw(t.Context(), store, made, cluster, func() (*v1alpha1.ManagedCluster, error) { return c.now, c.err })
			if !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			left := store.Get(t.Context(), client.ObjectKeyFromObject(made), made) == nil
			if left != c.stays {
				t.Errorf("it stays: %t, want %t", left, c.stays)
			}
		})
	}
}
