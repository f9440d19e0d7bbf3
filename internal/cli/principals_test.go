package cli

import (
	"encoding/json"
	"strings"
	"testing"
)

// login makes the commands run as another client from now on.
func (d *double) login(client, secret string) { d.client, d.secret = client, secret }

func TestAServicePrincipalIsMadeWithARoleAndItsSecretIsPrintedOnce(t *testing.T) {
	d := newService(t)
	d.must("group", "create", "-n", "rg")
	scope := "/subscriptions/" + subscription + "/resourceGroups/rg"
	out, errs, code := d.run("ad", "sp", "create-for-rbac", "-n", "ci", "--role", "Reader", "--scopes", scope)
	var made struct{ AppID, DisplayName, Password, Tenant string }
	if err := json.Unmarshal([]byte(out), &made); code != 0 || err != nil || made.DisplayName != "ci" || made.Tenant != tenant || len(made.Password) < 26 {
		t.Fatalf("exit code %d, %v: %s%s", code, err, out, errs)
	}
	if strings.Contains(errs, made.Password) {
		t.Error("the secret is on standard error")
	}
	for _, command := range [][]string{{"show", "--id", made.AppID}, {"list"}, {"credential", "list", "--id", made.AppID}} {
		if got := d.must(append([]string{"ad", "sp"}, command...)...); strings.Contains(got, made.Password) {
			t.Errorf("%v shows the secret again: %s", command, got)
		}
	}
	// With the new secret: the role allows reading the group, and no more.
	d.login(made.AppID, made.Password)
	if got := d.must("group", "show", "-n", "rg", "--query", "name", "-o", "tsv"); got != "rg\n" {
		t.Errorf("group show printed %q", got)
	}
	if _, errs, code := d.run("group", "create", "-n", "rg", "--tags", "a=b"); code != 1 || !strings.Contains(errs, "AuthorizationFailed") {
		t.Errorf("a reader writes: exit code %d: %s", code, errs)
	}
	if _, errs, code := d.run("ad", "sp", "list"); code != 1 || !strings.Contains(errs, "AuthorizationFailed") {
		t.Errorf("a reader lists principals: exit code %d: %s", code, errs)
	}
	d.login(clientID, secret)
	d.must("ad", "sp", "delete", "--id", made.AppID)
	if _, errs, code := d.run("ad", "sp", "show", "--id", made.AppID); code != 3 || !strings.Contains(errs, "ad sp list") {
		t.Errorf("after the delete: exit code %d: %s", code, errs)
	}
}

func TestSecretsAreAddedReplacedAndRemoved(t *testing.T) {
	d := newService(t)
	const owners = secret
	id := strings.TrimSpace(d.must("ad", "sp", "create", "--display-name", "ci", "--query", "appId", "-o", "tsv"))
	reset := func(args ...string) string {
		return strings.TrimSpace(d.must(append([]string{"ad", "sp", "credential", "reset", "--id", id, "--query", "password", "-o", "tsv"}, args...)...))
	}
	keys := func() []string {
		return strings.Fields(d.must("ad", "sp", "credential", "list", "--id", id, "--query", "[].keyId", "-o", "tsv"))
	}
	works := func(secret string) bool {
		d.login(id, secret)
		_, errs, _ := d.run("group", "list")
		d.login(clientID, owners)
		return !strings.Contains(errs, "AADSTS7000215")
	}
	first, second := reset(), reset("--append", "--display-name", "second", "--end-date", "2099-12-31")
	if len(keys()) != 2 || first == second {
		t.Fatalf("two secrets were made, there are %v", keys())
	}
	if !works(first) || !works(second) || works("wrong") {
		t.Error("not exactly the secrets that were made work")
	}
	third := reset("--years", "2")
	if len(keys()) != 1 || third == first || third == second {
		t.Fatalf("a reset leaves %v", keys())
	}
	if works(first) || works(second) || !works(third) {
		t.Error("after a reset not only the last secret works")
	}
	if _, errs, code := d.run("ad", "sp", "credential", "delete", "--id", id, "--key-id", "none"); code != 3 || !strings.Contains(errs, "credential list") {
		t.Errorf("removing what is not there: exit code %d: %s", code, errs)
	}
	d.must("ad", "sp", "credential", "delete", "--id", id, "--key-id", keys()[0])
	if len(keys()) != 0 {
		t.Errorf("left: %v", keys())
	}
	for _, args := range [][]string{{"--years", "0"}, {"--end-date", "soon"}, {"--years", "1", "--end-date", "2027-01-01"}} {
		if _, errs, code := d.run(append([]string{"ad", "sp", "credential", "reset", "--id", id}, args...)...); code != 2 {
			t.Errorf("%v: exit code %d: %s", args, code, errs)
		}
	}
	if _, errs, code := d.run("ad", "sp", "create-for-rbac", "--role", "Emperor", "--scopes", "/subscriptions/"+subscription); code != 3 || !strings.Contains(errs, "Emperor") {
		t.Errorf("a role that is none: exit code %d: %s", code, errs)
	}
	if got := d.must("ad", "sp", "list", "--query", "length(@)", "-o", "tsv"); got != "2\n" {
		t.Errorf("a refused command left a principal behind: there are %s", got)
	}
}
