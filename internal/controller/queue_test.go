package controller_test

import (
	"context"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/queue"
	"berth.dev/berth/internal/rp/containerservice"
)

// queued is the resource provider, which asks anew for what was queued.
func (w *world) queued(c client.Client) queue.Runner {
	w.t.Helper()
	provider, err := containerservice.NewProvider(containerservice.Options{Client: c, Now: w.clock.Now})
	must(w.t, err)
	return provider
}

// enqueue puts a request on the first pool into the queue, as the front end does.
func (w *world) enqueue(id, method, body string) {
	w.t.Helper()
	cluster := w.cluster("demo")
	cluster.Spec.Queue = append(cluster.Spec.Queue, meta.QueuedOperation{
		ID: id, Scope: "nodepool1", Verb: meta.VerbScale, Method: method, APIVersion: "2025-05-01", Body: body,
		RequestTime: metav1.NewTime(w.clock.Now()), Caller: "somebody",
	})
	must(w.t, w.api.Update(context.Background(), cluster))
}

// scaleLater queues another count of the pool.
func (w *world) scaleLater(id, count string) {
	w.t.Helper()
	w.enqueue(id, "PUT", `{"properties":{"mode":"System","count":`+count+`}}`)
}

// busy is a cluster of two nodes whose pool is scaled in against a budget.
func busy(w *world) {
	w.t.Helper()
	w.put("demo", 2)
	w.live()
	w.room(64)
	w.pod("web", 1, "ReplicaSet")
	w.protected["web"] = budget
	w.scale("demo", "first", 1)
	w.live()
}

func TestQueuedOperationsStartInTheirOrderOnceNothingIsInTheirWay(t *testing.T) {
	w := newWorld(t)
	busy(w)
	w.scaleLater("second", "3")
	w.scaleLater("third", "2")
	w.live()
	c := w.cluster("demo")
	if len(c.Spec.Queue) != 2 || len(c.Spec.Operations) != 1 || c.AgentPool("nodepool1").Count != 1 {
		t.Fatalf("they did not wait: %+v, %+v", c.Spec.Queue, c.Spec.Operations)
	}
	for i, want := range []string{"(id first)", "(id second), which was queued before"} {
		if why := c.QueuedFor(&c.Spec.Queue[i]); !strings.Contains(why, want) {
			t.Errorf("operation %d waits because of %q, want %q", i, why, want)
		}
	}
	delete(w.protected, "web")
	w.live()
	for _, id := range []string{"first", "second", "third"} {
		w.ended(id, meta.OperationSucceeded)
	}
	w.consistent("demo", 2)
	if record, _, _ := w.history.Get("second"); record.Caller != "somebody" || !record.StartTime.Equal(epoch()) {
		t.Errorf("the history does not say who asked when: %+v", record)
	}
}

func TestAQueuedOperationThatIsRefusedWhenItsTurnComesSaysWhy(t *testing.T) {
	w := newWorld(t)
	busy(w)
	w.scaleLater("too-many", "400")
	w.enqueue("unreadable", "PUT", `{"properties":{"count":"two"}}`)
	w.scaleLater("good", "2")
	delete(w.protected, "web")
	w.live()
	w.ended("first", meta.OperationSucceeded)
	for id, want := range map[string]string{"too-many": "Pre-allocated IPs 112640 exceeds IPs available 65536", "unreadable": "a string"} {
		w.ended(id, meta.OperationFailed)
		if record, _, _ := w.history.Get(id); record.Failure == nil || !strings.Contains(record.Failure.Message, want) {
			t.Errorf("%s: %+v does not say %q", id, record.Failure, want)
		}
	}
	w.ended("good", meta.OperationSucceeded)
	w.consistent("demo", 2)
}

func TestAQueuedOperationIsAbortedBeforeItStarts(t *testing.T) {
	w := newWorld(t)
	busy(w)
	w.scaleLater("second", "3")
	c := w.cluster("demo")
	c.Spec.Queue[0].Abort = &meta.AbortRequest{ID: "abort", StartTime: metav1.NewTime(w.clock.Now())}
	must(t, w.api.Update(context.Background(), c))
	w.live()
	w.ended("second", meta.OperationCanceled)
	w.ended("abort", meta.OperationSucceeded)
	delete(w.protected, "web")
	w.live()
	w.ended("first", meta.OperationSucceeded)
	w.consistent("demo", 1)
}

func TestTheQueueOfADeletedClusterEndsCanceled(t *testing.T) {
	w := newWorld(t)
	busy(w)
	w.scaleLater("second", "3")
	w.delete("demo")
	w.live()
	w.ended("first", meta.OperationCanceled)
	w.ended("second", meta.OperationCanceled)
	if got := w.counts(); got != nothing {
		t.Errorf("left over: %s", got)
	}
}

func TestAKillBehindAnyWriteOfAQueueHeals(t *testing.T) {
	heals(t, map[string]story{
		"two that start and one that is refused": {
			before: func(w *world) {
				busy(w)
				w.scaleLater("second", "3")
				w.scaleLater("refused", "400")
				w.scaleLater("third", "2")
				w.live()
			},
			event: func(w *world) { delete(w.protected, "web") },
			check: func(w *world) {
				w.consistent("demo", 2)
				for id, status := range map[string]meta.OperationStatus{
					"first": meta.OperationSucceeded, "second": meta.OperationSucceeded, "refused": meta.OperationFailed, "third": meta.OperationSucceeded,
				} {
					w.ended(id, status)
				}
				if left := w.cluster("demo").Spec.Queue; len(left) > 0 {
					w.t.Errorf("still queued: %+v", left)
				}
			},
		},
		"one that is aborted": {
			before: func(w *world) { busy(w); w.scaleLater("second", "3") },
			event: func(w *world) {
				c := w.cluster("demo")
				c.Spec.Queue[0].Abort = &meta.AbortRequest{ID: "abort", StartTime: metav1.NewTime(w.clock.Now())}
				must(w.t, w.api.Update(context.Background(), c))
				delete(w.protected, "web")
			},
			check: func(w *world) {
				w.consistent("demo", 1)
				w.ended("second", meta.OperationCanceled)
				w.ended("abort", meta.OperationSucceeded)
			},
		},
		"a pool that waits for the whole cluster": {
			before: func(w *world) { w.put("demo", 1); w.room(64) },
			event:  func(w *world) { w.scaleLater("second", "2") },
			check: func(w *world) {
				w.consistent("demo", 2)
				w.ended("create-demo", meta.OperationSucceeded)
				w.ended("second", meta.OperationSucceeded)
				if pool := w.cluster("demo").AgentPool("nodepool1"); pool.PowerState == meta.PowerStopped {
					w.t.Error("the pool is stopped")
				}
			},
		},
	})
}
