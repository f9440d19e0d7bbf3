package controller_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// power writes a power state with its operation, as the front end does.
func (w *world) power(id string, verb meta.Verb) {
	w.t.Helper()
	cluster := w.cluster("demo")
	cluster.Spec.PowerState = meta.PowerRunning
	if verb == meta.VerbStop {
		cluster.Spec.PowerState = meta.PowerStopped
	}
	cluster.Spec.Aborted = nil
	cluster.Spec.Operations = append(cluster.Spec.Operations, w.running(meta.ScopeCluster, id, verb, cluster.Generation+1))
	must(w.t, w.api.Update(context.Background(), cluster))
}

// abort writes the wish to give up into the running operation of a scope, if it
// still runs, and says whether it did.
func (w *world) abort(scope string) bool {
	w.t.Helper()
	cluster := w.cluster("demo")
	running := cluster.Operation(scope)
	if running == nil {
		return false
	}
	running.Abort = &meta.AbortRequest{ID: "abort-" + running.ID, StartTime: metav1.NewTime(w.clock.Now())}
	must(w.t, w.api.Update(context.Background(), cluster))
	return true
}

// update writes an update of the whole cluster that changes nothing, as a PUT does.
func (w *world) update(id string) {
	w.t.Helper()
	cluster := w.cluster("demo")
	cluster.Spec.Aborted, cluster.Spec.PowerState = nil, meta.PowerRunning
	cluster.Spec.Operations = append(cluster.Spec.Operations, w.running(meta.ScopeCluster, id, meta.VerbUpdate, cluster.Generation+1))
	must(w.t, w.api.Update(context.Background(), cluster))
}

// stopped asserts that nothing of a settled cluster runs and nothing of it is lost.
func (w *world) stopped(nodes int) {
	w.t.Helper()
	if got, want := w.counts(), expected(nodes); got != want {
		w.t.Fatalf("left over or missing:\n got %s\nwant %s", got, want)
	}
	cluster := w.cluster("demo")
	if !cluster.Stopped() || cluster.Status.PowerState != meta.PowerStopped || cluster.Status.ProvisioningState != containerservicev1.StateSucceeded {
		w.t.Fatalf("not stopped: %+v", cluster.Status)
	}
	for _, conditionType := range []string{
		containerservicev1.ConditionReady, containerservicev1.ConditionAgentPoolsReady, containerservicev1.ConditionControlPlaneReady,
	} {
		if containerservicev1.ConditionTrue(cluster.Status.Conditions, conditionType) {
			w.t.Errorf("a stopped cluster says that %s is true", conditionType)
		}
	}
	plane := &containerservicev1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: cluster.Spec.Incarnation}}
	if !w.exists(plane) || plane.Spec.PowerState != meta.PowerStopped {
		w.t.Fatalf("the control plane is not told to stop: %+v", plane.Spec)
	}
	for _, machine := range w.machines() {
		if machine.Spec.PowerState != meta.PowerStopped {
			w.t.Errorf("machine %s is not told to stop", machine.Name)
		}
	}
	if _, connected := w.registry.Get("demo"); connected {
		w.t.Error("a stopped cluster is still connected")
	}
}

func (w *world) machines() []containerservicev1.Machine {
	w.t.Helper()
	var list containerservicev1.MachineList
	must(w.t, w.api.List(context.Background(), &list))
	return list.Items
}

// who are the names and addresses of the cluster and all its machines.
func (w *world) who() string {
	cluster := w.cluster("demo")
	lines := []string{cluster.Status.Address, cluster.Status.OutboundAddress, cluster.Status.FQDN}
	for _, machine := range w.machines() {
		lines = append(lines, fmt.Sprint(machine.Name, machine.Spec.Address, machine.Spec.PodCIDR, machine.Spec.IDRangeStart))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestAStoppedClusterComesBackAsItWas(t *testing.T) {
	w := demo(t, 2)
	w.expose("web")
	before, frontends := w.who(), fmt.Sprint(w.frontends())
	w.power("stop", meta.VerbStop)
	w.live()
	w.ended("stop", meta.OperationSucceeded)
	if !w.cluster("demo").Stopped() {
		t.Fatalf("not stopped: %+v", w.cluster("demo").Status)
	}
	w.power("start", meta.VerbStart)
	w.live()
	w.ended("start", meta.OperationSucceeded)
	if after := w.who(); after != before {
		t.Errorf("the cluster came back as\n%s\nwas\n%s", after, before)
	}
	if after := fmt.Sprint(w.frontends()); after != frontends {
		t.Errorf("the frontends came back as %s, were %s", after, frontends)
	}
	if state := w.cluster("demo").Status.PowerState; state != meta.PowerRunning {
		t.Errorf("the power state is %s", state)
	}
}

func TestTheAPIServerStopsAfterTheNodes(t *testing.T) {
	w := demo(t, 1)
	w.hostDown = true
	w.power("stop", meta.VerbStop)
	w.live()
	plane := &containerservicev1.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: w.cluster("demo").Spec.Incarnation}}
	if !w.exists(plane) || plane.Spec.PowerState == meta.PowerStopped {
		t.Fatal("the control plane is told to stop while a node runs")
	}
	if state := w.cluster("demo").Status; state.ProvisioningState != containerservicev1.StateStopping || state.PowerState != meta.PowerRunning {
		t.Fatalf("while it stops it is %s and %s", state.ProvisioningState, state.PowerState)
	}
	w.hostDown = false
	w.live()
	w.stopped(1)
}

func TestAStartEndsOnlyOnceTheKubeletsReportedSince(t *testing.T) {
	w := demo(t, 1)
	w.power("stop", meta.VerbStop)
	w.live()
	w.clock.SetTime(w.clock.Now().Add(30_000_000_000))
	w.kubeletsDown = true
	w.power("start", meta.VerbStart)
	w.live()
	if _, ended, _ := w.history.Get("start"); ended {
		t.Fatal("the start ended with a node that has not reported since")
	}
	if node := w.node(); node.Status.Conditions[0].Status != corev1.ConditionTrue {
		t.Fatal("the node does not tell its old state: the test proves nothing")
	}
	w.kubeletsDown = false
	w.live()
	w.ended("start", meta.OperationSucceeded)
	w.consistent("demo", 1)
}

func (w *world) node() corev1.Node {
	w.t.Helper()
	var nodes corev1.NodeList
	must(w.t, w.tenantOf("demo").List(context.Background(), &nodes, &client.ListOptions{}))
	return nodes.Items[0]
}

func TestAnAbortedCreateMakesNothingNew(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 2)
	w.abort(meta.ScopeCluster)
	w.live()
	w.ended("create-demo", meta.OperationCanceled)
	if machines := w.machines(); len(machines) != 0 {
		t.Fatalf("%d machines were made after the abort", len(machines))
	}
	if state := w.cluster("demo").Status.ProvisioningState; state != containerservicev1.StateCanceled {
		t.Fatalf("the state is %s", state)
	}
}

func TestAnAbortedScaleKeepsTheNodesThatAre(t *testing.T) {
	w := demo(t, 3)
	w.scale("demo", "down", 1)
	w.abort("nodepool1")
	w.live()
	w.ended("down", meta.OperationCanceled)
	if n := len(w.machines()); n != 3 {
		t.Fatalf("%d machines are left, want 3", n)
	}
	if state := w.cluster("demo").Status.ProvisioningState; state != containerservicev1.StateSucceeded {
		t.Fatalf("the pool's abort speaks for the cluster: %s", state)
	}
	w.scale("demo", "again", 1)
	cluster := w.cluster("demo")
	cluster.Spec.Aborted = nil
	must(t, w.api.Update(context.Background(), cluster))
	w.live()
	w.consistent("demo", 1)
}

func TestAKillBehindAnyWriteOfAStopStartOrAbortHeals(t *testing.T) { heals(t, powerStories()) }

func powerStories() map[string]story {
	two := func(w *world) { w.put("demo", 2); w.live() }
	return map[string]story{
		"stop": {
			before: two,
			event:  func(w *world) { w.power("stop", meta.VerbStop) },
			check:  func(w *world) { w.stopped(2); w.ended("stop", meta.OperationSucceeded) },
		},
		"start": {
			before: func(w *world) { two(w); w.power("stop", meta.VerbStop); w.live() },
			event:  func(w *world) { w.power("start", meta.VerbStart) },
			check:  func(w *world) { w.consistent("demo", 2); w.ended("start", meta.OperationSucceeded) },
		},
		"abort a scale": {
			before: two,
			event:  func(w *world) { w.scale("demo", "up", 3); w.abort("nodepool1") },
			check: func(w *world) {
				if got, want := w.counts(), expected(2); got != want || !w.cluster("demo").Aborted("nodepool1") {
					w.t.Fatalf("left over or missing:\n got %s\nwant %s", got, want)
				}
				w.ended("up", meta.OperationCanceled)
				w.ended("abort-up", meta.OperationSucceeded)
			},
		},
		"abort a stop": {
			before: two,
			event:  func(w *world) { w.power("stop", meta.VerbStop); w.abort(meta.ScopeCluster) },
			check: func(w *world) {
				w.ended("stop", meta.OperationCanceled)
				w.ended("abort-stop", meta.OperationSucceeded)
			},
		},
	}
}
