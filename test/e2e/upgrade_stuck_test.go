//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// stuckPool has what a pool's upgrade is held up by: two pods on its only node, of
// which a budget keeps one. The first can go, which satisfies the preflight, and
// finds no other node, so that the second never can.
const stuckPool = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: kept}
spec:
  replicas: 2
  selector: {matchLabels: {app: kept}}
  template:
    metadata: {labels: {app: kept}}
    spec:
      nodeSelector: {agentpool: kept}
      terminationGracePeriodSeconds: 1
      containers: [{name: kept, image: "berth.internal/test/client:v1", command: [/client, sleep]}]
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: kept}
spec: {minAvailable: 1, selector: {matchLabels: {app: kept}}}
`

// TestAPoolsUpgradeThatIsStuckEndsWithTheReasonAndTheSameRequestCompletesIt
// upgrades three pools side by side: one onto a node image that cannot boot and
// then onto a node that hangs before it ever becomes ready, the second against a
// budget that allows nothing. Each says so, and goes on once the cause is gone. The
// third, of which one node has no disk space left and two are lost on the way, goes on
// by itself.
func TestAPoolsUpgradeThatIsStuckEndsWithTheReasonAndTheSameRequestCompletesIt(t *testing.T) {
	cache, shared := privateCache(t)
	t.Cleanup(func() { must(t, "restart", "--cache-dir", shared, "--node-ready-timeout", "10m") })
	must(t, "restart", "--cache-dir", cache, "--node-ready-timeout", "30s")
	c := newCluster(t, "stuck", "-c", "1", "-s", "Standard_B2s", "--kubernetes-version", "1.35.3")
	kept := &pool{cluster: c, name: "kept"}
	lost := &pool{cluster: c, name: "lost"}
	work := &pool{cluster: c, name: "work"}
	must(t, kept.command("add", "-c", "1", "-s", "Standard_B2s", "--mode", "User", "--no-wait")...)
	must(t, lost.command("add", "-c", "2", "-s", "Standard_B2s", "--mode", "User", "--no-wait")...)
	must(t, work.command("add", "-c", "1", "-s", "Standard_B2s", "--mode", "User")...)
	for _, p := range []*pool{kept, lost} {
		must(t, p.command("wait", "--created")...)
	}
	must(t, "aks", "upgrade", "-g", c.group, "-n", c.name, "-k", "1.35.4", "--control-plane-only", "--yes") // a patch: no soak
	c.applyText(t, stuckPool)
	lost.fillsUp(t)
	c.must(t, "rollout", "status", "deployment/kept", "--timeout=120s")

	drain := kept.upgrade(t, "--max-surge", "0", "--max-unavailable", "1", "--drain-timeout", "1")
	mend := breakImage(t, cache)
	work.stuck(t, work.upgrade(t), "NodesNotReady", "aks-work-")
	known := work.renewed(t)
	again := work.upgrade(t)
	work.hang(t, known, mend)
	goesOn := lost.losesNodes(t)
	work.stuck(t, again, "NodesNotReady", "aks-work-")
	goesOn()
	work.completes(t)

	kept.stuck(t, drain, "PodDrainFailure", "default/kept-", "budget kept", "aks-kept-")
	c.eventually(t, 10*time.Second, func(left string) bool { return left == "v1.35.3" }, // and it takes pods again
		"get", "nodes", "-l", "agentpool=kept", "-o", "jsonpath={.items[*].spec.unschedulable}{.items[*].status.nodeInfo.kubeletVersion}")
	c.must(t, "patch", "pdb", "kept", "--type=merge", "-p", `{"spec":{"minAvailable":0}}`)
	kept.completes(t)
}

// pool is an agent pool of a cluster.
type pool struct {
	cluster *cluster
	name    string
}

// command is a berth command on the pool.
func (p *pool) command(verb string, flags ...string) []string {
	return append([]string{"aks", "nodepool", verb, "-g", p.cluster.group, "--cluster-name", p.cluster.name, "-n", p.name}, flags...)
}

// upgrade begins the pool's upgrade; the channel brings what it says when it fails, or "".
func (p *pool) upgrade(t *testing.T, flags ...string) <-chan string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	t.Cleanup(cancel)
	upgrade := service.command(ctx, p.command("upgrade", append([]string{"-k", "1.35.4", "--yes"}, flags...)...)...)
	said := make(chan string, 1)
	go func() {
		if _, err := output(upgrade); err != nil {
			said <- err.Error()
		}
		close(said)
	}()
	return said
}

// stuck asserts that an upgrade ends with a code and names what it waits for, and
// that the pool and the management API say the same.
func (p *pool) stuck(t *testing.T, ends <-chan string, code string, names ...string) {
	t.Helper()
	said := <-ends
	blocked := manage(t, "get", "agentpools", "-o", `jsonpath={.items[?(@.spec.profile.name=="`+p.name+`")].status.conditions[?(@.type=="Blocked")]['reason','message']}`)
	for _, want := range append(names, code) {
		if !strings.Contains(said, want) {
			t.Errorf("the upgrade of %s does not say %s: %s", p.name, want, said)
		}
		if !strings.Contains(blocked, want) {
			t.Errorf("the management API does not say %s of %s: %s", want, p.name, blocked)
		}
	}
	const state = "[provisioningState, currentOrchestratorVersion]"
	if told := strings.Fields(must(t, p.command("show", "--query", state, "-o", "tsv")...)); fmt.Sprint(told) != "[Failed 1.35.3]" {
		t.Errorf("the pool %s is told to be %v", p.name, told)
	}
	t.Logf("%s: %s", p.name, blocked)
}

// completes repeats the request, which has to go on to the end.
func (p *pool) completes(t *testing.T) {
	t.Helper()
	if said, failed := <-p.upgrade(t); failed {
		t.Fatalf("the same request of %s ends with %s", p.name, said)
	}
	told := strings.TrimSpace(must(t, p.command("show", "--query", "provisioningState", "-o", "tsv")...))
	kubelets := p.cluster.must(t, "get", "nodes", "-l", "agentpool="+p.name, "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}")
	if told != "Succeeded" || kubelets != "v1.35.4" {
		t.Errorf("the pool %s is %s, its kubelets are %q", p.name, told, kubelets)
	}
}

// breakImage puts files in the place of the directories of the node image that
// /sys is mounted on; the nodes that run have theirs mounted already.
func breakImage(t *testing.T, cache string) (mend func()) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cache, "parts", "node-image-*", "rootfs", "sys"))
	if err != nil || len(found) == 0 {
		t.Fatalf("the node image: %v, %v", found, err)
	}
	for _, at := range found {
		if err := errors.Join(os.Rename(at, at+".away"), os.WriteFile(at, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	return func() {
		t.Helper()
		for _, at := range found {
			if err := errors.Join(os.Remove(at), os.Rename(at+".away", at)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// renewed are the incarnations of the pool's machines of the newer version.
func (p *pool) renewed(t *testing.T) []string {
	t.Helper()
	var found []string
	for _, machine := range strings.Fields(manage(t, "get", "machines", "-o", `jsonpath={range .items[?(@.spec.kubernetesVersion=="1.35.4")]}{.spec.nodeName}/{.spec.incarnation} {end}`)) {
		if node, incarnation, _ := strings.Cut(machine, "/"); strings.HasPrefix(node, "aks-"+p.name+"-") {
			found = append(found, incarnation)
		}
	}
	return found
}

// hang stops all processes of the pool's next machine that comes beside those that
// are known, once it has a node's. It mends what that needs.
func (p *pool) hang(t *testing.T, known []string, mend func()) {
	t.Helper()
	mended := sync.OnceFunc(mend)
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		fresh := slices.DeleteFunc(p.renewed(t), func(incarnation string) bool { return slices.Contains(known, incarnation) })
		for len(fresh) > 0 && time.Now().Before(deadline) {
			mended() // not before: the machine that could not boot would come up, and no other be needed
			inside := slices.DeleteFunc(processes(t), func(p process) bool { return !strings.Contains(p.cgroup, "machine-"+fresh[0]) })
			if !slices.ContainsFunc(inside, func(p process) bool { return p.name() == "containerd" }) {
				continue
			}
			for _, p := range inside {
				if err := unix.Kill(p.pid, unix.SIGSTOP); ignoreGone(err) != nil {
					t.Fatal(err)
				}
			}
			return
		}
	}
	t.Fatal("no new machine came")
}
