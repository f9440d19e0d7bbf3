package nodeprofile

import (
	"maps"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestOnlyWhatThePoolGaveIsTakenFromANode(t *testing.T) {
	notReady := corev1.Taint{Key: "node.kubernetes.io/not-ready", Effect: corev1.TaintEffectNoSchedule}
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"tier": "gold", "team": "a", "mine": "yes"}},
		Spec: corev1.NodeSpec{Taints: []corev1.Taint{
			notReady, {Key: "gold", Value: "only", Effect: corev1.TaintEffectNoSchedule}, {Key: "other", Effect: corev1.TaintEffectNoExecute},
		}},
	}
	registered := Profile{Labels: map[string]string{"tier": "gold", "team": "a"}, Taints: []string{"gold=only:NoSchedule"}}

	first := Profile{Labels: map[string]string{"tier": "silver"}, Taints: []string{"silver=only:NoSchedule", "other=now:NoExecute"}}
	if !first.Apply(node, registered) {
		t.Error("the taints changed and it says no")
	}
	if want := map[string]string{"tier": "silver", "mine": "yes"}; !maps.Equal(node.Labels, want) {
		t.Errorf("labels %v, want %v", node.Labels, want)
	}
	want := []corev1.Taint{notReady, {Key: "other", Value: "now", Effect: corev1.TaintEffectNoExecute}, {Key: "silver", Value: "only", Effect: corev1.TaintEffectNoSchedule}}
	if !slices.Equal(node.Spec.Taints, want) {
		t.Errorf("taints %v, want %v", node.Spec.Taints, want)
	}
	if first.Apply(node, registered) {
		t.Error("nothing is left to change and it says that the taints changed")
	}

	// What it registered with counts no more: the node remembers.
	node.Labels["team"] = "a"
	Profile{}.Apply(node, registered)
	if want := map[string]string{"team": "a", "mine": "yes"}; !maps.Equal(node.Labels, want) {
		t.Errorf("labels %v, want %v", node.Labels, want)
	}
	if want := []corev1.Taint{notReady}; !slices.Equal(node.Spec.Taints, want) {
		t.Errorf("taints %v, want %v", node.Spec.Taints, want)
	}
}

func TestALabelThatSomebodyChangedIsTheirsOnceThePoolLetsItGo(t *testing.T) {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"tier": "by hand"}}}
	Profile{}.Apply(node, Profile{Labels: map[string]string{"tier": "gold"}})
	if node.Labels["tier"] != "by hand" {
		t.Errorf("labels %v", node.Labels)
	}
}
