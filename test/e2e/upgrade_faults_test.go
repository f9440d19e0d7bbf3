//go:build e2e

package e2e

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// fillsUp takes the disk space of one of the pool's nodes.
func (p *pool) fillsUp(t *testing.T) {
	t.Helper()
	manifest := filepath.Join(t.TempDir(), "filler.yaml")
	put(t, manifest, strings.Replace(filler, "spec:\n", "spec:\n  nodeSelector: {agentpool: "+p.name+"}\n", 1))
	p.cluster.must(t, "apply", "-f", manifest)
	p.cluster.must(t, "wait", "--for=condition=Ready", "pod/filler", "--timeout=120s")
	fill(t)
}

// losesNodes begins the upgrade of a pool of two nodes and takes a new node and then
// an old one from it: the machines' processes end at once, as with a power cut. The
// upgrade goes on over both, which what is returned waits for and looks after.
func (p *pool) losesNodes(t *testing.T) (goesOn func()) {
	t.Helper()
	old, before := p.nodes(t, "name"), p.nodes(t, "uid")
	ends := p.upgrade(t)
	fresh := func(nodes string) string {
		for _, name := range strings.Fields(nodes) {
			if !slices.Contains(old, name) {
				return name
			}
		}
		return ""
	}
	nodes := p.cluster.eventually(t, 3*time.Minute, func(nodes string) bool { return fresh(nodes) != "" },
		"get", "nodes", "-l", "agentpool="+p.name, "-o", "jsonpath={.items[*].metadata.name}")
	if !lose(t, fresh(nodes)) {
		t.Errorf("nothing ran in the machine of the new node %s", fresh(nodes))
	}
	lose(t, old[1])
	return func() {
		t.Helper()
		if said, failed := <-ends; failed {
			t.Fatalf("the upgrade over lost nodes ends with %s", said)
		}
		kubelets := p.cluster.must(t, "get", "nodes", "-l", "agentpool="+p.name, "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}")
		if want := "v1.35.4 v1.35.4"; kubelets != want {
			t.Errorf("the kubelets of the pool are %q, want %q", kubelets, want)
		}
		for _, uid := range p.nodes(t, "uid") { // names are used again
			if slices.Contains(before, uid) {
				t.Errorf("a node of before is still there: %s", uid)
			}
		}
	}
}

// nodes are the names, or what else of the metadata, of the pool's nodes.
func (p *pool) nodes(t *testing.T, field string) []string {
	t.Helper()
	return strings.Fields(p.cluster.must(t, "get", "nodes", "-l", "agentpool="+p.name, "-o", "jsonpath={.items[*].metadata."+field+"}"))
}

// lose kills the first process of a node's machine, and with it all others, and
// says whether there was one; a machine that is gone already is as lost as it can be.
func lose(t *testing.T, node string) bool {
	t.Helper()
	incarnation := strings.TrimSpace(manage(t, "get", "machines", "-o", `jsonpath={.items[?(@.spec.nodeName=="`+node+`")].spec.incarnation}`))
	if incarnation == "" {
		t.Logf("the machine of %s is gone", node)
		return false
	}
	for _, p := range processes(t) {
		if strings.Contains(p.cgroup, "machine-"+incarnation) && p.boots() {
			t.Logf("losing %s", node)
			if err := p.kill(); err != nil {
				t.Fatal(err)
			}
			return true
		}
	}
	return false
}
