//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestAClusterTakesTheControlPlaneThatWaitsThroughAKill lets a control plane start
// ahead, creates a cluster, and kills the service as soon as the control plane is
// claimed. The next service finishes the create on the very processes that
// waited, and what the cluster and the next one that waits had is gone with them.
func TestAClusterTakesTheControlPlaneThatWaitsThroughAKill(t *testing.T) {
	management := &cluster{kubeconfig: managementKubeconfig(t)}
	t.Cleanup(func() { must(t, "restart", "--prestarted", "0") })
	must(t, "restart", "--prestarted", "1")
	const label, ready = "containerservice.berth.dev/prestarted", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`
	isReady := func(got string) bool { return got == "True" }
	management.eventually(t, 2*time.Minute, isReady, "get", "controlplanes", "-l", label, "-o", ready)
	waits := management.must(t, "get", "controlplanes", "-l", label, "-o", "jsonpath={.items[0].metadata.name}")
	before := planeProcesses(t, waits)
	if len(before) < 5 {
		t.Fatalf("the control plane that waits is %q", before)
	}
	status, err := service.status()
	if err != nil {
		t.Fatal(err)
	}

	c := newClusterLater(t, "ahead")
	must(t, "aks", "create", "-g", c.group, "-n", c.name, "-c", "1", "-s", "Standard_B2s", "--no-wait")
	if err := unix.Kill(status.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	must(t, "up", "--detach")
	must(t, "aks", "wait", "-g", c.group, "-n", c.name, "--created")
	if has := management.must(t, "get", "managedclusters", "-o", "jsonpath={.items[*].spec.incarnation}"); has != waits {
		t.Fatalf("the cluster's control plane is %s, want %s, which waited", has, waits)
	}
	if after := planeProcesses(t, waits); !slices.Equal(before, after) {
		t.Errorf("the processes of the control plane were\n%s\nand are\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	must(t, "aks", "get-credentials", "--admin", "-g", c.group, "-n", c.name, "-f", c.kubeconfig)
	c.settledNodes(t, 1)
	c.must(t, "apply", "-f", sample)
	address := c.eventually(t, time.Minute, notEmpty, "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	c.must(t, "rollout", "status", "deployment/web", "--timeout=120s")
	if page := get(t, "http://"+address+"/"); !strings.Contains(page, "web") {
		t.Errorf("the page is %q", page)
	}

	must(t, "restart", "--prestarted", "0")
	management.eventually(t, time.Minute, func(got string) bool { return got == "" }, "get", "controlplanes", "-l", label, "-o", "name")
	c.deletedWithoutLeftovers(t)
}

// planeProcesses are those of a control plane, with their start times.
func planeProcesses(t *testing.T, incarnation string) []string {
	t.Helper()
	var lines []string
	for _, p := range processes(t) {
		if strings.Contains(p.cgroup, "/cp-"+incarnation) {
			lines = append(lines, p.name()+" "+p.start)
		}
	}
	slices.Sort(lines)
	return lines
}
