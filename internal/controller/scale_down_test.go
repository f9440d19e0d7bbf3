package controller_test

import (
	"context"
	"strings"
	"testing"
	"time"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// keeping is a cluster whose pool deallocates what it does not need.
func keeping(t *testing.T, nodes int32) *world {
	w := demo(t, nodes)
	w.keepDisks()
	return w
}

func (w *world) keepDisks() {
	w.t.Helper()
	w.change("keep", func(pool *containerservicev1.AgentPoolProfile) {
		pool.ScaleDownMode = containerservicev1.ScaleDownDeallocate
	})
	w.live()
	w.ended("keep", meta.OperationSucceeded)
}

// kept asserts how many machines run and how many are deallocated, by the
// machines themselves, the pool's status and the nodes.
func (w *world) kept(running, deallocated int) {
	w.t.Helper()
	w.consistent("demo", running+deallocated)
	var pools containerservicev1.AgentPoolList
	must(w.t, w.api.List(context.Background(), &pools))
	if s := pools.Items[0].Status; int(s.Count) != running || int(s.ReadyCount) != running || int(s.DeallocatedCount) != deallocated {
		w.t.Errorf("the pool says %d machines, %d ready, %d deallocated; want %d and %d", s.Count, s.ReadyCount, s.DeallocatedCount, running, deallocated)
	}
	stopped := 0
	for _, machine := range w.machines() {
		if machine.Spec.PowerState == meta.PowerStopped {
			stopped++
		}
		if node := w.nodeAt(machine.Spec.Index); node.Spec.Unschedulable != machine.Deallocated() {
			w.t.Errorf("node %s takes pods: %t, while its machine is deallocated: %t", node.Name, !node.Spec.Unschedulable, machine.Deallocated())
		}
	}
	if stopped != deallocated {
		w.t.Errorf("%d machines are told to stop, want %d", stopped, deallocated)
	}
}

func TestAPoolThatDeallocatesKeepsItsDisksAndStartsThemFirst(t *testing.T) {
	w := keeping(t, 3)
	before := w.who()
	w.pod("web", 2, "ReplicaSet")
	w.scale("demo", "down", 1)
	w.live()
	w.ended("down", meta.OperationSucceeded)
	w.kept(1, 2)
	if left := w.pods(); len(left) > 0 {
		t.Errorf("on deallocated nodes are still %v", left)
	}
	w.scale("demo", "up", 4)
	w.live()
	w.ended("up", meta.OperationSucceeded)
	w.kept(4, 0)
	for _, line := range strings.Split(before, "\n") {
		if !strings.Contains(w.who(), line) {
			t.Errorf("%s was not started again", line)
		}
	}
}

func TestTheModeDeleteRemovesWhatWasDeallocated(t *testing.T) {
	w := keeping(t, 3)
	w.scale("demo", "down", 1)
	w.live()
	w.kept(1, 2)
	w.change("delete", func(pool *containerservicev1.AgentPoolProfile) {
		pool.ScaleDownMode = containerservicev1.ScaleDownDelete
	})
	w.live()
	w.ended("delete", meta.OperationSucceeded)
	w.kept(1, 0)
}

func TestAnUpgradeRemovesDeallocatedMachinesOfTheVersionBefore(t *testing.T) {
	w := patched(t, 3, containerservicev1.PoolUpgradeSettings{})
	w.keepDisks()
	w.scale("demo", "down", 2)
	w.live()
	w.kept(2, 1)
	w.roll("roll", newer)
	w.live()
	w.ended("roll", meta.OperationSucceeded)
	w.rolled(newer, 2)
	w.kept(2, 0)
}

func TestADeallocatedMachineGoesWhenItIsNamedAndWithItsPool(t *testing.T) {
	w := keeping(t, 2)
	w.scale("demo", "down", 1)
	w.live()
	w.change("one", func(pool *containerservicev1.AgentPoolProfile) {
		for _, machine := range w.machines() {
			if machine.Deallocated() {
				pool.LeavingMachines = []string{machine.Name}
			}
		}
	})
	w.live()
	w.kept(1, 0)
	w.scale("demo", "up", 2)
	w.live()
	w.scale("demo", "again", 1)
	w.live()
	w.kept(1, 1)
	w.delete("demo")
	w.live()
	if got := w.counts(); got != nothing {
		t.Errorf("left over: %s", got)
	}
}

func TestAStopOfTheClusterLeavesDeallocatedMachinesAsTheyAre(t *testing.T) {
	w := keeping(t, 2)
	w.scale("demo", "down", 1)
	w.live()
	w.power("stop", meta.VerbStop)
	w.live()
	w.stopped(2)
	w.power("start", meta.VerbStart)
	w.live()
	w.ended("start", meta.OperationSucceeded)
	w.kept(1, 1)
}

// poolPower stops or starts the pool alone, as the front end does.
func (w *world) poolPower(id string, state meta.PowerState) {
	w.t.Helper()
	w.change(id, func(pool *containerservicev1.AgentPoolProfile) { pool.PowerState = state })
}

// poolStopped asserts that all machines of the pool are told to stop, or none.
func (w *world) poolStopped(stopped bool) {
	w.t.Helper()
	for _, machine := range w.machines() {
		node := w.nodeAt(machine.Spec.Index)
		if (machine.Spec.PowerState == meta.PowerStopped) != stopped || node.Spec.Unschedulable != stopped {
			w.t.Errorf("machine %s is %q, its node takes pods: %t; stopped should be %t", machine.Name, machine.Spec.PowerState, !node.Spec.Unschedulable, stopped)
		}
	}
}

func TestAPoolIsDrainedBeforeItStops(t *testing.T) {
	w := demo(t, 2)
	before := w.who()
	w.pod("web", 1, "ReplicaSet")
	w.protected["web"] = budget
	w.poolPower("stop", meta.PowerStopped)
	w.live()
	progress := w.cluster("demo").Status.Progress
	if len(progress) != 1 || !strings.Contains(progress[0].Message, "default/web") || !strings.Contains(progress[0].Message, "disruption budget web") {
		t.Errorf("the progress does not name the pod and the budget: %+v", progress)
	}
	for _, machine := range w.machines() {
		if stopped := machine.Spec.PowerState == meta.PowerStopped; stopped != (machine.Spec.Index == 0) {
			t.Errorf("machine %d is told to stop: %t, while a budget protects a pod on machine 1", machine.Spec.Index, stopped)
		}
	}
	delete(w.protected, "web")
	w.live()
	w.ended("stop", meta.OperationSucceeded)
	w.poolStopped(true)
	if left := w.pods(); len(left) > 0 {
		t.Errorf("on stopped nodes are still %v", left)
	}
	w.poolPower("start", meta.PowerRunning)
	w.live()
	w.ended("start", meta.OperationSucceeded)
	w.poolStopped(false)
	w.kept(2, 0)
	if w.who() != before {
		t.Error("nodes were replaced")
	}
}

func TestAPoolWhoseDrainNeverEndsDoesNotStopAndTheNextRequestGoesOn(t *testing.T) {
	stuck := func(t *testing.T) *world {
		w := demo(t, 2)
		w.hasty()
		w.pod("web", 1, "ReplicaSet")
		w.protected["web"] = budget
		w.poolPower("stop", meta.PowerStopped)
		w.live()
		w.passes(5 * time.Minute)
		w.live()
		w.ended("stop", meta.OperationFailed)
		if f := w.poolFailure(); f.Code != "PodDrainFailure" || !strings.Contains(f.Message, "default/web") || !strings.Contains(f.Message, budget) {
			t.Errorf("failure = %+v", f)
		}
		if w.nodeAt(1).Spec.Unschedulable {
			t.Error("the node that runs on takes no pods")
		}
		return w
	}
	t.Run("once the budget allows it", func(t *testing.T) {
		w := stuck(t)
		w.poolPower("again", meta.PowerStopped)
		w.live()
		if !w.nodeAt(1).Spec.Unschedulable {
			t.Error("the second request does not go on")
		}
		delete(w.protected, "web")
		w.live()
		w.ended("again", meta.OperationSucceeded)
		w.poolStopped(true)
	})
	t.Run("regardless of the budget", func(t *testing.T) {
		w := stuck(t)
		w.poolPower("again", meta.PowerStopped)
		c := w.cluster("demo")
		c.Spec.Operations[0].IgnoreDisruptionBudgets = true
		must(t, w.api.Update(context.Background(), c))
		w.live()
		w.ended("again", meta.OperationSucceeded)
		w.poolStopped(true)
	})
	t.Run("and a start takes it back", func(t *testing.T) {
		w := stuck(t)
		w.poolPower("start", meta.PowerRunning)
		w.live()
		w.ended("start", meta.OperationSucceeded)
		w.poolStopped(false)
	})
	t.Run("and the cluster stops all the same", func(t *testing.T) {
		w := stuck(t)
		w.power("all", meta.VerbStop)
		w.live()
		w.ended("all", meta.OperationSucceeded)
		w.stopped(2)
	})
}

func TestAKillBehindAnyWriteOfAPoolsStopOrScaleDownHeals(t *testing.T) {
	two := func(w *world) { w.put("demo", 2); w.live(); w.pod("web", 1, "ReplicaSet") }
	heals(t, map[string]story{
		"deallocate": {
			before: func(w *world) { two(w); w.keepDisks() },
			event:  func(w *world) { w.scale("demo", "down", 1) },
			check:  func(w *world) { w.kept(1, 1); w.ended("down", meta.OperationSucceeded) },
		},
		"start deallocated machines and make one": {
			before: func(w *world) { two(w); w.keepDisks(); w.scale("demo", "down", 1); w.live() },
			event:  func(w *world) { w.scale("demo", "up", 3) },
			check:  func(w *world) { w.kept(3, 0); w.ended("up", meta.OperationSucceeded) },
		},
		"stop a pool": {
			before: two,
			event:  func(w *world) { w.poolPower("stop", meta.PowerStopped) },
			check:  func(w *world) { w.poolStopped(true); w.ended("stop", meta.OperationSucceeded) },
		},
		"start a pool": {
			before: func(w *world) { two(w); w.poolPower("stop", meta.PowerStopped); w.live() },
			event:  func(w *world) { w.poolPower("start", meta.PowerRunning) },
			check:  func(w *world) { w.poolStopped(false); w.kept(2, 0); w.ended("start", meta.OperationSucceeded) },
		},
	})
}
