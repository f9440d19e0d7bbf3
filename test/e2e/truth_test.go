//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"berth.dev/berth/internal/upgrade"
)

// behind is how long what is told may lag behind what is; never is it ahead.
const behind = 15 * time.Second

// truth looks at a cluster again and again from all sides: the nodes and the API
// server themselves, the management API, and ARM. No side may tell of a version
// that is not there yet, nor for long of one that is there no more.
type truth struct {
	cluster    *cluster
	kubeconfig string // the management API's
	cancel     context.CancelFunc
	done       sync.WaitGroup

	// Until done these belong to watch.
	looks int
	lies  []string
	// since is since when a thing that is told lags behind, by what it is.
	since map[string]time.Time
	// sideBySide says that nodes of two pools were seen on their way at once.
	sideBySide bool
}

// view is what one look sees.
type view struct {
	// api is the minor that the API server serves, nodes the oldest kubelet of each pool.
	api   string
	nodes map[string]string
}

func watchTruth(t *testing.T, c *cluster) *truth {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &truth{cluster: c, kubeconfig: managementKubeconfig(t), cancel: cancel, since: map[string]time.Time{}}
	w.done.Go(func() {
		for ctx.Err() == nil {
			w.look()
			select {
			case <-ctx.Done():
			case <-time.After(500 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { cancel(); w.done.Wait() })
	return w
}

// stop asserts that there were looks enough and no lie.
func (w *truth) stop(t *testing.T) {
	t.Helper()
	w.cancel()
	w.done.Wait()
	for _, lie := range w.lies {
		t.Error(lie)
	}
	if w.looks < 5 {
		t.Errorf("there were only %d looks: the test says nothing", w.looks)
	}
	t.Logf("%d looks, pools side by side: %t", w.looks, w.sideBySide)
}

// look compares what is told with what is. What is, is read before and after:
// versions change meanwhile. A side that does not answer now is no lie.
func (w *truth) look() {
	before, err := w.read()
	if err != nil {
		return
	}
	told, err := w.told()
	if err != nil {
		return
	}
	after, err := w.read()
	if err != nil {
		return
	}
	w.looks++
	for side, versions := range told {
		w.compare(side+": the API is of", before.api, versions["api"], after.api)
		for pool := range before.nodes {
			w.compare(side+": the nodes of "+pool+" run", before.nodes[pool], versions[pool], after.nodes[pool])
		}
	}
}

// compare holds what is told against what was before and after. Where a version
// falls meanwhile (a rollback) it lies between the two as well.
func (w *truth) compare(what, before, told, after string) {
	if before == "" || after == "" || told == "" {
		return // no node of the pool now
	}
	lowest, highest := before, after
	if upgrade.Less(highest, lowest) {
		lowest, highest = highest, lowest
	}
	if !upgrade.Less(told, lowest) && !upgrade.Less(highest, told) {
		delete(w.since, what)
		return
	}
	since, lags := w.since[what]
	switch {
	case !lags:
		w.since[what] = time.Now()
		if upgrade.Less(highest, told) {
			w.lie("%s %s, which is ahead: it was %s before and %s after", what, told, before, after)
		}
	case time.Since(since) > behind:
		w.lie("%s %s for %v: it was %s before and is %s", what, told, time.Since(since).Round(time.Second), before, after)
		w.since[what] = time.Now()
	}
}

func (w *truth) lie(format string, arguments ...any) {
	w.lies = append(w.lies, time.Now().Format("15:04:05 ")+fmt.Sprintf(format, arguments...))
}

// read asks the cluster itself.
func (w *truth) read() (view, error) {
	seen := view{nodes: map[string]string{}}
	raw, err := w.cluster.kubectl("get", "--raw", "/version")
	if err != nil {
		return seen, err
	}
	var version struct{ GitVersion, EmulationMajor, EmulationMinor string }
	if err := json.Unmarshal([]byte(raw), &version); err != nil {
		return seen, err
	}
	if seen.api = version.EmulationMajor + "." + version.EmulationMinor; seen.api == "." {
		seen.api = upgrade.Minor(strings.TrimPrefix(version.GitVersion, "v"))
	}
	lines, err := w.cluster.kubectl("get", "nodes", "-o", `jsonpath={range .items[*]}{.metadata.labels.kubernetes\.azure\.com/agentpool} {.status.nodeInfo.kubeletVersion}{"\n"}{end}`)
	if err != nil {
		return seen, err
	}
	kinds := map[string]map[string]bool{}
	for _, line := range strings.Split(strings.TrimSpace(lines), "\n") {
		pool, kubelet, _ := strings.Cut(line, " v")
		if kinds[pool] == nil {
			kinds[pool] = map[string]bool{}
		}
		kinds[pool][kubelet] = true
		if lowest := seen.nodes[pool]; lowest == "" || upgrade.Less(kubelet, lowest) {
			seen.nodes[pool] = kubelet
		}
	}
	moving := 0
	for _, versions := range kinds {
		if len(versions) > 1 {
			moving++
		}
	}
	w.sideBySide = w.sideBySide || moving > 1
	return seen, nil
}

// told is what each side tells, by the name of what it tells it of.
func (w *truth) told() (map[string]map[string]string, error) {
	sides := map[string]map[string]string{}
	shown, err := service.berth("aks", "show", "-g", w.cluster.group, "-n", w.cluster.name, "-o", "json")
	if err != nil {
		return nil, err
	}
	var arm struct {
		CurrentKubernetesVersion string
		AgentPoolProfiles        []struct{ Name, CurrentOrchestratorVersion string }
	}
	if err := json.Unmarshal([]byte(shown), &arm); err != nil {
		return nil, err
	}
	sides["ARM"] = map[string]string{"api": upgrade.Minor(arm.CurrentKubernetesVersion)}
	for _, pool := range arm.AgentPoolProfiles {
		sides["ARM"][pool.Name] = pool.CurrentOrchestratorVersion
	}
	management := &cluster{kubeconfig: w.kubeconfig}
	printed, err := management.kubectl("get", "managedclusters,agentpools,machines", "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct{ Items []managed }
	if err := json.Unmarshal([]byte(printed), &list); err != nil {
		return nil, err
	}
	maps.Copy(sides, w.managed(list.Items))
	return sides, nil
}

// managed is what the test reads of an object of the management API.
type managed struct {
	Kind     string
	Metadata struct{ Name string }
	Spec     struct {
		Name, ClusterName, AgentPoolName string
		Profile                          struct{ Name string }
	}
	Status struct {
		CurrentKubernetesVersion, CurrentOrchestratorVersion, KubeletVersion string
	}
}

// managed are the sides of the management API: clusters and pools, and machines.
func (w *truth) managed(items []managed) map[string]map[string]string {
	objects, machines, pools, id := map[string]string{}, map[string]string{}, map[string]string{}, ""
	for _, item := range items {
		if item.Kind == "ManagedCluster" && item.Spec.Name == w.cluster.name {
			id, objects["api"] = item.Metadata.Name, upgrade.Minor(item.Status.CurrentKubernetesVersion)
		}
	}
	for _, item := range items {
		if item.Kind == "AgentPool" && item.Spec.ClusterName == id {
			pools[item.Metadata.Name] = item.Spec.Profile.Name
			objects[item.Spec.Profile.Name] = item.Status.CurrentOrchestratorVersion
		}
	}
	for _, item := range items {
		kubelet := strings.TrimPrefix(item.Status.KubeletVersion, "v")
		if pool := pools[item.Spec.AgentPoolName]; item.Kind == "Machine" && pool != "" && kubelet != "" {
			if lowest := machines[pool]; lowest == "" || upgrade.Less(kubelet, lowest) {
				machines[pool] = kubelet
			}
		}
	}
	return map[string]map[string]string{"management API": objects, "machines": machines}
}
