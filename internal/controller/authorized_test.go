package controller_test

import (
	"slices"
	"testing"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

func TestTheControlPlaneAdmitsTheAuthorizedRangesAndTheClusterItself(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	plane := func() *containerservicev1.ControlPlane {
		t.Helper()
		var list containerservicev1.ControlPlaneList
		if err := w.api.List(t.Context(), &list); err != nil || len(list.Items) != 1 {
			t.Fatalf("control planes: %v, %v", list.Items, err)
		}
		return &list.Items[0]
	}
	authorize := func(id string, ranges ...string) {
		cluster := w.cluster("demo")
		cluster.Spec.AuthorizedIPRanges = ranges
		cluster.Spec.Operations = append(cluster.Spec.Operations, w.running(meta.ScopeCluster, id, meta.VerbUpdate, cluster.Generation+1))
		must(t, w.api.Update(t.Context(), cluster))
		w.live()
		w.ended(id, meta.OperationSucceeded)
	}
	if got := plane().Spec.AuthorizedIPRanges; len(got) > 0 {
		t.Errorf("a cluster that is open to all admits only %v", got)
	}
	authorize("close", "203.0.113.0/24")
	want := []string{"203.0.113.0/24", w.cluster("demo").Status.OutboundAddress + "/32"}
	if got := plane().Spec.AuthorizedIPRanges; !slices.Equal(got, want) {
		t.Errorf("it admits %v, want %v", got, want)
	}
	authorize("open")
	if got := plane().Spec.AuthorizedIPRanges; len(got) > 0 {
		t.Errorf("it is open again, but admits only %v", got)
	}
}
