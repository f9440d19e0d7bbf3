//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestProcessesShareAClusterAsTheirManagementAPI starts three processes on a
// cluster that Berth made, kills two of them in the middle of a creation, the
// leader of the controllers among them, and looks that nothing is lost.
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
	first := join(t, management, filepath.Join(dir, "first"), "all")
	second := join(t, management, filepath.Join(dir, "second"), "control")
	third := join(t, management, filepath.Join(dir, "third"), "frontend")

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

// join starts a process on a cluster as its management API.
func join(t *testing.T, management *cluster, home, role string) *install {
	t.Helper()
	i := &install{program: service.program, home: home}
	t.Cleanup(func() {
		if said, err := i.berth("down", "--purge"); err != nil {
			t.Errorf("taking %s down: %v\n%s", role, err, said)
		}
	})
	i.must(t, "up", "--detach", "--management-kubeconfig", management.kubeconfig, "--role", role)
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
	if err := unix.Kill(status.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
