package fleet_test

import (
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/fleet"
)

func TestTheMachinesOfOneClusterAreFoundAndNobodyElses(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	of := func(name, cluster string) client.Object {
		machine := &v1alpha1.Machine{}
		machine.Name, machine.Spec.ClusterName = name, cluster
		return machine
	}
	cache := fake.NewClientBuilder().WithScheme(scheme).WithIndex(&v1alpha1.Machine{}, fleet.ClusterField, fleet.ClusterOf).
		WithObjects(of("a", "one"), of("b", "other"), of("c", "one")).Build()
	for cluster, want := range map[string][]string{"one": {"a", "c"}, "other": {"b"}, "gone": nil} {
		found, err := fleet.Of(t.Context(), cache, cluster)
		if err != nil || len(found) != len(want) {
			t.Errorf("of %s: %d machines, %v; want %q", cluster, len(found), err, want)
			continue
		}
		for i, machine := range found {
			if machine.Name != want[i] {
				t.Errorf("of %s: %s, want %s", cluster, machine.Name, want[i])
			}
		}
	}
}
