package controller_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// terminal asserts that an operation ended by the time that the cluster came to rest.
func (w *world) terminal(id string) meta.OperationStatus {
	w.t.Helper()
	record, found, err := w.history.Get(id)
	must(w.t, err)
	if !found {
		w.t.Fatalf("operation %s has not ended: %+v", id, w.cluster("demo").Status.Progress)
	}
	return record.Status
}

func TestAClockThatJumpsInTheMiddleOfAnythingLeavesATruthThatARetryCompletes(t *testing.T) {
	matrix(t)
	type fault struct {
		before, begin, again func(w *world)
		check                func(w *world)
	}
	faults := map[string]fault{
		"scale out": {
			before: func(w *world) { w.put("demo", 1); w.live() },
			begin:  func(w *world) { w.scale("demo", "first", 3) },
			again:  func(w *world) { w.scale("demo", "again", 3) },
			check:  func(w *world) { w.consistent("demo", 3) },
		},
		"scale in": {
			before: func(w *world) { w.put("demo", 3); w.live(); w.pod("web", 2, "ReplicaSet") },
			begin:  func(w *world) { w.scale("demo", "first", 1) },
			again:  func(w *world) { w.scale("demo", "again", 1) },
			check:  func(w *world) { w.consistent("demo", 1) },
		},
		"stop a pool": {
			before: func(w *world) { w.put("demo", 2); w.live(); w.pod("web", 1, "ReplicaSet") },
			begin:  func(w *world) { w.poolPower("first", meta.PowerStopped) },
			again:  func(w *world) { w.poolPower("again", meta.PowerStopped) },
			check:  func(w *world) { w.poolStopped(true) },
		},
		"upgrade a cluster": {
			before: func(w *world) { w.put("demo", 2); w.live() },
			begin:  func(w *world) { w.upgradeAs("first", "demo", "1.36.3", true) },
			again:  func(w *world) { w.update("again") },
			check:  func(w *world) { w.truthful(); w.whole() },
		},
	}
	moments := []int{1} // rounds of looks after which it jumps
	if os.Getenv("BERTH_EVERY_PHASE") != "" {
		moments = []int{0, 1, 2, 3, 4, 5, 6}
	}
	for name, f := range faults {
		for _, jump := range []time.Duration{10 * time.Hour, -10 * time.Hour} {
			for _, rounds := range moments {
				t.Run(fmt.Sprintf("%s, by %v after %d rounds", name, jump, rounds), func(t *testing.T) {
					w := newWorld(t)
					f.before(w)
					f.begin(w)
					for range rounds {
						w.lookRound()
					}
					w.passes(jump)
					for range 3 { // a soak may have to pass
						w.live()
						w.later(soak)
					}
					w.live()
					if status := w.terminal("first"); status != meta.OperationSucceeded {
						if jump < 0 || status != meta.OperationFailed {
							t.Errorf("the operation ended %s", status)
						}
						f.again(w)
						for range 3 {
							w.live()
							w.later(soak)
						}
						w.live()
						w.ended("again", meta.OperationSucceeded)
					}
					f.check(w)
				})
			}
		}
	}
}

func TestADrainAndASoakAreNotLongerForAClockThatIsSetBack(t *testing.T) {
	w := demo(t, 2)
	w.hasty()
	w.pod("web", 1, "ReplicaSet")
	w.protected["web"] = budget
	w.scale("demo", "down", 1)
	w.live()
	w.passes(-10 * time.Hour)
	w.live()
	w.passes(5 * time.Minute)
	w.live()
	w.ended("down", meta.OperationFailed)
	if f := w.poolFailure(); f.Code != "PodDrainFailure" {
		t.Errorf("failure = %+v", f)
	}

	w = patched(t, 2, containerservicev1.PoolUpgradeSettings{NodeSoakDurationInMinutes: 5})
	w.roll("roll", newer)
	w.live()
	w.passes(-10 * time.Hour)
	for range 2 {
		w.live()
		w.passes(5 * time.Minute)
	}
	w.live()
	w.ended("roll", meta.OperationSucceeded)
	w.rolled(newer, 2)
}
