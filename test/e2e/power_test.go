//go:build e2e

package e2e

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// running are the processes of clusters, not those of the service itself.
func running(t *testing.T) []process {
	t.Helper()
	var found []process
	for _, p := range processes(t) {
		if strings.Contains(p.cgroup, "/cp-") || strings.Contains(p.cgroup, "/machine-") {
			found = append(found, p)
		}
	}
	return found
}

// charged are the control groups of clusters, whatever they are charged for.
func charged(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{
		"/sys/fs/cgroup/berth-" + service.instance + "/*", "/sys/fs/cgroup/*/berth-" + service.instance + "/*",
	} {
		groups, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, group := range groups {
			if base := filepath.Base(group); strings.HasPrefix(base, "cp-") || strings.HasPrefix(base, "machine-") {
				all = append(all, group)
			}
		}
	}
	return all
}

// TestAStoppedClusterCostsNothingAndComesBackAsItWas has the install for
// itself: tests run one after the other, and each removes its cluster.
func TestAStoppedClusterCostsNothingAndComesBackAsItWas(t *testing.T) {
	c := newCluster(t, "power", "-c", "1", "-s", "Standard_B2s")
	c.must(t, "apply", "-f", sample)
	address := c.eventually(t, 30*time.Second, notEmpty, "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	c.must(t, "rollout", "status", "deployment/web", "--timeout=60s")
	c.must(t, "create", "configmap", "kept", "--from-literal=answer=42")
	nodes := c.must(t, "get", "nodes", "-o", "jsonpath={.items[*].metadata.uid}")
	if len(charged(t)) == 0 || len(running(t)) == 0 {
		t.Fatal("nothing of a running cluster is found: the test looks in the wrong place")
	}

	must(t, "aks", "stop", "-g", c.group, "-n", c.name)
	idle := func(when string) {
		t.Helper()
		if left := running(t); len(left) > 0 {
			t.Errorf("%s %d processes run, the first is %s", when, len(left), left[0].command)
		}
		if left := charged(t); len(left) > 0 {
			t.Errorf("%s there are control groups: %v", when, left)
		}
	}
	idle("of a stopped cluster")
	if got := must(t, "aks", "show", "-g", c.group, "-n", c.name, "--query", "powerState.code", "-o", "tsv"); strings.TrimSpace(got) != "Stopped" {
		t.Errorf("the power state is %q", got)
	}
	must(t, "aks", "stop", "-g", c.group, "-n", c.name) // once more, which changes nothing
	if said := refused(t, "aks", "scale", "-g", c.group, "-n", c.name, "-c", "2"); !strings.Contains(said, "az aks start") {
		t.Errorf("scaling a stopped cluster: %s", said)
	}
	must(t, "restart")
	idle("after a restart of the service")
	status, err := service.status()
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(status.PID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	must(t, "up", "--detach")
	idle("after a kill of the service")

	must(t, "aks", "start", "-g", c.group, "-n", c.name)
	if said := refused(t, "aks", "start", "-g", c.group, "-n", c.name); !strings.Contains(said, "is running") {
		t.Errorf("starting a running cluster: %s", said)
	}
	if got := c.must(t, "get", "configmap", "kept", "-o", "jsonpath={.data.answer}"); got != "42" {
		t.Errorf("the data came back as %q", got)
	}
	if got := c.must(t, "get", "nodes", "-o", "jsonpath={.items[*].metadata.uid}"); got != nodes {
		t.Errorf("the nodes are %s, were %s", got, nodes)
	}
	if got := c.must(t, "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}"); got != address {
		t.Errorf("the service's address is %s, was %s", got, address)
	}
	if page := get(t, "http://"+address+"/"); !strings.Contains(page, "web") {
		t.Errorf("the page is %q", page)
	}
}

func TestAnAbortedCreateIsGoneOnWithByTheNextUpdate(t *testing.T) {
	c := newClusterLater(t, "abort")
	must(t, "aks", "create", "-g", c.group, "-n", c.name, "-c", "1", "-s", "Standard_B2s", "--no-wait")
	must(t, "aks", "operation-abort", "-g", c.group, "-n", c.name)
	if got := must(t, "aks", "show", "-g", c.group, "-n", c.name, "--query", "provisioningState", "-o", "tsv"); strings.TrimSpace(got) != "Canceled" {
		t.Fatalf("the aborted create left the cluster %s", got)
	}
	if said := refused(t, "aks", "operation-abort", "-g", c.group, "-n", c.name); !strings.Contains(said, "OperationNotAllowed") {
		t.Errorf("aborting where nothing runs: %s", said)
	}
	must(t, "aks", "start", "-g", c.group, "-n", c.name)
	must(t, "aks", "get-credentials", "--admin", "-g", c.group, "-n", c.name, "-f", c.kubeconfig)
	if got := c.must(t, "get", "nodes", "-o", "name"); strings.Count(got, "node/") != 1 {
		t.Errorf("nodes: %s", got)
	}
}
