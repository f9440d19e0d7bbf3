package history

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

func TestASharedHistoryIsTheSameForAllAndForgetsWhatIsOld(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "berth-system", Name: "not-a-record"}}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(other).Build()
	one, two := NewShared(c), NewShared(c)
	now := time.Now()
	for id, age := range map[string]time.Duration{"old": 2 * time.Hour, "new": time.Minute} {
		record := Record{ID: id, Status: meta.OperationFailed, EndTime: now.Add(-age), Failure: &meta.Failure{Code: "C", Message: "M"}}
		if err := one.Put(record); err != nil {
			t.Fatal(err)
		}
	}
	if err := two.Put(Record{ID: "new", Status: meta.OperationSucceeded, EndTime: now}); err != nil {
		t.Fatal(err)
	}
	got, found, err := two.Get("NEW")
	if err != nil || !found || got.Status != meta.OperationFailed || got.Failure.Code != "C" {
		t.Errorf("Get() = %+v, %v, %v; want the first record", got, found, err)
	}
	if pruned, err := two.Prune(now.Add(-time.Hour)); err != nil || pruned != 1 {
		t.Errorf("Prune() = %d, %v", pruned, err)
	}
	if _, found, err := one.Get("old"); found || err != nil {
		t.Errorf("an old record is found: %v", err)
	}
	if _, found, _ := one.Get("new"); !found {
		t.Error("a record within the retention was dropped")
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(other), other); err != nil {
		t.Errorf("what is no record was dropped: %v", err)
	}
}
