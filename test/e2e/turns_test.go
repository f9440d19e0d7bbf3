//go:build e2e

package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestAnUpgradeOfTheServiceChangesControlPlanesAFewAtATime lets every control
// plane of a host be replaced, as a newer Berth does: all of their programs get
// another path. No more than two change at once, and no acknowledged write is lost.
func TestAnUpgradeOfTheServiceChangesControlPlanesAFewAtATime(t *testing.T) {
	if !soak() {
		t.Skip("a long form, which has four clusters: make soak")
	}
	const most = 2
	cache, shared := privateCache(t)
	var clusters []*cluster
	for i := range 4 {
		clusters = append(clusters, newCluster(t, fmt.Sprintf("turn%d", i), "-c", "1", "-s", "Standard_B2s"))
	}
	var writers []*writer
	for _, c := range clusters {
		writers = append(writers, startWriter(t, c))
	}
	t.Cleanup(func() { must(t, "restart", "--cache-dir", shared) })
	must(t, "restart", "--cache-dir", cache)

	changing, waited, changed := 0, false, map[string]bool{}
	for deadline := time.Now().Add(5 * time.Minute); len(changed) < len(clusters) || changing > 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("only %d control planes have changed", len(changed))
		}
		changing = 0
		for place, servers := range apiServers(t) {
			if len(servers) > 1 {
				changing++
			} else if strings.HasPrefix(program(servers[0]), cache) {
				changed[place] = true
			}
		}
		if changing > most {
			t.Fatalf("%d control planes change at once", changing)
		}
		waited = waited || changing > 0 && len(changed)+changing < len(clusters)
	}
	if !waited {
		t.Error("none was seen to wait for its turn")
	}
	runsFrom(t, cache)
	for _, w := range writers {
		w.stop(t) // their etcd is another one too, so that a write may be refused, but none is lost
	}
}

// apiServers are the API servers of clusters by their control groups.
func apiServers(t *testing.T) map[string][]process {
	t.Helper()
	found := map[string][]process{}
	for _, p := range processes(t) {
		if p.place() == "cp" && p.name() == "kube-apiserver" {
			found[p.cgroup] = append(found[p.cgroup], p)
		}
	}
	return found
}
