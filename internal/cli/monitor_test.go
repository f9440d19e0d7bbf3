package cli

import (
	"strings"
	"testing"
)

func TestTheActivityIsListedFromTheCommandLine(t *testing.T) {
	d := newService(t)
	d.must("group", "create", "-n", "rg")
	d.must("aks", "create", "-g", "rg", "-n", "demo")
	list := func(more ...string) string {
		t.Helper()
		out, errs, code := d.run(append([]string{"monitor", "activity-log", "list"}, more...)...)
		if code != 0 {
			t.Fatalf("%v: exit code %d: %s", more, code, errs)
		}
		return out
	}
	table := list("-g", "rg", "-o", "table")
	for _, want := range []string{"Create managedClusters", "Started", "Succeeded", "Caller"} {
		if !strings.Contains(table, want) {
			t.Errorf("the table lacks %q:\n%s", want, table)
		}
	}
	ids := strings.Fields(list("--status", "Succeeded", "--offset", "1d1h", "--query", "[].operationId", "-o", "tsv"))
	if len(ids) != 1 {
		t.Errorf("what succeeded are %v", ids)
	}
	if got := strings.Fields(list("--max-events", "1", "--query", "[].operationId", "-o", "tsv")); len(got) != 1 {
		t.Errorf("of one event at most there are %v", got)
	}
	if got := list("--start-time", "2020-01-01", "--end-time", "2020-01-02"); strings.TrimSpace(got) != "[]" {
		t.Errorf("long ago there was %s", got)
	}
	if got := list("--caller", "it's nobody"); strings.TrimSpace(got) != "[]" {
		t.Errorf("nobody asked for %s", got)
	}
	for flag, value := range map[string]string{"--offset": "soon", "--start-time": "soon", "--end-time": "soon", "--max-events": "0"} {
		if _, errs, code := d.run("monitor", "activity-log", "list", flag, value); code == 0 || !strings.Contains(errs, flag) {
			t.Errorf("%s %s: exit code %d: %s", flag, value, code, errs)
		}
	}
}
