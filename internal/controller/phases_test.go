package controller_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// The tests below bring each operation on a cluster up to behind each of its writes,
// and then ask for something else.

// asks are what a caller may ask for while something else goes on; the rotations
// of keys, which go the way of that of the authorities, in the long form alone.
func asks() map[string]func(w *world) {
	all := map[string]func(w *world){
		"create":  func(w *world) { w.put("demo", 2) },
		"scale":   func(w *world) { w.scale("demo", "scale", 4) },
		"shrink":  func(w *world) { w.scale("demo", "shrink", 1) },
		"stop":    func(w *world) { w.power("stop", meta.VerbStop) },
		"start":   func(w *world) { w.power("start", meta.VerbStart) },
		"restore": func(w *world) { w.restore("restore") },
	}
	kinds := map[containerservicev1.RotationKind]meta.Verb{containerservicev1.RotateAuthorities: meta.VerbRotateCertificates}
	if os.Getenv("BERTH_EVERY_PHASE") != "" {
		kinds[containerservicev1.RotateServiceAccountKeys] = meta.VerbRotateServiceAccountKeys
		kinds[containerservicev1.RotateEncryptionKeys] = meta.VerbRotateEncryptionKey
	}
	for kind, verb := range kinds {
		all["rotate "+string(kind)] = func(w *world) { w.rotate("rotate", kind, verb, 0) }
	}
	return all
}

// restore writes what the front end writes for a restore in place, of a backup that
// is there.
func (w *world) restore(id string) {
	w.t.Helper()
	w.create(&containerservicev1.Backup{
		ObjectMeta: metav1.ObjectMeta{Name: "backup-" + id},
		Spec:       containerservicev1.BackupSpec{Name: id, HostName: "local", ClusterName: w.cluster("demo").Name},
	})
	cluster := w.cluster("demo")
	cluster.Spec.Aborted = nil
	cluster.Spec.Restore = &containerservicev1.Restore{ID: id, BackupName: "backup-" + id}
	cluster.Spec.Operations = append(cluster.Spec.Operations, w.running(meta.ScopeCluster, id, meta.VerbRestore, cluster.Generation+1))
	must(w.t, w.api.Update(context.Background(), cluster))
}

// ready brings a world to where something can be asked for.
func ready(t *testing.T, ask string) *world {
	t.Helper()
	w := newWorld(t)
	if ask == "create" {
		return w
	}
	w.put("demo", 2)
	w.live()
	if ask == "start" {
		w.power("first", meta.VerbStop)
		w.live()
	}
	return w
}

// phases are how many writes of the controllers something takes.
func phases(t *testing.T, ask string) int {
	w := ready(t, ask)
	before := w.writes
	asks()[ask](w)
	w.live()
	return w.writes - before
}

// eachPhase brings something up to behind each of its fault points and calls a test.
func eachPhase(t *testing.T, test func(t *testing.T, ask string, w *world)) {
	t.Helper()
	matrix(t)
	for ask, begin := range asks() {
		for _, n := range faultPoints(phases(t, ask)) {
			t.Run(fmt.Sprintf("%s behind write %d", ask, n), func(t *testing.T) {
				t.Parallel()
				w := ready(t, ask)
				begin(w)
				w.budget = n
				_ = w.settle() // to be cut off is the point
				w.start()
				test(t, ask, w)
			})
		}
	}
}

func TestADeleteInEachPhaseOfEverythingLeavesNothing(t *testing.T) {
	eachPhase(t, func(t *testing.T, ask string, w *world) {
		w.delete("demo")
		w.live()
		if got := w.counts(); got != nothing {
			t.Fatalf("left over: %s", got)
		}
	})
}

func TestAnAbortInEachPhaseOfEverythingIsTrueAndTheNextWriteGoesOn(t *testing.T) {
	eachPhase(t, func(t *testing.T, ask string, w *world) {
		scope := meta.ScopeCluster
		if ask == "scale" || ask == "shrink" {
			scope = "nodepool1"
		}
		running := w.cluster("demo").Operation(scope)
		if !w.abort(scope) {
			return // it had ended
		}
		w.live()
		record, found, _ := w.history.Get(running.ID)
		abort, abortFound, _ := w.history.Get("abort-" + running.ID)
		if !found || !abortFound {
			t.Fatalf("the operation ended: %t, its abort: %t", found, abortFound)
		}
		cluster := w.cluster("demo")
		switch {
		case len(cluster.Spec.Operations) > 0:
			t.Fatalf("still running: %+v", cluster.Spec.Operations)
		case record.Status == meta.OperationCanceled && abort.Status == meta.OperationSucceeded:
			if !cluster.Aborted(scope) {
				t.Fatal("it gave up, and the cluster does not say so")
			}
		case record.Status != meta.OperationSucceeded || abort.Status != meta.OperationFailed || cluster.Aborted(scope):
			t.Fatalf("the operation ended %s, its abort %s, aborted %+v", record.Status, abort.Status, cluster.Spec.Aborted)
		}
		w.goesOn(ask)
	})
}

// goesOn asks for the next thing after an abort, and expects it to be whole.
func (w *world) goesOn(ask string) {
	w.t.Helper()
	before := w.writes
	w.live()
	if w.writes != before {
		w.t.Fatal("what gave up is still worked on")
	}
	switch ask {
	case "stop":
		w.power("again", meta.VerbStop)
	default:
		w.update("again")
	}
	w.live()
	w.ended("again", meta.OperationSucceeded)
	if ask == "stop" {
		w.stopped(2)
		w.power("back", meta.VerbStart)
		w.live()
		w.ended("back", meta.OperationSucceeded)
	}
	nodes, scaled := map[string]int{"scale": 4, "shrink": 1}[ask]
	if !scaled {
		nodes = 2
	}
	w.consistent("demo", nodes)
}

// afterwards are what a caller may ask for once something gave up, with what has to be true then.
func afterwards() map[string]func(w *world, nodes int) {
	stop := func(w *world, nodes int) {
		w.power("after", meta.VerbStop)
		w.live()
		w.ended("after", meta.OperationSucceeded)
		w.stopped(len(w.machines()))
		w.power("back", meta.VerbStart)
		w.live()
		w.ended("back", meta.OperationSucceeded)
		w.consistent("demo", nodes)
	}
	return map[string]func(w *world, nodes int){
		"stop": stop,
		"start": func(w *world, nodes int) {
			w.power("after", meta.VerbStart)
			w.live()
			w.ended("after", meta.OperationSucceeded)
			w.consistent("demo", nodes)
		},
		"delete": func(w *world, _ int) {
			w.delete("demo")
			w.live()
			if got := w.counts(); got != nothing {
				w.t.Fatalf("left over: %s", got)
			}
		},
	}
}

// TestWhatIsAskedForAfterAnAbortInAnyPhaseEndsWhole aborts each of the operations
// on a cluster in its phases, and then asks for each of the others.
func TestWhatIsAskedForAfterAnAbortInAnyPhaseEndsWhole(t *testing.T) {
	matrix(t)
	for ask, begin := range asks() {
		if ask == "scale" || ask == "shrink" {
			continue // they are a pool's own; the cluster's operations are admitted after them
		}
		points := faultPoints(phases(t, ask))
		for next, after := range afterwards() {
			for i, n := range points {
				if os.Getenv("BERTH_EVERY_PHASE") == "" && i != len(points)/2 {
					continue
				}
				t.Run(fmt.Sprintf("%s after %s aborted behind write %d", next, ask, n), func(t *testing.T) {
					t.Parallel()
					w := ready(t, ask)
					begin(w)
					w.budget = n
					_ = w.settle() // to be cut off is the point
					w.start()
					if !w.abort(meta.ScopeCluster) {
						return // it had ended
					}
					w.live()
					if running := w.cluster("demo").Spec.Operations; len(running) > 0 {
						t.Fatalf("still running: %+v", running)
					}
					after(w, 2)
				})
			}
		}
	}
}
