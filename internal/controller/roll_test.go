package controller_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

const newer = "1.35.5"

// patched is a cluster whose control plane is newer than its pool.
func patched(t *testing.T, nodes int32, settings containerservicev1.PoolUpgradeSettings) *world {
	w := demo(t, nodes)
	c := w.cluster("demo")
	c.Spec.KubernetesVersion, c.Spec.AgentPools[0].UpgradeSettings = newer, settings
	c.Spec.Operations = append(c.Spec.Operations, w.running(meta.ScopeCluster, "patch", meta.VerbUpgrade, c.Generation+1))
	must(t, w.api.Update(context.Background(), c))
	w.live()
	w.ended("patch", meta.OperationSucceeded)
	return w
}

// roll asks for a version of the pool's nodes, as the front end does.
func (w *world) roll(id, version string) {
	w.t.Helper()
	c := w.cluster("demo")
	pool := &c.Spec.AgentPools[0]
	pool.PreviousOrchestratorVersion, pool.OrchestratorVersion = pool.OrchestratorVersion, version
	operation := w.running("nodepool1", id, meta.VerbUpgrade, c.Generation+1)
	operation.Deadline.Time = operation.StartTime.Add(4 * time.Hour)
	c.Spec.Operations = append(c.Spec.Operations, operation)
	must(w.t, w.api.Update(context.Background(), c))
}

// rolled asserts that all machines, and the status, are of a version.
func (w *world) rolled(version string, nodes int) {
	w.t.Helper()
	w.consistent("demo", nodes)
	var pools containerservicev1.AgentPoolList
	must(w.t, w.api.List(context.Background(), &pools))
	if got := pools.Items[0].Status.CurrentOrchestratorVersion; got != version {
		w.t.Errorf("the pool says that its nodes run %s, want %s", got, version)
	}
	for _, machine := range w.machines() {
		if machine.Spec.KubernetesVersion != version {
			w.t.Errorf("machine %s is of %s, want %s", machine.Name, machine.Spec.KubernetesVersion, version)
		}
	}
}

// watch counts, after every step, how many nodes there are and how many are ready.
func (w *world) watch(least, most int) {
	w.t.Helper()
	for range 60 {
		before := w.writes
		for _, l := range w.loops {
			for _, name := range w.names(l.kind) {
				must(w.t, w.reconcile(l, name))
				ready, all := 0, len(w.machines())
				for _, machine := range w.machines() {
					if machine.Spec.Drain == nil && machine.DeletionTimestamp == nil && containerservicev1.ConditionTrue(machine.Status.Conditions, containerservicev1.ConditionReady) {
						ready++
					}
				}
				if ready < least || all > most {
					w.t.Fatalf("%d nodes are ready and %d are there, want at least %d and at most %d", ready, all, least, most)
				}
			}
		}
		changed := w.agent()
		if changed = w.kubelets() || changed; w.writes == before && !changed {
			return
		}
	}
	w.t.Fatal("the roll never ends")
}

func TestAPoolIsReplacedNodeByNode(t *testing.T) {
	for name, c := range map[string]struct {
		settings    containerservicev1.PoolUpgradeSettings
		least, most int
	}{
		"one more by default":   {containerservicev1.PoolUpgradeSettings{}, 3, 4},
		"two more":              {containerservicev1.PoolUpgradeSettings{MaxSurge: "50%"}, 3, 5},
		"none more, one absent": {containerservicev1.PoolUpgradeSettings{MaxSurge: "0", MaxUnavailable: "1"}, 2, 3},
		"neither more nor less": {containerservicev1.PoolUpgradeSettings{MaxSurge: "0"}, 3, 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := patched(t, 3, c.settings)
			w.roll("roll", newer)
			w.watch(c.least, c.most)
			w.ended("roll", meta.OperationSucceeded)
			w.rolled(newer, 3)
			w.roll("back", "1.35.4")
			w.watch(c.least, c.most)
			w.ended("back", meta.OperationSucceeded)
			w.rolled("1.35.4", 3)
		})
	}
}

func TestANewNodeSoaksBeforeTheNextOldOneGoes(t *testing.T) {
	w := patched(t, 2, containerservicev1.PoolUpgradeSettings{NodeSoakDurationInMinutes: 5})
	w.roll("roll", newer)
	w.live()
	if got := len(w.machines()); got != 3 {
		t.Fatalf("%d machines, want 3: an old one is gone before the soak", got)
	}
	for range 2 {
		w.passes(5 * time.Minute)
		w.live()
	}
	w.ended("roll", meta.OperationSucceeded)
	w.rolled(newer, 2)
}

func TestAnUpgradeStopsAtADrainThatNeverEndsAndTheNextRequestGoesOn(t *testing.T) {
	w := patched(t, 2, containerservicev1.PoolUpgradeSettings{DrainTimeoutInMinutes: 5})
	w.pod("web", 0, "ReplicaSet")
	w.protected["web"] = budget
	w.roll("roll", newer)
	w.live()
	w.passes(5 * time.Minute)
	w.live()
	w.ended("roll", meta.OperationFailed)
	if f := w.poolFailure(); f.Code != "PodDrainFailure" || !strings.Contains(f.Message, "default/web") || !strings.Contains(f.Message, budget) {
		t.Errorf("failure = %+v", f)
	}
	if w.nodeAt(0).Spec.Unschedulable {
		t.Error("the node that stays takes no pods")
	}
	var pools containerservicev1.AgentPoolList
	must(t, w.api.List(context.Background(), &pools))
	if status := pools.Items[0].Status; status.CurrentOrchestratorVersion != "1.35.4" || status.ProvisioningState != containerservicev1.StateFailed {
		t.Errorf("the pool says %s in state %s, while a node runs 1.35.4", status.CurrentOrchestratorVersion, status.ProvisioningState)
	}
	delete(w.protected, "web")
	w.roll("again", newer)
	w.live()
	w.ended("again", meta.OperationSucceeded)
	w.rolled(newer, 2)
}

func TestACordonedNodeIsLeftBehindWhileTheOthersGoOn(t *testing.T) {
	w := patched(t, 3, containerservicev1.PoolUpgradeSettings{
		DrainTimeoutInMinutes: 5, MaxSurge: "2", UndrainableNodeBehavior: containerservicev1.UndrainableCordon,
	})
	w.pod("web", 0, "ReplicaSet")
	w.protected["web"] = budget
	w.roll("roll", newer)
	for range 4 {
		w.live()
		w.passes(5 * time.Minute)
	}
	w.live()
	w.ended("roll", meta.OperationFailed)
	node := w.nodeAt(0)
	if !node.Spec.Unschedulable || node.Labels["kubernetes.azure.com/upgrade-status"] != "Quarantined" {
		t.Errorf("the node is not quarantined: %+v %v", node.Spec, node.Labels)
	}
	renewed := 0
	for _, machine := range w.machines() {
		if machine.Spec.KubernetesVersion == newer {
			renewed++
		}
	}
	if renewed != 3 || len(w.machines()) != 4 {
		t.Errorf("%d of %d machines are new, want 3 of 4", renewed, len(w.machines()))
	}
	delete(w.protected, "web")
	w.roll("again", newer)
	w.live()
	w.ended("again", meta.OperationSucceeded)
	w.rolled(newer, 3)
}

func TestANewNodeThatNeverBecomesReadyStopsTheUpgradeAndTheNextRequestReplacesIt(t *testing.T) {
	w := patched(t, 2, containerservicev1.PoolUpgradeSettings{})
	w.sickNodes[newer] = true
	w.roll("roll", newer)
	w.live()
	w.passes(10 * time.Minute)
	w.live()
	w.ended("roll", meta.OperationFailed)
	if f := w.poolFailure(); f.Code != "NodesNotReady" || !strings.Contains(f.Message, "aks-nodepool1-") {
		t.Errorf("failure = %+v", f)
	}
	old := 0
	for _, machine := range w.machines() {
		if machine.Spec.KubernetesVersion == "1.35.4" {
			old++
		}
	}
	if old != 2 {
		t.Errorf("%d old nodes are left, want both", old)
	}
	delete(w.sickNodes, newer)
	w.passes(time.Minute)
	w.roll("again", newer)
	w.live()
	w.ended("again", meta.OperationSucceeded)
	w.rolled(newer, 2)
}

func TestDeletedMachinesAreThoseThatWereNamed(t *testing.T) {
	w := demo(t, 3)
	w.deleteMachine(1)
	w.live()
	w.ended("one", meta.OperationSucceeded)
	w.consistent("demo", 2)
	for _, machine := range w.machines() {
		if machine.Spec.Index == 1 {
			t.Error("the machine is still there")
		}
	}
}

// deleteMachine asks for one machine to go, as the front end does.
func (w *world) deleteMachine(index int32) {
	w.t.Helper()
	c := w.cluster("demo")
	for _, machine := range w.machines() {
		if machine.Spec.Index == index {
			c.Spec.AgentPools[0].LeavingMachines = []string{machine.Name}
		}
	}
	c.Spec.AgentPools[0].Count--
	c.Spec.Operations = append(c.Spec.Operations, w.running("nodepool1", "one", meta.VerbDeleteMachines, c.Generation+1))
	must(w.t, w.api.Update(context.Background(), c))
}

func TestAKillBehindAnyWriteOfAPoolsOperationHeals(t *testing.T) {
	heals(t, map[string]story{
		"upgrade a pool": {
			before: func(w *world) { aheadOfItsPool(w); w.pod("web", 0, "ReplicaSet") },
			event:  func(w *world) { w.roll("roll", newer) },
			check:  func(w *world) { w.rolled(newer, 2); w.ended("roll", meta.OperationSucceeded) },
		},
		"roll a pool back": {
			before: func(w *world) { upgradedPool(w) },
			event:  func(w *world) { w.roll("back", "1.35.4") },
			check:  func(w *world) { w.rolled("1.35.4", 2); w.ended("back", meta.OperationSucceeded) },
		},
		"delete a machine": {
			before: func(w *world) { w.put("demo", 3); w.live(); w.pod("web", 1, "ReplicaSet") },
			event:  func(w *world) { w.deleteMachine(1) },
			check:  func(w *world) { w.consistent("demo", 2); w.ended("one", meta.OperationSucceeded) },
		},
	})
}

// reconcile calls one controller for one object.
func (w *world) reconcile(l loop, name string) error {
	_, err := l.reconcile(context.Background(), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
	return err
}

// aheadOfItsPool is a cluster of two nodes whose control plane is a patch newer.
func aheadOfItsPool(w *world) {
	w.t.Helper()
	w.put("demo", 2)
	w.live()
	c := w.cluster("demo")
	c.Spec.KubernetesVersion = newer
	c.Spec.Operations = append(c.Spec.Operations, w.running(meta.ScopeCluster, "patch", meta.VerbUpgrade, c.Generation+1))
	must(w.t, w.api.Update(context.Background(), c))
	w.live()
}

// upgradedPool is the same once the pool has followed.
func upgradedPool(w *world) {
	w.t.Helper()
	aheadOfItsPool(w)
	w.roll("roll", newer)
	w.live()
	w.ended("roll", meta.OperationSucceeded)
	w.pod("web", w.machines()[0].Spec.Index, "ReplicaSet")
}
