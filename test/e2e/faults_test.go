//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
)

// soak says whether the long forms are asked for.
func soak() bool { return os.Getenv("BERTH_E2E_SOAK") != "" }

// TestACreateSurvivesAKillAtEveryPhase kills the service whenever a phase of a
// create begins or ends. A phase is known by its condition: a new one is
// covered without being named here.
func TestACreateSurvivesAKillAtEveryPhase(t *testing.T) {
	c := newClusterLater(t, "faults")
	faults := watchFaults(t)
	faults.during(t, "create", func() error {
		_, err := service.berth("aks", "create", "-g", c.group, "-n", c.name, "-c", "1", "-s", "Standard_B2s", "--kubernetes-version", "1.35.3", "--no-wait")
		return err
	}, c.succeeded)
	must(t, "aks", "get-credentials", "--admin", "-g", c.group, "-n", c.name, "-f", c.kubeconfig)
	c.settled(t, 1)
	c.poolSurvives(t, faults)
	if soak() {
		faults.during(t, "delete", func() error {
			_, err := service.berth("aks", "delete", "-g", c.group, "-n", c.name, "--yes", "--no-wait")
			return err
		}, func() bool {
			_, err := service.berth("aks", "show", "-g", c.group, "-n", c.name)
			return err != nil && strings.Contains(err.Error(), "ResourceNotFound")
		})
	}
	c.deletedWithoutLeftovers(t)
}

// poolSurvives takes a pool through all that is done to one, with a kill at every
// fault point; in the short form at every fourth, which are others each time.
func (c *cluster) poolSurvives(t *testing.T, f *faults) {
	t.Helper()
	p := &pool{cluster: c, name: "work"}
	if f.every = 1; !soak() {
		f.every = 4
	}
	for _, step := range []struct {
		verb    string
		flags   []string
		nodes   int
		version string
	}{
		{"add", []string{"-c", "1", "-s", "Standard_B2s", "--mode", "User"}, 1, "v1.35.3"},
		{"scale", []string{"-c", "2"}, 2, "v1.35.3"},
		{"upgrade", []string{"-k", "1.35.4", "--max-surge", "2", "--yes"}, 2, "v1.35.4"},
		{"rollback", []string{"--yes"}, 2, "v1.35.3"},
		{"delete", nil, 0, ""},
	} {
		if step.verb == "upgrade" { // not before its control plane: a patch, which needs no soak
			must(t, "aks", "upgrade", "-g", c.group, "-n", c.name, "-k", "1.35.4", "--control-plane-only", "--yes")
		}
		f.during(t, step.verb+" of a pool", func() error {
			_, err := service.berth(append(p.command(step.verb, step.flags...), "--no-wait")...)
			return err
		}, func() bool { return p.is(step.nodes) })
		want := strings.TrimSpace(strings.Repeat(step.version+" ", step.nodes))
		c.eventually(t, time.Minute, func(got string) bool { return got == want }, // what a kill hid from the service at first
			"get", "nodes", "-l", "agentpool=work", "-o", "jsonpath={.items[*].status.nodeInfo.kubeletVersion}")
	}
	f.every = 1
	c.settled(t, 1)
}

// is says whether the pool is as it was asked to be: with so many nodes, or gone.
func (p *pool) is(nodes int) bool {
	printed, err := service.berth(p.command("show", "--query", "[provisioningState, count]", "-o", "tsv")...)
	if nodes == 0 {
		return err != nil && strings.Contains(err.Error(), "NotFound")
	}
	return err == nil && fmt.Sprint(strings.Fields(printed)) == fmt.Sprintf("[Succeeded %d]", nodes)
}

// succeeded says whether the cluster is as it was asked to be.
func (c *cluster) succeeded() bool {
	printed, err := service.berth("aks", "show", "-g", c.group, "-n", c.name, "--query", "provisioningState", "-o", "tsv")
	return err == nil && strings.TrimSpace(printed) == "Succeeded"
}

// faults kills the service at fault points, which come from the objects of the
// management API: a condition that first has a status, an object that comes or
// goes. The API itself goes on while the service is dead.
type faults struct {
	events chan watch.Event
	// every is of how many new points one is taken; points counts them.
	every, points int
}

// watched are the kinds whose conditions are phases.
func watched() []schema.GroupVersionResource {
	var all []schema.GroupVersionResource
	for group, kinds := range map[string][]string{
		"containerservice": {"managedclusters", "controlplanes", "agentpools", "machines"},
		"network":          {"virtualnetworks", "loadbalancers"},
	} {
		for _, kind := range kinds {
			all = append(all, schema.GroupVersionResource{Group: group + ".berth.dev", Version: "v1alpha1", Resource: kind})
		}
	}
	return all
}

func watchFaults(t *testing.T) *faults {
	t.Helper()
	kubeconfig, err := service.berth("admin", "kubeconfig")
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig([]byte(kubeconfig))
	if err != nil {
		t.Fatal(err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	f := &faults{events: make(chan watch.Event, 4096), every: 1}
	ctx, cancel := context.WithCancel(context.Background())
	var watchers sync.WaitGroup
	t.Cleanup(func() { cancel(); watchers.Wait() })
	for _, kind := range watched() {
		w, err := client.Resource(kind).Watch(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		watchers.Go(func() {
			defer w.Stop()
			for event := range w.ResultChan() {
				f.events <- event
			}
		})
	}
	return f
}

// during begins an operation and kills the service at each point of it that
// was not seen before, until the operation is done.
func (f *faults) during(t *testing.T, what string, begin func() error, done func() bool) {
	t.Helper()
	const within = 6 * time.Minute
	for len(f.events) > 0 {
		<-f.events // what was before is no point of this operation
	}
	began, kills, seen := time.Now(), 0, map[string]bool{}
	if err := begin(); err != nil {
		t.Fatal(err)
	}
	for quiet := false; !quiet || !done(); {
		if time.Since(began) > within {
			t.Fatalf("%s has not ended %v after it began, with kills at %v", what, within, seen)
		}
		select {
		case event := <-f.events:
			fresh := len(note(seen, event)) > 0
			if fresh {
				f.points++
			}
			if fresh && f.points%f.every == 0 {
				kills++
				killDaemon(t)
				must(t, "up", "--detach")
			}
			quiet = false
		case <-time.After(300 * time.Millisecond):
			quiet = true
		}
	}
	points := slices.Sorted(maps.Keys(seen))
	if kills*f.every < 2 { // the least is an abort that comes at once: the cluster changes, and then its pool
		t.Errorf("%s met only %d kills: only these points were seen: %v", what, kills, points)
	}
	t.Logf("%s: %d kills in %v, %d points seen", what, kills, time.Since(began).Round(time.Millisecond), len(points))
}

// note returns the points of an event that were not seen before.
func note(seen map[string]bool, event watch.Event) []string {
	object, ok := event.Object.(*unstructured.Unstructured)
	if !ok {
		return nil
	}
	points := []string{}
	if event.Type != watch.Modified {
		points = append(points, fmt.Sprintf("%s %s", object.GetKind(), strings.ToLower(string(event.Type))))
	}
	conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions") // none before the first phase
	for _, entry := range conditions {
		condition, _ := entry.(map[string]any)
		points = append(points, fmt.Sprintf("%s %v=%v", object.GetKind(), condition["type"], condition["status"]))
	}
	points = append(points, versionPoints(object)...)
	return slices.DeleteFunc(points, func(point string) bool {
		known := seen[point]
		seen[point] = true
		return known
	})
}

// versionPoints are the steps of an upgrade, a restore or a rotation that no condition
// tells: what is wanted, what runs, and whether a node is to leave.
func versionPoints(object *unstructured.Unstructured) (points []string) {
	for _, path := range []string{
		"spec.kubernetesVersion", "spec.emulatedVersion", "spec.upgrade.lift", "spec.profile.orchestratorVersion", "spec.drain.operationID",
		"status.version", "status.emulatedVersion", "status.kubeletVersion", "status.currentKubernetesVersion", "status.currentOrchestratorVersion",
		"spec.powerState", "spec.restore.id", "status.restore.id", "spec.credentialsDigest", "spec.credentials.digest", "status.credentialsDigest",
		"status.authority", "status.bundles.authority",
	} {
		value, found, err := unstructured.NestedFieldNoCopy(object.Object, strings.Split(path, ".")...)
		if err != nil || !found {
			value = "none"
		}
		points = append(points, fmt.Sprintf("%s %s: %v", object.GetKind(), path, value))
	}
	return points
}
