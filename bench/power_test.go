package main

import (
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func TestANodeThatHasNotReportedSinceDoesNotCountAsReady(t *testing.T) {
	begun := time.Date(2026, 11, 21, 8, 0, 0, 700_000_000, time.UTC)
	node := func(status corev1.ConditionStatus, heartbeat time.Duration) corev1.Node {
		return corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: status, LastHeartbeatTime: metav1.NewTime(begun.Truncate(time.Second).Add(heartbeat)),
		}}}}
	}
	nodes := []corev1.Node{
		node(corev1.ConditionTrue, -time.Minute), node(corev1.ConditionFalse, time.Second),
		node(corev1.ConditionTrue, 0), node(corev1.ConditionTrue, time.Second),
	}
	if got := readySince(nodes, begun); got != 2 {
		t.Errorf("%d nodes count, want 2", got)
	}
}

func TestAPartIsNamedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range parts() {
		if seen[p.name] {
			t.Errorf("there are two parts %s", p.name)
		}
		seen[p.name] = true
	}
}

func TestNothingUsedMeetsATargetOfNothing(t *testing.T) {
	if r := (samples{values: []float64{0, 0}, unit: "MB"}).result(); !r.Met {
		t.Errorf("result = %+v, want the target met", r)
	}
	if r := (samples{values: []float64{0.1}, unit: "MB"}).result(); r.Met {
		t.Errorf("result = %+v, want the target missed", r)
	}
}
