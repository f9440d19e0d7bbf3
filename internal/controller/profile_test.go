package controller_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// change changes the first pool of the cluster demo, as the front end does.
func (w *world) change(id string, change func(pool *containerservicev1.AgentPoolProfile)) {
	w.t.Helper()
	cluster := w.cluster("demo")
	change(&cluster.Spec.AgentPools[0])
	cluster.Spec.Operations = append(cluster.Spec.Operations, w.running("nodepool1", id, meta.VerbUpdate, cluster.Generation+1))
	must(w.t, w.api.Update(context.Background(), cluster))
}

func TestLabelsTaintsAndModeReachTheNodesThatAreThere(t *testing.T) {
	w := demo(t, 2)
	before := w.machines()
	w.change("set", func(pool *containerservicev1.AgentPoolProfile) {
		pool.NodeLabels, pool.NodeTaints = map[string]string{"tier": "gold"}, []string{"gold=only:NoSchedule"}
	})
	w.live()
	w.ended("set", meta.OperationSucceeded)
	for index := range int32(2) {
		node := w.nodeAt(index)
		if node.Labels["tier"] != "gold" || len(node.Spec.Taints) != 1 || node.Spec.Taints[0].Key != "gold" {
			t.Errorf("node %d has labels %v and taints %v", index, node.Labels, node.Spec.Taints)
		}
	}
	w.change("unset", func(pool *containerservicev1.AgentPoolProfile) { pool.NodeLabels, pool.NodeTaints = nil, nil })
	w.live()
	w.ended("unset", meta.OperationSucceeded)
	for index := range int32(2) {
		node := w.nodeAt(index)
		if _, there := node.Labels["tier"]; there || len(node.Spec.Taints) > 0 || node.Labels["kubernetes.azure.com/mode"] != "system" {
			t.Errorf("node %d has labels %v and taints %v", index, node.Labels, node.Spec.Taints)
		}
	}
	for i, machine := range w.machines() {
		if machine.Name != before[i].Name {
			t.Errorf("machine %s was replaced by %s", before[i].Name, machine.Name)
		}
	}
}

func TestAnOperationEndsOnlyOnceTheLabelsAreOnTheNodes(t *testing.T) {
	w := demo(t, 1)
	w.change("set", func(pool *containerservicev1.AgentPoolProfile) { pool.NodeLabels = map[string]string{"tier": "gold"} })
	for range 20 {
		for _, l := range w.loops {
			for _, name := range w.names(l.kind) {
				must(t, w.reconcile(l, name))
				if _, found, _ := w.history.Get("set"); found {
					if w.nodeAt(0).Labels["tier"] != "gold" {
						t.Error("the operation has ended and the node has no label")
					}
					return
				}
			}
		}
		w.agent()
		w.kubelets()
	}
	t.Error("the operation does not end")
}

func TestMachinesAreSpreadOverTheZonesAndStayInThem(t *testing.T) {
	w := demo(t, 0)
	w.change("zones", func(pool *containerservicev1.AgentPoolProfile) {
		pool.AvailabilityZones, pool.Count = []string{"1", "2", "3"}, 5
	})
	w.live()
	w.ended("zones", meta.OperationSucceeded)
	zones := map[string]int{}
	for _, machine := range w.machines() {
		node := &corev1.Node{}
		must(t, w.tenantOf("demo").Get(context.Background(), client.ObjectKey{Name: machine.Spec.NodeName}, node))
		if want := "local-" + machine.Spec.Zone; node.Labels["topology.kubernetes.io/zone"] != want {
			t.Errorf("node %s is labelled %q, want %q", node.Name, node.Labels["topology.kubernetes.io/zone"], want)
		}
		zones[machine.Spec.Zone]++
	}
	if zones["1"] != 2 || zones["2"] != 2 || zones["3"] != 1 {
		t.Errorf("the machines are spread %v", zones)
	}
}
