package controller_test

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// The stories below are told once without a kill to count their writes, and
// then once for every write, with a kill right behind it. A fresh process must
// bring each to the same end, with nothing leaked and nothing made twice.

// story is something that happens to a world, and what must be true in the end.
type story struct {
	before func(w *world)
	event  func(w *world)
	check  func(w *world)
}

func stories() map[string]story {
	two := func(w *world) { w.put("demo", 2); w.live() }
	none := func(w *world) {
		w.t.Helper()
		if got := w.counts(); got != nothing {
			w.t.Fatalf("left over: %s", got)
		}
	}
	return map[string]story{
		"create": {
			before: func(*world) {},
			event:  func(w *world) { w.put("demo", 2) },
			check:  func(w *world) { w.consistent("demo", 2); w.ended("create-demo", meta.OperationSucceeded) },
		},
		"scale up": {
			before: two,
			event:  func(w *world) { w.scale("demo", "up", 3) },
			check:  func(w *world) { w.consistent("demo", 3); w.ended("up", meta.OperationSucceeded) },
		},
		"scale down": {
			before: two,
			event:  func(w *world) { w.scale("demo", "down", 0) },
			check:  func(w *world) { w.consistent("demo", 0); w.ended("down", meta.OperationSucceeded) },
		},
		"delete": {
			before: func(w *world) { two(w); w.expose("web") },
			event:  func(w *world) { w.delete("demo") },
			check:  none,
		},
		"delete a cluster on which roles are granted": {
			before: func(w *world) { two(w); w.grantAround() },
			event:  func(w *world) { w.delete("demo") },
			check:  func(w *world) { none(w); w.granted("beside", "group", "subscription") },
		},
		"delete a group on which roles are granted": {
			before: func(w *world) { w.group(); two(w); w.grantAround() },
			event:  func(w *world) { w.remove("delete-group", "ResourceGroup", "group", "uid-of-group") },
			check:  func(w *world) { none(w); w.granted("subscription") },
		},
		"delete a group with an identity": {
			before: func(w *world) { w.group(); w.put("demo", 0); w.identity(); w.live() },
			event:  func(w *world) { w.remove("delete-group", "ResourceGroup", "group", "uid-of-group") },
			check:  func(w *world) { none(w); w.granted("elsewhere"); w.noIdentity() },
		},
		"delete an identity": {
			before: func(w *world) { w.identity(); w.live() },
			event:  func(w *world) { w.deleteIdentity() },
			check:  func(w *world) { w.granted("elsewhere"); w.noIdentity() },
		},
		"delete a pool on which roles are granted": {
			before: func(w *world) { two(w); w.addPool("extra"); w.grantAround() },
			event:  func(w *world) { w.removePool("extra") },
			check: func(w *world) {
				w.consistent("demo", 2)
				w.granted("beside", "cluster", "group", "own", "pool", "subscription")
			},
		},
		"expose and withdraw a service": {
			before: two,
			event: func(w *world) {
				w.expose("web")
				w.withdraw("web")
			},
			check: func(w *world) { w.consistent("demo", 2); w.withdrawn("web") },
		},
		"turn a service from public to internal": {
			before: func(w *world) { two(w); w.expose("web") },
			event:  func(w *world) { w.turnInternal("web") },
			check: func(w *world) {
				if at := w.answersOn("web"); at != "10.224.0.6" || !slices.Equal(w.internals(), []string{"10.224.0.6"}) {
					w.t.Fatalf("it answers on %q, internal addresses %v", at, w.internals())
				}
				w.withdraw("web")
				w.live()
				w.withdrawn("web")
				w.consistent("demo", 2)
			},
		},
	}
}

func TestAKillBehindAnyWriteHeals(t *testing.T) { heals(t, stories()) }

// matrix skips a test of many stories in a short run, which is what the race
// detector gets: the stories are those of the other tests, told by one goroutine,
// with a fault in between. They run in full without the detector.
func matrix(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("a matrix of stories, not in a short run")
	}
}

// heals tells stories, and each again with a kill behind every write.
func heals(t *testing.T, stories map[string]story) {
	t.Helper()
	matrix(t)
	for name, s := range stories {
		t.Run(name, func(t *testing.T) {
			whole := newWorld(t)
			s.before(whole)
			before := whole.writes
			s.event(whole)
			whole.live()
			s.check(whole)
			total := whole.writes - before
			if total == 0 {
				t.Fatal("the story writes nothing")
			}
			for _, n := range faultPoints(total) {
				t.Run(fmt.Sprintf("kill behind write %d", n), func(t *testing.T) {
					t.Parallel()
					killed(t, s, n)
				})
			}
		})
	}
}

// faultPoints are the writes of a story behind which it is cut off: three,
// spread over all of them; every one if BERTH_EVERY_PHASE is set, as the soak does.
func faultPoints(total int) []int {
	const few = 3
	step := (total + few - 1) / few
	if os.Getenv("BERTH_EVERY_PHASE") != "" {
		step = 1
	}
	var points []int
	for n := total - 1; n >= 0; n -= step { // the last write is always among them
		points = append(points, n)
	}
	return points
}

// killed tells a story with a kill behind its n-th write.
func killed(t *testing.T, s story, n int) {
	w := newWorld(t)
	s.before(w)
	s.event(w)
	w.budget = n
	err := w.settle()
	if err != nil && !errors.Is(err, errKilled) {
		t.Fatal(err)
	}
	w.start()
	w.live()
	s.check(w)
}
