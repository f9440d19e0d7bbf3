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

// rawStart is how long the cluster's API server takes to answer after a kill,
// here and now: what others do on the machine makes all starts longer.
func (c *cluster) rawStart(t *testing.T) time.Duration {
	t.Helper()
	if err := c.apiServer(t).kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	c.eventually(t, time.Minute, func(said string) bool { return said == "ok" }, "get", "--raw", "/readyz")
	raw := time.Since(killed)
	t.Logf("a raw start of the API server takes %v", raw.Round(time.Millisecond))
	return raw
}

// hardlyAway asserts that the API was never away for longer than 1.5 raw starts.
func (w *writer) hardlyAway(t *testing.T, raw time.Duration) {
	t.Helper()
	if most := max(raw*3/2, 3*time.Second); w.longest > most {
		t.Errorf("the API was away for %v, more than %v", w.longest, most)
	}
}
