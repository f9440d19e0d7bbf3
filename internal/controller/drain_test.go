package controller_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

const budget = "The disruption budget web needs 1 healthy pods and has 1 currently"

func nodeOf(o client.Object) []string { return []string{o.(*corev1.Pod).Spec.NodeName} }

// budgeted makes a fake API server refuse evictions as a real one does.
func (w *world) budgeted(c client.WithWatch) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		SubResourceCreate: func(ctx context.Context, c client.Client, sub string, o, s client.Object, opts ...client.SubResourceCreateOption) error {
			if why := w.protected[o.GetName()]; why != "" {
				return &apierrors.StatusError{ErrStatus: metav1.Status{
					Status: metav1.StatusFailure, Code: http.StatusTooManyRequests, Reason: metav1.StatusReasonTooManyRequests,
					Message: "Cannot evict pod as it would violate the pod's disruption budget.",
					Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Type: policyv1.DisruptionBudgetCause, Message: why}}},
				}}
			}
			return c.SubResource(sub).Create(ctx, o, s, opts...)
		},
	})
}

// pod puts a pod onto the node with an index.
func (w *world) pod(name string, index int32, owner string) {
	w.t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	for _, machine := range w.machines() {
		if machine.Spec.Index == index {
			pod.Spec.NodeName = machine.Spec.NodeName
		}
	}
	if owner != "" {
		controls := true
		pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "apps/v1", Kind: owner, Name: "it", UID: "it", Controller: &controls}}
	}
	must(w.t, w.tenantOf("demo").Create(context.Background(), pod))
}

// node is the node with an index, nil if there is none.
func (w *world) nodeAt(index int32) *corev1.Node {
	w.t.Helper()
	for _, machine := range w.machines() {
		if machine.Spec.Index == index {
			node := &corev1.Node{}
			must(w.t, w.tenantOf("demo").Get(context.Background(), client.ObjectKey{Name: machine.Spec.NodeName}, node))
			return node
		}
	}
	return nil
}

func (w *world) pods() (names []string) {
	w.t.Helper()
	var pods corev1.PodList
	must(w.t, w.tenantOf("demo").List(context.Background(), &pods))
	for _, pod := range pods.Items {
		names = append(names, pod.Name)
	}
	return names
}

// failure is how the pool's last operation failed.
func (w *world) poolFailure() meta.Failure {
	w.t.Helper()
	var pools containerservicev1.AgentPoolList
	must(w.t, w.api.List(context.Background(), &pools))
	if len(pools.Items) != 1 || pools.Items[0].Status.Failure == nil {
		w.t.Fatalf("no failure: %+v", pools.Items)
	}
	return *pools.Items[0].Status.Failure
}

func TestANodeThatLeavesIsDrainedFirst(t *testing.T) {
	w := demo(t, 2)
	w.pod("web", 1, "ReplicaSet")
	w.pod("agent", 1, "DaemonSet")
	w.protected["web"] = budget
	w.scale("demo", "down", 1)
	w.live()
	if node := w.nodeAt(1); node == nil || !node.Spec.Unschedulable {
		t.Fatalf("the node is not cordoned: %+v", node)
	}
	progress := w.cluster("demo").Status.Progress
	if len(progress) != 1 || !strings.Contains(progress[0].Message, "default/web") || !strings.Contains(progress[0].Message, "disruption budget web") {
		t.Errorf("the progress does not name the pod and the budget: %+v", progress)
	}
	for _, machine := range w.machines() {
		drained := apimeta.FindStatusCondition(machine.Status.Conditions, containerservicev1.ConditionDrained)
		if (drained != nil) != (machine.Spec.Index == 1) || drained != nil && drained.Reason != "UnsatisfiablePDB" {
			t.Errorf("machine %d: %+v", machine.Spec.Index, drained)
		}
	}
	delete(w.protected, "web")
	w.live()
	w.ended("down", meta.OperationSucceeded)
	w.consistent("demo", 1)
	if left := w.pods(); len(left) > 0 {
		t.Errorf("left of a node that is gone: %v", left)
	}
}

func TestADrainThatNeverEndsFailsWithPodAndBudgetAndTheNextRequestGoesOn(t *testing.T) {
	w := demo(t, 2)
	w.hasty()
	w.pod("web", 1, "ReplicaSet")
	w.protected["web"] = budget
	w.scale("demo", "down", 1)
	w.live()
	w.passes(5 * time.Minute)
	w.live()
	w.ended("down", meta.OperationFailed)
	if f := w.poolFailure(); f.Code != "PodDrainFailure" || !strings.Contains(f.Message, "default/web") || !strings.Contains(f.Message, budget) {
		t.Errorf("failure = %+v", f)
	}
	if w.nodeAt(1).Spec.Unschedulable {
		t.Error("the node that stays takes no pods")
	}
	w.scale("demo", "again", 1)
	w.live()
	if !w.nodeAt(1).Spec.Unschedulable {
		t.Error("the second request does not go on")
	}
	delete(w.protected, "web")
	w.live()
	w.ended("again", meta.OperationSucceeded)
	w.consistent("demo", 1)
}

func TestANodeThatIsNeededAgainIsNotDrainedFurther(t *testing.T) {
	w := demo(t, 2)
	w.hasty()
	w.pod("web", 1, "ReplicaSet")
	w.protected["web"] = budget
	w.scale("demo", "down", 1)
	w.live()
	w.passes(5 * time.Minute)
	w.live()
	before := w.who()
	w.scale("demo", "up", 2)
	w.live()
	w.ended("up", meta.OperationSucceeded)
	w.consistent("demo", 2)
	if w.who() != before || w.nodeAt(1).Spec.Unschedulable {
		t.Error("the node was replaced, or takes no pods")
	}
}

func TestADeletedClusterIsNotDrained(t *testing.T) {
	w := demo(t, 2)
	w.pod("web", 1, "ReplicaSet")
	w.protected["web"] = budget
	w.delete("demo")
	w.live()
	if got := w.counts(); got != nothing {
		t.Errorf("left over: %s", got)
	}
}

func TestANodeWhoseKubeletIsDeadDoesNotBlock(t *testing.T) {
	w := demo(t, 2)
	w.pod("web", 1, "StatefulSet")
	w.protected["web"] = budget
	node := w.nodeAt(1)
	node.Status.Conditions = []corev1.NodeCondition{{
		Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", LastTransitionTime: metav1.NewTime(w.clock.Now()),
	}}
	must(t, w.tenantOf("demo").Status().Update(context.Background(), node))
	w.kubeletsDown = true
	w.scale("demo", "down", 1)
	w.live()
	w.passes(time.Minute)
	w.live()
	w.ended("down", meta.OperationSucceeded)
	if left := w.pods(); len(left) > 0 {
		t.Errorf("left of a node that is gone: %v", left)
	}
}

// passes lets time go by.
func (w *world) passes(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// dated makes a fake client tell when objects were made, as an API server does.
func (w *world) dated(c client.WithWatch) client.WithWatch {
	return interceptor.NewClient(c, interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			o.SetCreationTimestamp(metav1.NewTime(w.clock.Now()))
			return c.Create(ctx, o, opts...)
		},
	})
}

// hasty gives the pool's nodes five minutes to drain.
func (w *world) hasty() {
	w.t.Helper()
	c := w.cluster("demo")
	c.Spec.AgentPools[0].UpgradeSettings.DrainTimeoutInMinutes = 5
	must(w.t, w.api.Update(context.Background(), c))
	w.live()
}
