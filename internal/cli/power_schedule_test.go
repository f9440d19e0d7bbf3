package cli

import (
	"strings"
	"testing"
)

// scheduled is a real front end with a cluster.
func scheduled(t *testing.T) *double {
	t.Helper()
	d := newService(t)
	d.must("group", "create", "-n", "rg")
	d.must("aks", "create", "-g", "rg", "-n", "demo", "--no-wait")
	return d
}

func TestASchedulesLifeFromTheCommandLine(t *testing.T) {
	d := scheduled(t)
	run := func(want string, arguments ...string) {
		t.Helper()
		out, errs, code := d.run(append([]string{"aks", "schedule"}, arguments...)...)
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%v: exit code %d, %s%s; want %s", arguments, code, out, errs, want)
		}
	}
	of := func(command string, more ...string) []string {
		return append([]string{command, "-g", "rg", "--cluster-name", "demo"}, more...)
	}
	run("office", of("add", "-n", "Office", "--stop", "0 20 * * 1-5", "--start", "0 7 * * 1-5", "--time-zone", "Europe/Berlin")...)
	run("Europe/Berlin", of("show", "-n", "office")...)
	run("0 20 * * 1-5", of("list", "-o", "table")...)
	run("Disabled", of("add", "-n", "office", "--stop", "@daily", "--disabled")...)
	run("", of("delete", "-n", "office", "--yes")...)
	run("[]", of("list", "-o", "json")...)
	if _, errs, code := d.run(append([]string{"aks", "schedule"}, of("show", "-n", "office")...)...); code == 0 || !strings.Contains(errs, "ResourceNotFound") {
		t.Errorf("what was deleted is shown: %d %s", code, errs)
	}
}

func TestAnImpossibleScheduleIsRefusedWithItsPath(t *testing.T) {
	d := scheduled(t)
	_, errs, code := d.run("aks", "schedule", "add", "-g", "rg", "--cluster-name", "demo", "-n", "never", "--stop", "0 0 31 2 *")
	if code == 0 || !strings.Contains(errs, "never due") || !strings.Contains(errs, "properties.stop") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if _, errs, code := d.run("aks", "schedule", "add", "-g", "rg", "--cluster-name", "demo", "-n", "none"); code == 0 || !strings.Contains(errs, "stop") {
		t.Errorf("neither stop nor start: exit code %d: %s", code, errs)
	}
}
