package machine

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
)

func TestANodeThatOnlyLacksItsPluginIsToldFromOthers(t *testing.T) {
	const noPlugin = "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized"
	for _, test := range []struct {
		name      string
		condition corev1.NodeCondition
		want      bool
	}{
		{"one that lacks it", corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady", Message: noPlugin}, true},
		{"one that lacks more", corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Reason: "KubeletNotReady", Message: "[" + noPlugin + ", PLEG is not healthy]"}, false},
		{"one that is silent", corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Reason: "NodeStatusUnknown", Message: "Kubelet stopped posting node status."}, false},
		{"one that is ready", corev1.NodeCondition{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "KubeletReady"}, false},
	} {
		found := &corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{test.condition}}}
		if got := lacksPlugin(readiness(found)); got != test.want {
			t.Errorf("%s: %t", test.name, got)
		}
	}
}
