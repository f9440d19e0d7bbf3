//go:build e2e

package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// upgradeState is what "berth aks upgrade-status" says.
type upgradeState struct {
	Properties struct {
		KubernetesVersion, CurrentKubernetesVersion, BinaryVersion, EmulatedVersion string
		CanRollBack                                                                 bool
	}
}

func (c *cluster) upgradeState(t *testing.T) upgradeState {
	t.Helper()
	var state upgradeState
	if err := json.Unmarshal([]byte(must(t, "aks", "upgrade-status", "-g", c.group, "-n", c.name, "-o", "json")), &state); err != nil {
		t.Fatal(err)
	}
	return state
}

// served is what the API server itself says of its versions.
func (c *cluster) served(t *testing.T) (binary, emulated string) {
	t.Helper()
	var version struct{ GitVersion, EmulationMajor, EmulationMinor string }
	if err := json.Unmarshal([]byte(c.must(t, "get", "--raw", "/version")), &version); err != nil {
		t.Fatal(err)
	}
	return strings.TrimPrefix(version.GitVersion, "v"), version.EmulationMajor + "." + version.EmulationMinor
}

// agrees asserts that ARM and the API server tell the same.
func (c *cluster) agrees(t *testing.T, binary, emulated, current string, canRollBack bool) {
	t.Helper()
	if gotBinary, gotEmulated := c.served(t); gotBinary != binary || gotEmulated != emulated {
		t.Errorf("the API server is %s behaving as %s, want %s behaving as %s", gotBinary, gotEmulated, binary, emulated)
	}
	p := c.upgradeState(t).Properties
	if p.BinaryVersion != binary || p.CurrentKubernetesVersion != current || p.CanRollBack != canRollBack {
		t.Errorf("ARM says %+v, want binaries %s serving %s, a way back: %t", p, binary, current, canRollBack)
	}
	if shown := strings.TrimSpace(must(t, "aks", "show", "-g", c.group, "-n", c.name, "--query", "currentKubernetesVersion", "-o", "tsv")); shown != current {
		t.Errorf("currentKubernetesVersion = %s, want %s", shown, current)
	}
}

func TestAnUpgradeOfTheControlPlaneLosesNothingIsRolledBackAndLiftedUnderAWriter(t *testing.T) {
	c := newCluster(t, "upgrade", "--node-count", "1", "--kubernetes-version", "1.35.4")
	nodes := c.must(t, "get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}")
	w := startWriter(t, c)
	upgrade := []string{"aks", "upgrade", "-g", c.group, "-n", c.name, "-k", "1.36.3", "--control-plane-only", "--yes"}

	must(t, append(upgrade[:len(upgrade)-1:len(upgrade)-1], "--dry-run")...)
	c.agrees(t, "1.35.4", "1.35", "1.35.4", false)
	must(t, upgrade...)
	c.agrees(t, "1.36.3", "1.35", "1.35.4", true)
	c.must(t, "create", "configmap", "while-emulating", "--from-literal=word=kept")

	must(t, "aks", "rollback", "-g", c.group, "-n", c.name, "--yes")
	c.agrees(t, "1.35.4", "1.35", "1.35.4", false)
	if word := c.must(t, "get", "configmap", "while-emulating", "-o", "jsonpath={.data.word}"); word != "kept" {
		t.Errorf("what was written while it emulated is %q", word)
	}

	must(t, upgrade...)
	must(t, "aks", "lift", "-g", c.group, "-n", c.name, "--yes")
	c.agrees(t, "1.36.3", "1.36", "1.36.3", false)
	if message := refused(t, "aks", "rollback", "-g", c.group, "-n", c.name, "--yes"); !strings.Contains(message, "serves Kubernetes 1.36.3 already") {
		t.Errorf("a rollback after the lift is refused with %q", message)
	}
	if now := c.must(t, "get", "nodes", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}"); now != nodes {
		t.Errorf("the nodes went from %s to %s: the control plane alone was to be upgraded", nodes, now)
	}
	w.stop(t)
	if w.longest > 3*time.Second { // about what a raw start takes; each of the three swaps and the lift hands over
		t.Errorf("the API was away for %v", w.longest)
	}
}
