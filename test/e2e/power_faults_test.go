//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestStopStartAbortRotationAndRestoreSurviveKills kills the service, which is the
// host's agent too, whenever something of these operations begins or ends; in the
// short form at every sixth point, which are others each time. What was written
// before is there after, and each ends as it was asked for.
func TestStopStartAbortRotationAndRestoreSurviveKills(t *testing.T) {
	c := newCluster(t, "powerkills", "-c", "1", "-s", "Standard_B2s")
	c.must(t, "create", "configmap", "kept", "--from-literal=answer=42")
	must(t, "aks", "backup", "create", "-g", c.group, "--cluster-name", c.name, "-n", "b1")
	f := watchFaults(t)
	if !soak() {
		f.every = 6
	}
	do := func(what string, done func() bool, arguments ...string) {
		t.Helper()
		f.during(t, what, func() error {
			_, err := service.berth(append(arguments, "--no-wait")...)
			return err
		}, done)
	}
	on := func(verb string, more ...string) []string {
		return append([]string{"aks", verb, "-g", c.group, "-n", c.name}, more...)
	}
	is := func(power string) func() bool {
		return func() bool {
			printed, err := service.berth(on("show", "--query", "powerState.code", "-o", "tsv")...)
			return err == nil && strings.TrimSpace(printed) == power && c.succeeded()
		}
	}
	kept := func() {
		t.Helper()
		must(t, "aks", "get-credentials", "--admin", "-g", c.group, "-n", c.name, "-f", c.kubeconfig, "--overwrite-existing")
		if got := c.must(t, "get", "configmap", "kept", "-o", "jsonpath={.data.answer}"); got != "42" {
			t.Errorf("the data are %q", got)
		}
		c.settledNodes(t, 1)
	}

	do("stop", is("Stopped"), on("stop")...)
	if left := running(t); len(left) > 0 {
		t.Errorf("of a stopped cluster %d processes run, the first is %s", len(left), left[0].command)
	}
	do("start", is("Running"), on("start")...)
	kept()
	do("rotation", func() bool { return c.succeeded() && c.retired() }, on("rotate-certs", "--grace-period", "0", "--yes")...)
	kept()
	c.must(t, "patch", "configmap", "kept", "-p", `{"data":{"answer":"43"}}`)
	do("restore", c.succeeded, "aks", "backup", "restore", "-g", c.group, "-n", "b1", "--accept-loss", "--yes")
	kept()
	c.abortedStop(t, f)
	kept()
}

// abortedStop aborts a stop under kills. Either it gave up, or it was done before;
// what is asked for then brings the cluster back.
func (c *cluster) abortedStop(t *testing.T, f *faults) {
	t.Helper()
	on := []string{"-g", c.group, "-n", c.name}
	f.every = 1 // an abort that comes early meets few points
	f.during(t, "abort of a stop", func() error {
		if _, err := service.berth(append([]string{"aks", "stop", "--no-wait"}, on...)...); err != nil {
			return err
		}
		_, err := service.berth(append([]string{"aks", "operation-abort", "--no-wait"}, on...)...)
		return err
	}, func() bool {
		printed, err := service.berth(append([]string{"aks", "show", "--query", "provisioningState", "-o", "tsv"}, on...)...)
		state := strings.TrimSpace(printed)
		return err == nil && (state == "Canceled" || state == "Succeeded")
	})
	must(t, append([]string{"aks", "start"}, on...)...)
}

// retired says whether nothing that a rotation replaced is accepted any more.
func (c *cluster) retired() bool {
	var shown struct {
		Properties struct{ PredecessorsRetired bool }
	}
	printed, err := service.berth("aks", "show-certs", "-g", c.group, "-n", c.name, "-o", "json")
	return err == nil && json.Unmarshal([]byte(printed), &shown) == nil && shown.Properties.PredecessorsRetired
}
