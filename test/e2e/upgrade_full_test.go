//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestAWholeUpgradeOfTwoPoolsLosesNoRequestAndIsToldAsItIs takes an upgrade of
// the control plane back, and then goes all the way, under a writer, under
// callers of a service, and under looks from all sides.
func TestAWholeUpgradeOfTwoPoolsLosesNoRequestAndIsToldAsItIs(t *testing.T) {
	c := newCluster(t, "whole", "-c", "2", "-s", "Standard_B2s", "--kubernetes-version", "1.35.4")
	must(t, "aks", "nodepool", "add", "-g", c.group, "--cluster-name", c.name, "-n", "extra", "-c", "1", "-s", "Standard_B2s", "--mode", "User")
	raw := c.rawStart(t)
	l := startLoad(t, c)
	w := startWriter(t, c)
	told := watchTruth(t, c)

	must(t, "aks", "upgrade", "-g", c.group, "-n", c.name, "-k", "1.36.3", "--yes", "--dry-run")
	c.agrees(t, "1.35.4", "1.35", "1.35.4", false)
	must(t, "aks", "upgrade", "-g", c.group, "-n", c.name, "-k", "1.36.3", "--control-plane-only", "--yes")
	c.agrees(t, "1.36.3", "1.35", "1.35.4", true)
	c.must(t, "create", "configmap", "while-emulating", "--from-literal=word=kept")
	must(t, "aks", "rollback", "-g", c.group, "-n", c.name, "--yes")
	c.agrees(t, "1.35.4", "1.35", "1.35.4", false)
	if word := c.must(t, "get", "configmap", "while-emulating", "-o", "jsonpath={.data.word}"); word != "kept" {
		t.Errorf("what was written while it emulated is %q", word)
	}
	c.runs(t, "1.35.4", 3)

	began := time.Now()
	must(t, "aks", "upgrade", "-g", c.group, "-n", c.name, "-k", "1.36.3", "--yes")
	t.Logf("the whole upgrade took %v", time.Since(began).Round(time.Millisecond))
	c.agrees(t, "1.36.3", "1.36", "1.36.3", false)
	c.runs(t, "1.36.3", 3)

	if message := refused(t, "aks", "rollback", "-g", c.group, "-n", c.name, "--yes"); !strings.Contains(message, "1.36.3 already") {
		t.Errorf("a rollback after the lift is refused with %q", message)
	}

	told.stop(t)
	l.stop(t)
	w.stop(t)
	w.hardlyAway(t, raw)
}

// runs asserts what the kubelets of all nodes say that they are.
func (c *cluster) runs(t *testing.T, version string, nodes int) {
	t.Helper()
	c.settledNodes(t, nodes)
	want := strings.TrimSpace(strings.Repeat("v"+version+" ", nodes))
	if got := c.must(t, "get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}"); got != want {
		t.Errorf("the kubelets are %q, want %q", got, want)
	}
}
