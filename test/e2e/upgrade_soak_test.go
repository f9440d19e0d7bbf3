//go:build e2e

package e2e

import (
	"strings"
	"testing"
)

// TestAnUpgradeIsDoneInEveryModeFromMinorToMinor goes two minors up with one
// cluster: the control plane alone, taken back, again, lifted by command, then
// its pool; and the whole cluster at once.
func TestAnUpgradeIsDoneInEveryModeFromMinorToMinor(t *testing.T) {
	if !soak() {
		t.Skip("a long form: make soak")
	}
	c := newCluster(t, "matrix", "-c", "1", "-s", "Standard_B2s", "--kubernetes-version", "1.34.3")
	c.agrees(t, "1.34.3", "1.34", "1.34.3", false)
	w := startWriter(t, c)
	to := func(version string, more ...string) []string {
		return append([]string{"aks", "upgrade", "-g", c.group, "-n", c.name, "-k", version, "--yes"}, more...)
	}
	if message := refused(t, to("1.36.3")...); !strings.Contains(message, "skip a minor") {
		t.Errorf("two minors at once are refused with %q", message)
	}

	must(t, to("1.35.4", "--control-plane-only")...)
	c.agrees(t, "1.35.4", "1.34", "1.34.3", true)
	must(t, "aks", "rollback", "-g", c.group, "-n", c.name, "--yes")
	c.agrees(t, "1.34.3", "1.34", "1.34.3", false)
	must(t, to("1.35.4", "--control-plane-only")...)
	c.agrees(t, "1.35.4", "1.34", "1.34.3", true)
	c.runs(t, "1.34.3", 1)
	must(t, "aks", "lift", "-g", c.group, "-n", c.name, "--yes")
	c.agrees(t, "1.35.4", "1.35", "1.35.4", false)
	must(t, to("1.35.4")...) // its pool follows
	c.runs(t, "1.35.4", 1)

	must(t, to("1.36.3", "--control-plane-only")...)
	c.agrees(t, "1.36.3", "1.35", "1.35.4", true)
	must(t, to("1.36.3")...) // the rest of the way: soak, lift and pool
	c.agrees(t, "1.36.3", "1.36", "1.36.3", false)
	c.runs(t, "1.36.3", 1)
	w.stop(t)
}

// TestAnUpgradeSurvivesAKillAtEveryPhase kills the service whenever something of
// an upgrade, of its rollback, of a lift or of the roll of a pool begins or ends.
func TestAnUpgradeSurvivesAKillAtEveryPhase(t *testing.T) {
	if !soak() {
		t.Skip("a long form: make soak")
	}
	c := newCluster(t, "upkills", "-c", "1", "-s", "Standard_B2s", "--kubernetes-version", "1.35.4")
	w := startWriter(t, c)
	faults := watchFaults(t)
	do := func(what string, arguments ...string) {
		t.Helper()
		faults.during(t, what, func() error {
			_, err := service.berth(append(arguments, "-g", c.group, "-n", c.name, "--yes", "--no-wait")...)
			return err
		}, c.succeeded)
	}
	do("upgrade of the control plane", "aks", "upgrade", "-k", "1.36.3", "--control-plane-only")
	c.agrees(t, "1.36.3", "1.35", "1.35.4", true)
	do("rollback", "aks", "rollback")
	c.agrees(t, "1.35.4", "1.35", "1.35.4", false)
	do("whole upgrade", "aks", "upgrade", "-k", "1.36.3")
	c.agrees(t, "1.36.3", "1.36", "1.36.3", false)
	c.runs(t, "1.36.3", 1)
	c.settled(t, 1)
	w.stop(t)
}
