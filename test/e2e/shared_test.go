//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProcessesShareAClusterAsTheirManagementAPI starts three processes on a
// cluster that Berth made, kills two of them in the middle of a creation, the
// leader of the controllers among them, and looks that nothing is lost. The
// processes have no more rights than the page for operators gives them.
func TestProcessesShareAClusterAsTheirManagementAPI(t *testing.T) {
	management := newCluster(t, "management")
	dir, err := os.MkdirTemp("", "berth-e2e-shared-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil { // control planes run under ids of their own and have to pass
		t.Fatal(err)
	}
	management.must(t, "apply", "-f", "../../examples/shared-management/rights.yaml")
	all, front := restricted(t, management, dir, "berth"), restricted(t, management, dir, "berth-frontend")
	first := join(t, all, filepath.Join(dir, "first"), "all")
	second := join(t, all, filepath.Join(dir, "second"), "control")
	third := join(t, front, filepath.Join(dir, "third"), "frontend")

	third.must(t, "group", "create", "-n", "shared")
	for name, i := range map[string]*install{"first": first, "second": second} {
		if _, err := i.berth("group", "show", "-n", "shared"); err != nil {
			t.Errorf("what was written through the third is not there on the %s: %v", name, err)
		}
	}
	leader := management.must(t, "get", "lease", "-n", "berth-system", "berth-controllers", "-o", "jsonpath={.spec.holderIdentity}")
	third.must(t, "aks", "create", "-g", "shared", "-n", "demo", "-c", "1", "-s", "Standard_B2s", "--no-wait")
	second.must(t, "aks", "show", "-g", "shared", "-n", "demo")
	third.kill(t)
	first.kill(t)
	// The host is the first's: it goes on with it when it is there again, while the second leads.
	first.must(t, "up", "--detach")
	second.must(t, "aks", "wait", "-g", "shared", "-n", "demo", "--created", "--timeout", "240")
	now := management.must(t, "get", "lease", "-n", "berth-system", "berth-controllers", "-o", "jsonpath={.spec.holderIdentity}")
	if now == leader {
		t.Errorf("%s still leads", now)
	}
	third.must(t, "up", "--detach")
	for name, i := range map[string]*install{"first": first, "second": second, "third": third} {
		if state := i.must(t, "aks", "show", "-g", "shared", "-n", "demo", "--query", "provisioningState", "-o", "tsv"); strings.TrimSpace(state) != "Succeeded" {
			t.Errorf("on the %s the cluster is %s", name, state)
		}
	}
	records := func(s string) bool { return strings.Contains(s, "configmap/operation-") }
	management.eventually(t, 30*time.Second, records, "get", "configmaps", "-n", "berth-system", "-l", "history.berth.dev/operation", "-o", "name")
	third.must(t, "aks", "delete", "-g", "shared", "-n", "demo", "--yes")
	if said, err := third.berth("aks", "show", "-g", "shared", "-n", "demo"); err == nil {
		t.Errorf("what was deleted is there: %s", said)
	}
}

// restricted is the kubeconfig of a service account of a cluster, which can do
// what the account can and nothing else.
func restricted(t *testing.T, management *cluster, dir, account string) (kubeconfig string) {
	t.Helper()
	content, err := os.ReadFile(management.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(management.must(t, "create", "token", account, "-n", "berth-system", "--duration", "24h"))
	user := regexp.MustCompile(`(?m)^( +)client-(?:certificate|key)-data: .*\n`)
	if !user.Match(content) {
		t.Fatalf("the kubeconfig has no client certificate:\n%.300s", content)
	}
	indent := user.FindSubmatch(content)[1]
	content = user.ReplaceAll(content, nil)
	content = append(bytes.TrimRight(content, "\n"), []byte("\n"+string(indent)+"token: "+token+"\n")...)
	kubeconfig = filepath.Join(dir, account+".kubeconfig")
	if err := os.WriteFile(kubeconfig, content, 0o600); err != nil {
		t.Fatal(err)
	}
	if who := (&cluster{kubeconfig: kubeconfig}).must(t, "auth", "whoami", "-o", "jsonpath={.status.userInfo.username}"); who != "system:serviceaccount:berth-system:"+account {
		t.Fatalf("the kubeconfig is that of %s", who)
	}
	return kubeconfig
}

// TestTheServiceTestsHoldOnASharedManagementAPI runs tests of the front end once
// more: two front ends take turns, on a cluster that Berth made. The short form
// takes those that lean on what only a real API server does: who is first of two,
// tags of entities, pages of lists, and one whole life of a cluster.
func TestTheServiceTestsHoldOnASharedManagementAPI(t *testing.T) {
	management := newCluster(t, "services")
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	selected := "FrontEnd|EntityTags|RenewsAllTags|ComeInPages|FromTokenToLastPoll"
	if soak() {
		selected = "."
	}
	command := exec.CommandContext(ctx, "go", "test", "-count", "1", "-parallel", "1", "-timeout", "10m", "-run", selected, "-skip", "^Fuzz", "./internal/frontend")
	command.Dir = "../.."
	command.Env = append(os.Environ(), "BERTH_TEST_MANAGEMENT_KUBECONFIG="+management.kubeconfig)
	if printed, err := command.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, printed)
	}
}

// join starts a process on a cluster as its management API.
func join(t *testing.T, kubeconfig, home, role string) *install {
	t.Helper()
	i := newInstall(t, service.program, home)
	i.must(t, "up", "--detach", "--management-kubeconfig", kubeconfig, "--role", role)
	return i
}

// must runs a berth command of an install that has to succeed.
func (i *install) must(t *testing.T, arguments ...string) string {
	t.Helper()
	printed, err := i.berth(arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return printed
}

// kill ends the process of an install without a word.
func (i *install) kill(t *testing.T) {
	t.Helper()
	status, err := i.status()
	if err != nil {
		t.Fatal(err)
	}
	if status.PID == 0 { // which would be the tests themselves
		t.Fatal("the service does not run")
	}
	if err := unix.Kill(status.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
