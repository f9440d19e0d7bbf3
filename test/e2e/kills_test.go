//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The kills of a run: how many unless BERTH_E2E_KILLS says otherwise, and the
// longest pause between two.
const (
	defaultKills = 15
	mostPause    = 2500 * time.Millisecond
)

// firstProcess stands for the first process of a machine, with which the whole
// machine goes, as if its power had failed.
const firstProcess = "first process"

// victims are the programs of Berth's that are killed at random. The processes
// of pods are not among them: they are the tenant's.
func victims() []string {
	return []string{
		"berth-supervisor", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "proxy-server",
		"containerd", "kubelet", "kube-proxy", "proxy-agent", firstProcess,
	}
}

func TestNothingAcknowledgedIsLostWhileProcessesAreKilled(t *testing.T) {
	seed, kills := number(t, "BERTH_E2E_SEED", int(time.Now().UnixNano()&0xffffff)), number(t, "BERTH_E2E_KILLS", defaultKills)
	t.Logf("%d kills; to repeat them set BERTH_E2E_SEED=%d", kills, seed)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	c := newCluster(t, "kills", "-c", "1", "-s", "Standard_B2s")
	c.must(t, "apply", "-f", sample)
	address := c.eventually(t, 30*time.Second, notEmpty, "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	c.must(t, "rollout", "status", "deployment/web", "--timeout=60s")
	w := startWriter(t, c)

	count := 1
	for i := range kills {
		if i%20 == 4 { // an operation that is under way while its makers are killed
			count = 3 - count
			c.scaleWithoutWaiting(t, count)
		}
		killRandomly(t, random)
		time.Sleep(time.Duration(random.Int64N(int64(mostPause))))
	}

	c.settled(t, count)
	w.stop(t)
	get(t, "http://"+address+"/")
	c.deletedWithoutLeftovers(t)
}

// number is an integer from the environment.
func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// killRandomly kills one process of a kind picked at random, so that the one
// daemon dies as often as the many supervisors. The daemon is started again.
func killRandomly(t *testing.T, random *rand.Rand) {
	t.Helper()
	const daemon = "daemon"
	byKind := map[string][]process{daemon: nil}
	for _, p := range processes(t) {
		name := p.name()
		switch {
		case p.boots():
			name = firstProcess
		case strings.HasPrefix(name, "berth-supervisor"): // a copy carries its digest
			name = "berth-supervisor"
		}
		if slices.Contains(victims(), name) {
			kind := p.place() + " " + name
			byKind[kind] = append(byKind[kind], p)
		}
	}
	kinds := slices.Sorted(maps.Keys(byKind))
	kind := kinds[random.IntN(len(kinds))]
	t.Logf("%s killing a %s", time.Now().Format("05.000"), kind)
	if kind == daemon {
		killDaemon(t)
		must(t, "up", "--detach")
		return
	}
	p := byKind[kind][random.IntN(len(byKind[kind]))]
	if err := p.kill(); err != nil {
		t.Fatalf("killing %d (%s): %v", p.pid, p.command, err)
	}
}

// killDaemon kills the service alone.
func killDaemon(t *testing.T) {
	t.Helper()
	service.kill(t)
}

// place is what the process belongs to: management, cp or machine.
func (p process) place() string {
	for _, place := range []string{"management", "cp", "machine"} {
		if strings.Contains(p.cgroup, "/berth-"+service.instance+"/"+place) {
			return place
		}
	}
	return "other"
}

// kill kills this very process: a pid may have passed on since it was found.
func (p process) kill() error {
	fd, err := unix.PidfdOpen(p.pid, 0)
	if err != nil {
		return ignoreGone(err)
	}
	defer unix.Close(fd)
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.pid))
	if err != nil || startOf(stat) != p.start {
		return nil // gone already
	}
	return ignoreGone(unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0))
}

func ignoreGone(err error) error {
	if err == unix.ESRCH { //nolint:errorlint // a system call's own number
		return nil
	}
	return err
}

// scaleWithoutWaiting asks for a number of nodes, again while the API behind
// the service is away or a former operation runs.
func (c *cluster) scaleWithoutWaiting(t *testing.T, count int) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		if _, err = service.berth("aks", "scale", "-g", c.group, "-n", c.name, "-c", strconv.Itoa(count), "--no-wait"); err == nil {
			t.Logf("%s asked for %d nodes", time.Now().Format("05.000"), count)
			return
		}
	}
	t.Fatal(err)
}

// settled waits until the cluster is as its last operation wants it, and holds
// what the service says against what is.
func (c *cluster) settled(t *testing.T, count int) {
	t.Helper()
	const within = 60 * time.Second
	began := time.Now()
	state := ""
	for state != "Succeeded" {
		if time.Since(began) > within {
			t.Fatalf("the cluster's provisioningState is %q after %v", state, within)
		}
		time.Sleep(200 * time.Millisecond)
		printed, err := service.berth("aks", "show", "-g", c.group, "-n", c.name, "--query", "provisioningState", "-o", "tsv")
		if state = strings.TrimSpace(printed); err != nil {
			state = err.Error()
		}
	}
	c.settledNodes(t, count)
	if running := manage(t, "get", "managedclusters", "-o", "jsonpath={.items[*].spec.operations}"); strings.Trim(running, "[] ") != "" {
		t.Errorf("operations that never ended: %s", running)
	}
	c.eventually(t, within, func(got string) bool {
		return strings.Count(got, "Running") == strings.Count(got, " ")+1 && !strings.Contains(got, "Pending")
	},
		"get", "pods", "-A", "-o", "jsonpath={.items[*].status.phase}")
	t.Logf("settled in %v", time.Since(began).Round(time.Millisecond))
}

// settledNodes waits until there are so many nodes and all are ready.
func (c *cluster) settledNodes(t *testing.T, count int) {
	t.Helper()
	ready := strings.TrimSpace(strings.Repeat("True ", count))
	c.eventually(t, time.Minute, func(got string) bool { return got == ready },
		"get", "nodes", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`)
}

// manage runs kubectl against the management API.
func manage(t *testing.T, arguments ...string) string {
	t.Helper()
	return (&cluster{kubeconfig: managementKubeconfig(t)}).must(t, arguments...)
}

// managementKubeconfig is a file to reach the management API with.
func managementKubeconfig(t *testing.T) string {
	t.Helper()
	config, err := service.berth("admin", "kubeconfig")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "admin.kubeconfig")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// deletedWithoutLeftovers deletes the cluster, which has to be the only one,
// and expects that nothing of it is left in the management API or on the host.
func (c *cluster) deletedWithoutLeftovers(t *testing.T) {
	t.Helper()
	must(t, "aks", "delete", "-g", c.group, "-n", c.name, "--yes")
	var list struct {
		Items []struct {
			Kind     string
			Metadata struct{ Name string }
			Spec     struct{ OwnerName string }
		}
	}
	kinds := "managedclusters,controlplanes,agentpools,machines,virtualnetworks,loadbalancers,publicipaddresses,idranges,secrets"
	if err := json.Unmarshal([]byte(manage(t, "get", kinds, "-A", "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	for _, item := range list.Items {
		own := item.Spec.OwnerName == "edge" || item.Kind == "Secret" && // the service's own, and not of a cluster or machine
			!strings.HasSuffix(item.Metadata.Name, "-credentials") && !strings.HasPrefix(item.Metadata.Name, "aks-")
		if !own {
			t.Errorf("left in the management API: %s %s", item.Kind, item.Metadata.Name)
		}
	}
	prefix := "berth-" + service.instance
	for _, pattern := range []string{
		service.home + "/control-planes/*", service.home + "/machines/*", "/run/netns/" + prefix + "-cp-*", "/run/netns/" + prefix + "-vnet-*",
		"/sys/fs/cgroup/*/" + prefix + "/cp-*", "/sys/fs/cgroup/*/" + prefix + "/machine-*", "/sys/fs/cgroup/" + prefix + "/cp-*", "/sys/fs/cgroup/" + prefix + "/machine-*",
	} {
		left, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range left {
			t.Errorf("left on the host: %s", path)
		}
	}
}
