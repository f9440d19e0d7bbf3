//go:build e2e

package e2e

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestAPoolsUpgradeGoesOnOverAFullDiskAndLostNodes upgrades a pool of which one
// old node has no disk space left, and loses a new node and then an old one on
// the way: the machines' processes end at once, as with a power cut.
func TestAPoolsUpgradeGoesOnOverAFullDiskAndLostNodes(t *testing.T) {
	c := newCluster(t, "lost", "-c", "1", "-s", "Standard_B2s", "--kubernetes-version", "1.35.3")
	must(t, c.pool("add", "-c", "2", "-s", "Standard_B2s", "--mode", "User")...)
	must(t, "aks", "upgrade", "-g", c.group, "-n", c.name, "-k", "1.35.4", "--control-plane-only", "--yes") // a patch: no soak
	manifest := filepath.Join(t.TempDir(), "filler.yaml")
	put(t, manifest, strings.Replace(filler, "spec:\n", "spec:\n  nodeSelector: {agentpool: work}\n", 1))
	c.must(t, "apply", "-f", manifest)
	c.must(t, "wait", "--for=condition=Ready", "pod/filler", "--timeout=120s")
	fill(t)
	old, before := c.nodes(t), c.uids(t)

	ctx, cancel := context.WithTimeout(t.Context(), 12*time.Minute)
	defer cancel()
	upgrade, told := service.command(ctx, c.pool("upgrade", "-k", "1.35.4", "--yes")...), &shared{}
	upgrade.Stderr = told
	if err := upgrade.Start(); err != nil {
		t.Fatal(err)
	}
	fresh := func(nodes string) (name string) {
		for _, name := range strings.Fields(nodes) {
			if !strings.Contains(strings.Join(old, " "), name) {
				return name
			}
		}
		return ""
	}
	nodes := c.eventually(t, 3*time.Minute, func(nodes string) bool { return fresh(nodes) != "" },
		"get", "nodes", "-l", "agentpool=work", "-o", "jsonpath={.items[*].metadata.name}")
	c.lose(t, fresh(nodes))
	c.lose(t, old[1])
	if err := upgrade.Wait(); err != nil {
		t.Fatalf("the upgrade ends with %v: %s", err, told)
	}
	want := "v1.35.4 v1.35.4"
	if got := c.must(t, "get", "nodes", "-l", "agentpool=work", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}"); got != want {
		t.Errorf("the kubelets of the pool are %q, want %q", got, want)
	}
	for _, uid := range c.uids(t) {
		if slices.Contains(before, uid) {
			t.Errorf("a node of before is still there: %s", uid)
		}
	}
}

// uids are those of the nodes of the pool work: names are used again.
func (c *cluster) uids(t *testing.T) []string {
	t.Helper()
	return strings.Fields(c.must(t, "get", "nodes", "-l", "agentpool=work", "-o", "jsonpath={.items[*].metadata.uid}"))
}

// lose kills the first process of a node's machine, and with it all others; a
// machine that is gone already is as lost as it can be.
func (c *cluster) lose(t *testing.T, node string) {
	t.Helper()
	incarnation := strings.TrimSpace(manage(t, "get", "machines", "-o", `jsonpath={.items[?(@.spec.nodeName=="`+node+`")].spec.incarnation}`))
	if incarnation == "" {
		t.Logf("the machine of %s is gone", node)
		return
	}
	for _, p := range processes(t) {
		if strings.Contains(p.cgroup, "machine-"+incarnation) && strings.HasPrefix(p.name(), "berth-supervisor") {
			t.Logf("losing %s", node)
			if err := p.kill(); err != nil {
				t.Logf("it ended by itself: %v", err)
			}
		}
	}
}
