package controller_test

import (
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	resourcesv1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/controller/operation"
)

func TestACreateThatMissesItsDeadlineFailsAndGoesOn(t *testing.T) {
	w := newWorld(t)
	w.kubeletsDown = true
	w.put("demo", 1)
	w.live()
	cluster := w.cluster("demo")
	if p := cluster.Status.Progress; len(p) != 1 || p[0].Phase != containerservicev1.ConditionAgentPoolsReady || !strings.Contains(p[0].Message, "register") {
		t.Fatalf("progress: %+v", p)
	}
	if cluster.Status.ProvisioningState != containerservicev1.StateCreating {
		t.Fatalf("state %s before the deadline", cluster.Status.ProvisioningState)
	}

	w.clock.SetTime(w.clock.Now().Add(11 * time.Minute))
	w.live()
	w.ended("create-demo", meta.OperationFailed)
	record, _, _ := w.history.Get("create-demo")
	if record.Failure.Code != "OperationTimedOut" || !strings.Contains(record.Failure.Message, "waiting for the node to register") {
		t.Fatalf("failure: %+v", record.Failure)
	}
	cluster = w.cluster("demo")
	if cluster.Status.ProvisioningState != containerservicev1.StateFailed || cluster.Status.Failure == nil || len(cluster.Spec.Operations) != 0 {
		t.Fatalf("status: %+v", cluster.Status)
	}
	var pools containerservicev1.AgentPoolList
	must(t, w.api.List(context.Background(), &pools))
	if pools.Items[0].Status.Failure == nil {
		t.Fatal("the pool that failed does not say so")
	}

	w.kubeletsDown = false
	w.live()
	if !containerservicev1.ConditionTrue(w.cluster("demo").Status.Conditions, containerservicev1.ConditionReady) {
		t.Fatal("reconciling did not go on")
	}
	w.scale("demo", "again", 1)
	w.live()
	w.ended("again", meta.OperationSucceeded)
	must(t, w.api.List(context.Background(), &pools))
	if pools.Items[0].Status.Failure != nil {
		t.Fatalf("the pool still tells the old failure: %+v", pools.Items[0].Status.Failure)
	}
}

func TestAScaleThatFailsSpeaksForItsPoolAlone(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	w.kubeletsDown = true
	w.scale("demo", "up", 2)
	w.live()
	w.clock.SetTime(w.clock.Now().Add(11 * time.Minute))
	w.live()
	w.ended("up", meta.OperationFailed)
	cluster := w.cluster("demo")
	if cluster.Status.Failure != nil || cluster.Status.ProvisioningState != containerservicev1.StateSucceeded {
		t.Fatalf("the cluster tells the pool's failure: %+v", cluster.Status)
	}
}

func TestAScaleSucceedsOnlyOnceTheExtraNodesAreGone(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 2)
	w.live()
	w.hostDown = true
	w.scale("demo", "down", 1)
	w.live()
	if _, found, _ := w.history.Get("down"); found {
		t.Fatal("the scale ended although the node is still there")
	}
	w.hostDown = false
	w.live()
	w.ended("down", meta.OperationSucceeded)
}

func TestAnExhaustedPublicRangeFailsTheCreateWithItsReason(t *testing.T) {
	w := newWorld(t)
	w.shrinkPublicRange("198.18.0.0/28") // no address left for clusters
	w.put("demo", 1)
	w.fails("exhausted")
	w.clock.SetTime(w.clock.Now().Add(11 * time.Minute))
	w.fails("exhausted")
	w.ended("create-demo", meta.OperationFailed)
	record, _, _ := w.history.Get("create-demo")
	if record.Failure.Code != "AllocationFailed" {
		t.Fatalf("failure: %+v", record.Failure)
	}
}

// remove writes the operation of a delete; marking the target is left to its controller.
func (w *world) remove(id, kind, name, uid string) {
	w.t.Helper()
	w.create(&resourcesv1.Operation{
		ObjectMeta: metav1.ObjectMeta{Name: id},
		Spec: resourcesv1.OperationSpec{
			Target: resourcesv1.Target{Kind: kind, Name: name, UID: uid}, Verb: meta.VerbDelete,
			StartTime: metav1.NewTime(w.clock.Now()), Deadline: metav1.NewTime(w.clock.Now().Add(10 * time.Minute)),
		},
	})
}

func (w *world) operation(id string) resourcesv1.OperationState {
	w.t.Helper()
	o := &resourcesv1.Operation{ObjectMeta: metav1.ObjectMeta{Name: id}}
	if !w.exists(o) {
		w.t.Fatalf("operation %s is gone", id)
	}
	return o.Status
}

func TestADeleteSucceedsOnceItsTargetIsGoneAndItsObjectFollowsAnHourLater(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	w.hostDown = true
	w.remove("delete-demo", "ManagedCluster", "demo", "uid-of-demo")
	w.live()
	if state := w.operation("delete-demo"); state.Status != meta.OperationInProgress || !strings.Contains(state.Message, "nodepool1") {
		t.Fatalf("state: %+v", state)
	}
	w.hostDown = false
	w.live()
	if state := w.operation("delete-demo"); state.Status != meta.OperationSucceeded || state.EndTime == nil {
		t.Fatalf("state: %+v", state)
	}
	w.ended("delete-demo", meta.OperationSucceeded)
	if got := w.counts(); got != nothing {
		t.Fatalf("left over: %s", got)
	}
	w.clock.SetTime(w.clock.Now().Add(operation.Retention))
	w.live()
	if w.exists(&resourcesv1.Operation{ObjectMeta: metav1.ObjectMeta{Name: "delete-demo"}}) {
		t.Fatal("the object of the ended operation stays")
	}
}

func TestADeleteThatMissesItsDeadlineFailsWithWhatItWaitsFor(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	w.hostDown = true
	w.remove("delete-demo", "ManagedCluster", "demo", "uid-of-demo")
	w.live()
	w.clock.SetTime(w.clock.Now().Add(11 * time.Minute))
	w.live()
	w.ended("delete-demo", meta.OperationFailed)
	if state := w.operation("delete-demo"); !strings.Contains(state.Message, "nodepool1") {
		t.Fatalf("state: %+v", state)
	}
	w.hostDown = false
	w.live()
	if got := w.counts(); got != nothing {
		t.Fatalf("the deletion did not go on: %s", got)
	}
}

func TestADeleteNeverTouchesAnObjectMadeAnewUnderTheName(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	w.remove("delete-demo", "ManagedCluster", "demo", "uid-of-its-predecessor")
	w.live()
	w.ended("delete-demo", meta.OperationSucceeded)
	w.consistent("demo", 1)
}

func TestADeletedGroupTakesItsClustersAlongAndGoesLast(t *testing.T) {
	w := newWorld(t)
	group := w.group()
	w.put("demo", 1)
	w.live()
	w.hostDown = true
	w.remove("delete-group", "ResourceGroup", "group", "uid-of-group")
	w.live()
	if !w.exists(group) || w.cluster("demo").DeletionTimestamp == nil {
		t.Fatal("the group is gone before its cluster, or the cluster is not being deleted")
	}
	if state := w.operation("delete-group"); !strings.Contains(state.Message, "demo") {
		t.Fatalf("state: %+v", state)
	}
	w.hostDown = false
	w.live()
	if w.exists(group) {
		t.Fatal("the empty group stays")
	}
	w.ended("delete-group", meta.OperationSucceeded)
	if got := w.counts(); got != nothing {
		t.Fatalf("left over: %s", got)
	}
}
