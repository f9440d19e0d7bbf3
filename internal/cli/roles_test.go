package cli

import (
	"strings"
	"testing"
)

func TestARoleIsGivenListedAndTaken(t *testing.T) {
	d := newService(t)
	d.must("group", "create", "-n", "rg")
	group := "/subscriptions/" + subscription + "/resourceGroups/rg"
	app := strings.TrimSpace(d.must("ad", "sp", "create", "--display-name", "ci", "--query", "appId", "-o", "tsv"))
	password := strings.TrimSpace(d.must("ad", "sp", "credential", "reset", "--id", app, "--query", "password", "-o", "tsv"))
	reads := func() bool {
		d.login(app, password)
		defer d.login(clientID, secret)
		_, _, code := d.run("group", "show", "-n", "rg")
		return code == 0
	}
	if reads() {
		t.Fatal("without a role the group is read, so the test proves nothing")
	}
	given := d.must("role", "assignment", "create", "--assignee", app, "--role", "Reader", "--scope", group, "--query", "[roleDefinitionName,principalType,scope]", "-o", "tsv")
	if want := "Reader\tServicePrincipal\t" + group; strings.Join(strings.Fields(given), "\t") != want || !reads() {
		t.Errorf("given: %q, want %q", given, want)
	}
	list := []string{"role", "assignment", "list", "--assignee", app, "--scope", strings.ToLower(group) + "/", "--query", "[].roleDefinitionName", "-o", "tsv"}
	if got := strings.TrimSpace(d.must(list...)); got != "Reader" {
		t.Errorf("listed: %q", got)
	}
	if all := d.must("role", "assignment", "list", "--scope", group, "-o", "table"); !strings.Contains(all, "Owner") || !strings.Contains(all, "Reader") {
		t.Errorf("the table is\n%s", all)
	}
	if _, errs, code := d.run("role", "assignment", "delete", "--assignee", app, "--role", "Contributor", "--scope", group); code != 3 || !strings.Contains(errs, "role assignment list") {
		t.Errorf("taking what was not given: %d %s", code, errs)
	}
	d.must("role", "assignment", "delete", "--assignee", app, "--scope", group)
	if got := strings.TrimSpace(d.must(list...)); got != "" || reads() {
		t.Errorf("after it was taken: %q", got)
	}
	for line, want := range map[string]int{
		"create --assignee " + app + " --role Nothing --scope " + group:      3,
		"create --assignee someone --role Reader --scope " + group:           2,
		"create --assignee " + app + " --role Reader --scope " + group + "x": 3,
		"create --role Reader --scope " + group:                              2,
	} {
		if _, errs, code := d.run(append([]string{"role", "assignment"}, strings.Fields(line)...)...); code != want {
			t.Errorf("%s: exit code %d, want %d: %s", line, code, want, errs)
		}
	}
}
