package controller_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1 "berth.dev/berth/api/host/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
)

// versions sums up how often every object of the management API was written, by
// whomever: the version of an object counts its writes.
func (w *world) versions() map[string]int {
	w.t.Helper()
	sums := map[string]int{}
	for _, list := range []client.ObjectList{
		&containerservicev1.ManagedClusterList{}, &containerservicev1.AgentPoolList{}, &containerservicev1.MachineList{},
		&containerservicev1.ControlPlaneList{}, &networkv1.VirtualNetworkList{}, &networkv1.LoadBalancerList{},
		&networkv1.PublicIPAddressList{}, &hostv1.IDRangeList{}, &corev1.SecretList{},
	} {
		must(w.t, w.api.List(context.Background(), list))
		must(w.t, apimeta.EachListItem(list, func(o runtime.Object) error {
			version, err := strconv.Atoi(o.(client.Object).GetResourceVersion())
			sums[fmt.Sprintf("%T", o)] += version
			return err
		}))
	}
	return sums
}

// TestManyMachinesAtOnceCostFewWritesEach lets a pool of each cluster grow to ten
// machines at once; the soak does so with ten clusters. Hosts and kubelets answer
// between any two controllers, so that what is in between is seen.
func TestManyMachinesAtOnceCostFewWritesEach(t *testing.T) {
	const nodes, most = 10, 8
	clusters := 2
	if os.Getenv("BERTH_EVERY_PHASE") != "" {
		clusters = 10
	}
	w := newWorld(t)
	for i := range clusters {
		w.put(fmt.Sprintf("c%d", i), 0)
	}
	w.live()
	before := w.versions()
	for i := range clusters {
		name := fmt.Sprintf("c%d", i)
		w.scale(name, "grow-"+name, nodes)
	}
	for changed := true; changed; {
		changed = false
		for _, l := range w.loops {
			written := w.writes
			must(t, w.pass(l))
			agent, kubelets := w.agent(), w.kubelets()
			changed = changed || w.writes != written || agent || kubelets
		}
	}
	for i := range clusters {
		w.ended(fmt.Sprintf("grow-c%d", i), meta.OperationSucceeded)
	}
	if got := len(w.machines()); got != clusters*nodes {
		t.Fatalf("%d machines are there", got)
	}
	total, each := 0, map[string]string{}
	for kind, sum := range w.versions() {
		total += sum - before[kind]
		each[kind] = fmt.Sprintf("%.2f", float64(sum-before[kind])/float64(clusters*nodes))
	}
	t.Logf("writes a machine: %.2f: %v", float64(total)/float64(clusters*nodes), each)
	if total > most*clusters*nodes {
		t.Errorf("%d writes for %d machines, at most %d for each", total, clusters*nodes, most)
	}
}
