//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// busy is a deployment that takes all the processor time it gets, and an
// autoscaler of it.
const busy = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: busy}
spec:
  selector: {matchLabels: {app: busy}}
  template:
    metadata: {labels: {app: busy}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
      - name: busy
        image: berth.internal/test/client:v1
        command: [/bin/sh, -c, "while :; do :; done"]
        resources: {requests: {cpu: 20m}, limits: {cpu: 100m}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: busy}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: busy}
  minReplicas: 1
  maxReplicas: 3
  metrics:
  - type: Resource
    resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}
`

func TestPodsAndNodesAreMeasuredAndADeploymentScalesByIt(t *testing.T) {
	c := newCluster(t, "metrics", "-c", "1", "-s", "Standard_B2s")
	c.applyText(t, chatty)
	c.seesItsOwnDisk(t)
	began := time.Now()
	c.eventually(t, 90*time.Second, func(printed string) bool { return strings.Contains(printed, "%") }, "top", "nodes", "--no-headers")
	c.eventually(t, 30*time.Second, func(printed string) bool { return strings.Contains(printed, "coredns") }, "top", "pods", "-n", "kube-system", "--no-headers")
	t.Logf("kubectl top answers %v after the cluster was made", time.Since(began).Round(time.Second))
	c.applyText(t, busy)
	c.eventually(t, 3*time.Minute, func(replicas string) bool { return replicas == "3" },
		"get", "deployment", "busy", "-o", "jsonpath={.status.readyReplicas}")
	if got := c.must(t, "get", "hpa", "busy", "-o", `jsonpath={.status.conditions[?(@.type=="ScalingActive")].status}`); got != "True" {
		t.Errorf("the autoscaler is active: %s", got)
	}
	c.logsAreHeld(t) // by now
}
