package controller_test

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	upstream "k8s.io/cloud-provider"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/cloudprovider"
)

const uninitialized = "node.cloudprovider.kubernetes.io/uninitialized"

// someNode is the first node of demo's tenant.
func (w *world) someNode() *corev1.Node {
	w.t.Helper()
	var nodes corev1.NodeList
	must(w.t, w.tenantOf("demo").List(context.Background(), &nodes))
	return &nodes.Items[0]
}

// someMachine is the first machine of demo.
func (w *world) someMachine() containerservicev1.Machine {
	w.t.Helper()
	var machines containerservicev1.MachineList
	must(w.t, w.api.List(context.Background(), &machines))
	return machines.Items[0]
}

func TestANodeThatWaitsForItsCloudIsToldWhoItIsAndLetGo(t *testing.T) {
	w := demo(t, 1)
	node := w.someNode()
	node.Spec.ProviderID = ""
	node.Spec.Taints = append(node.Spec.Taints, corev1.Taint{Key: uninitialized, Value: "true", Effect: corev1.TaintEffectNoSchedule}, corev1.Taint{Key: "mine", Effect: corev1.TaintEffectNoSchedule})
	must(t, w.tenantOf("demo").Update(context.Background(), node))
	w.live()
	node = w.someNode()
	if node.Spec.ProviderID != w.someMachine().Spec.ProviderID {
		t.Errorf("the node's providerID is %q", node.Spec.ProviderID)
	}
	if len(node.Spec.Taints) != 1 || node.Spec.Taints[0].Key != "mine" {
		t.Errorf("the node's taints are %v", node.Spec.Taints)
	}
	if len(node.Status.Addresses) == 0 || node.Labels[corev1.LabelTopologyRegion] != "local" {
		t.Errorf("addresses %v, labels %v", node.Status.Addresses, node.Labels)
	}
}

func TestANodeWhoseMachineIsGoneVanishesAndAStrangersStays(t *testing.T) {
	w := demo(t, 1)
	gone := w.someNode().DeepCopy()
	gone.ObjectMeta = metav1.ObjectMeta{Name: "aks-nodepool1-00000000-vmss000009"}
	gone.Spec = corev1.NodeSpec{ProviderID: w.someMachine().Spec.ProviderID + "99"}
	gone.Status = corev1.NodeStatus{}
	working, stranger := gone.DeepCopy(), gone.DeepCopy()
	working.Name, stranger.Name = "working", "stranger"
	working.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	stranger.Spec.ProviderID = ""
	for _, node := range []*corev1.Node{gone, working, stranger} {
		status := node.Status
		must(t, w.tenantOf("demo").Create(context.Background(), node))
		node.Status = status
		must(t, w.tenantOf("demo").Status().Update(context.Background(), node))
	}
	w.live()
	for name, stays := range map[string]bool{gone.Name: false, "working": true, "stranger": true} {
		err := w.tenantOf("demo").Get(context.Background(), client.ObjectKey{Name: name}, &corev1.Node{})
		must(t, client.IgnoreNotFound(err))
		if (err == nil) != stays {
			t.Errorf("node %s: stays %v, want %v", name, err == nil, stays)
		}
	}
}

func TestTheCloudTellsKubernetesWhatThereIs(t *testing.T) {
	ctx := context.Background()
	w := demo(t, 2)
	w.expose("web")
	cloud := cloudprovider.New(w.api, w.cluster("demo"))
	node := w.someNode()
	metadata, err := cloud.InstanceMetadata(ctx, node)
	must(t, err)
	if metadata.ProviderID != w.someMachine().Spec.ProviderID || metadata.InstanceType == "" || metadata.NodeAddresses[0].Address != "10.224.0.4" {
		t.Errorf("metadata: %+v", metadata)
	}
	if _, err := cloud.InstanceMetadata(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "no-such"}}); err != upstream.InstanceNotFound { //nolint:errorlint // a value of the interface
		t.Errorf("a node that is none: %v", err)
	}
	if shut, err := cloud.InstanceShutdown(ctx, node); err != nil || shut {
		t.Errorf("a machine that runs is shut down: %v, %v", shut, err)
	}
	routes, err := cloud.ListRoutes(ctx, "")
	must(t, err)
	if len(routes) != 2 || routes[0].DestinationCIDR != "10.244.0.0/24" || string(routes[0].TargetNode) != node.Name {
		t.Errorf("routes: %+v", routes)
	}
	found, _ := w.service("web")
	status, exists, err := cloud.GetLoadBalancer(ctx, "", found)
	must(t, err)
	if !exists || status.Ingress[0].IP != w.answersOn("web") {
		t.Errorf("balancer: %+v, %v", status, exists)
	}
	if err := cloud.EnsureLoadBalancerDeleted(ctx, "", found); err != upstream.ImplementedElsewhere { //nolint:errorlint // a value of the interface
		t.Errorf("deleting: %v", err)
	}
}

func TestANodeWhoseMachineIsStoppedIsNotReadyAtOnceNorAreItsPods(t *testing.T) {
	w := demo(t, 1)
	node := w.someNode()
	node.Spec.ProviderID = w.someMachine().Spec.ProviderID
	must(t, w.tenantOf("demo").Update(context.Background(), node))
	w.pod("agent", 0, "DaemonSet")
	agent := &corev1.Pod{}
	key := client.ObjectKey{Namespace: "default", Name: "agent"}
	must(t, w.tenantOf("demo").Get(context.Background(), key, agent))
	agent.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}, {Type: corev1.PodScheduled, Status: corev1.ConditionTrue}}
	must(t, w.tenantOf("demo").Status().Update(context.Background(), agent))
	w.poolPower("stop", meta.PowerStopped)
	w.live()
	w.ended("stop", meta.OperationSucceeded)
	if c := w.someNode().Status.Conditions[0]; c.Status != corev1.ConditionUnknown || c.Reason != "NodeStatusUnknown" {
		t.Errorf("the node says %+v", c)
	}
	must(t, w.tenantOf("demo").Get(context.Background(), key, agent))
	if c := agent.Status.Conditions; c[0].Status != corev1.ConditionFalse || c[1].Status != corev1.ConditionTrue {
		t.Errorf("the pod of the node says %+v", c)
	}
	w.passes(time.Minute)
	w.poolPower("start", meta.PowerRunning)
	w.live()
	w.ended("start", meta.OperationSucceeded)
	if c := w.someNode().Status.Conditions[0]; c.Status != corev1.ConditionTrue {
		t.Errorf("the node that was started says %+v", c)
	}
}
