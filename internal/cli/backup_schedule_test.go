package cli

import (
	"strings"
	"testing"
)

func TestABackupSchedulesLifeFromTheCommandLine(t *testing.T) {
	d := scheduled(t)
	run := func(want string, arguments ...string) {
		t.Helper()
		arguments = append([]string{"aks", "backup", "schedule", arguments[0], "-g", "rg", "--cluster-name", "demo"}, arguments[1:]...)
		out, errs, code := d.run(arguments...)
		if code != 0 || !strings.Contains(out, want) {
			t.Fatalf("%v: exit code %d, %s%s; want %s", arguments, code, out, errs, want)
		}
	}
	run("nightly", "add", "-n", "Nightly", "--schedule", "0 3 * * *", "--time-zone", "Europe/Berlin", "--keep-count", "14", "--keep-days", "30")
	run("Europe/Berlin", "show", "-n", "nightly")
	run("14", "list", "-o", "table")
	run("Disabled", "add", "-n", "nightly", "--schedule", "@daily", "--disabled")
	run("", "delete", "-n", "nightly", "--yes")
	run("[]", "list", "-o", "json")
	if _, errs, code := d.run("aks", "backup", "schedule", "add", "-g", "rg", "--cluster-name", "demo", "-n", "never", "--schedule", "0 0 31 2 *"); code == 0 ||
		!strings.Contains(errs, "never due") || !strings.Contains(errs, "properties.schedule") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}
