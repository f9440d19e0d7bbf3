//go:build e2e

package e2e

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// lastLanded is the commit whose clusters every later one has to adopt; it is
// moved forward when a state of the main branch has passed everything.
//
//go:embed testdata/last-landed
var lastLanded string

// TestClustersOfTheLastLandedCommitAreAdopted makes a cluster with Berth as it
// last landed and starts this one on its home: the page is served all the
// while, what keeps data and pods runs on, and the cluster obeys as if it had been
// made today.
func TestClustersOfTheLastLandedCommitAreAdopted(t *testing.T) {
	i := formerInstall(t)
	i.must(t, "group", "create", "-n", "rg-former")
	i.must(t, "aks", "create", "-g", "rg-former", "-n", "former", "-c", "1", "-s", "Standard_B2s")
	c := &cluster{group: "rg-former", name: "former", kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	i.must(t, "aks", "get-credentials", "--admin", "-g", c.group, "-n", c.name, "-f", c.kubeconfig)
	c.must(t, "apply", "-f", sample)
	c.must(t, "create", "configmap", "precious", "--from-literal=key=value")
	address := c.eventually(t, 30*time.Second, notEmpty, "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	c.must(t, "rollout", "status", "deployment/web", "--timeout=60s")
	page := "http://" + address + "/"
	get(t, page)

	kept := []string{"etcd", "containerd", "kubelet", "web"}
	before := i.running(t, kept...)
	asked, failed := fetchMeanwhile(t, page, func() {
		i.kill(t)
		i.program = service.program
		i.must(t, "up", "--detach")
		i.must(t, "aks", "wait", "-g", c.group, "-n", c.name, "--updated", "--timeout", "120")
		if got := c.eventually(t, 30*time.Second, notEmpty, "get", "configmap", "precious", "-o", "jsonpath={.data.key}"); got != "value" {
			t.Errorf("the ConfigMap holds %q", got)
		}
		i.must(t, "aks", "nodepool", "add", "-g", c.group, "--cluster-name", c.name, "-n", "later", "-c", "1", "-s", "Standard_B2s")
	})
	if failed != 0 || asked < 50 {
		t.Errorf("%d of %d fetches of the page failed", failed, asked)
	}
	after := i.running(t, kept...)
	for _, line := range before {
		if !slices.Contains(after, line) {
			t.Errorf("%s is gone, now there are\n%s", line, strings.Join(after, "\n"))
		}
	}
	if nodes := strings.Fields(c.must(t, "get", "nodes", "-o", "name")); len(nodes) != 2 {
		t.Errorf("the nodes are %q, want 2", nodes)
	}
	i.must(t, "group", "delete", "-n", c.group, "--yes")
}

// formerInstall builds Berth as it last landed and starts it on a home of its own.
func formerInstall(t *testing.T) *install {
	t.Helper()
	commit := strings.TrimSpace(lastLanded)
	if err := exec.Command("git", "-C", "../..", "cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		t.Skipf("this clone has no commit %s: git fetch --unshallow brings it", commit)
	}
	dir, err := os.MkdirTemp("", "berth-former-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	mode(t, dir, 0o711)
	source := filepath.Join(dir, "source")
	build := exec.CommandContext(t.Context(), "bash", "-c",
		`set -eo pipefail; mkdir "$1"; git -C ../.. archive "$2" | tar -x -C "$1"; "$1/hack/build.sh" "$1/bin"`, "build", source, commit)
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", commit, err, said)
	}
	i := newInstall(t, filepath.Join(source, "bin", "berth"), filepath.Join(dir, "home"))
	i.must(t, "up", "--detach")
	status, err := i.status()
	if err != nil {
		t.Fatal(err)
	}
	i.instance = status.Instance
	return i
}
