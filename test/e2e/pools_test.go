//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// pool is a berth command on the pool work of a cluster.
func (c *cluster) pool(verb string, flags ...string) []string {
	return append([]string{"aks", "nodepool", verb, "-g", c.group, "--cluster-name", c.name, "-n", "work"}, flags...)
}

// nodes are the names of the nodes of the pool work.
func (c *cluster) nodes(t *testing.T) []string {
	t.Helper()
	return strings.Fields(c.must(t, "get", "nodes", "-l", "agentpool=work", "-o", "jsonpath={.items[*].metadata.name}"))
}

// TestAPoolIsChangedScaledInStoppedAndDeletedUnderLoad tells the whole life of a
// pool, while a Job in the cluster calls a service all the time that has a budget.
func TestAPoolIsChangedScaledInStoppedAndDeletedUnderLoad(t *testing.T) {
	c := newCluster(t, "pools", "--node-count", "1")
	c.addConfiguredPool(t)

	must(t, c.pool("update", "--labels", "tier=gold", "--node-taints", "soft=yes:PreferNoSchedule")...)
	if got := c.must(t, "get", "nodes", "-l", "tier=gold", "-o", "jsonpath={.items[*].spec.taints[*].key}"); strings.Count(got, "soft") != 2 {
		t.Errorf("the nodes with the label have the taints %q", got)
	}
	must(t, c.pool("update", "--labels", "", "--node-taints", "")...)
	if got := c.must(t, "get", "nodes", "-l", "tier", "-o", "name"); got != "" {
		t.Errorf("%s still has the label", got)
	}

	l := startLoad(t, c)
	must(t, c.pool("scale", "-c", "1")...)
	if got := c.nodes(t); len(got) != 1 {
		t.Errorf("nodes after the scale-in: %v", got)
	}
	must(t, c.pool("scale", "-c", "2")...)
	must(t, c.pool("delete-machines", "--machine-names", c.nodes(t)[0])...)
	l.stop(t)

	c.blocked(t)

	c.deallocated(t)
	must(t, c.pool("stop")...)
	if got := c.must(t, "get", "nodes", "-l", "agentpool=work", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`); got == "True" {
		c.eventually(t, time.Minute, func(got string) bool { return got != "True" }, "get", "nodes", "-l", "agentpool=work",
			"-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`)
	}
	if got := strings.TrimSpace(must(t, c.pool("show", "--query", "powerState.code", "-o", "tsv")...)); got != "Stopped" {
		t.Errorf("the stopped pool is %s", got)
	}
	must(t, c.pool("start")...)
	c.must(t, "wait", "--for=condition=Ready", "node", "-l", "agentpool=work", "--timeout=10s")
	must(t, c.pool("delete")...)
	if got := c.nodes(t); len(got) != 0 {
		t.Errorf("nodes of the deleted pool: %v", got)
	}
}

// deallocated lets the empty pool grow and shrink, with commands that wait for
// those before them, keeps the node that is too many, and starts it again.
func (c *cluster) deallocated(t *testing.T) {
	t.Helper()
	must(t, c.pool("scale", "-c", "2", "--no-wait")...)
	must(t, c.pool("update", "--scale-down-mode", "Deallocate", "--queue")...)
	before := c.nodes(t)
	if len(before) != 2 {
		t.Errorf("once the queued command has ended there are the nodes %v", before)
	}
	must(t, c.pool("scale", "-c", "1")...)
	// Told by the service: the cluster itself would find out after 40 s at the soonest.
	c.eventually(t, 30*time.Second, func(got string) bool { return strings.Count(got, "True") == 1 && strings.Count(got, "true") == 1 },
		"get", "nodes", "-l", "agentpool=work", "-o", `jsonpath={range .items[*]}{.spec.unschedulable} {.status.conditions[?(@.type=="Ready")].status} {end}`)
	if got := c.nodes(t); !slices.Equal(got, before) {
		t.Errorf("the deallocated node is not registered any more: %v", got)
	}
	must(t, c.pool("scale", "-c", "2")...)
	c.must(t, "wait", "--for=condition=Ready", "node", "-l", "agentpool=work", "--timeout=10s")
	if got := c.nodes(t); !slices.Equal(got, before) {
		t.Errorf("the deallocated node was not started again: %v, want %v", got, before)
	}
	must(t, c.pool("scale", "-c", "1")...)
	must(t, c.pool("update", "--scale-down-mode", "Delete")...)
	if got := c.nodes(t); len(got) != 1 {
		t.Errorf("the deallocated node was not removed: %v", got)
	}
}

// addConfiguredPool adds the pool work with zones and settings, and looks for
// them where they act.
func (c *cluster) addConfiguredPool(t *testing.T) {
	t.Helper()
	kubelet, system := filepath.Join(t.TempDir(), "kubelet.json"), filepath.Join(t.TempDir(), "system.json")
	for file, content := range map[string]string{
		kubelet: `{"podMaxPids": 321, "containerLogMaxFiles": 3, "cpuCfsQuotaPeriod": "50ms", "imageGcHighThreshold": 90, "imageGcLowThreshold": 70, "topologyManagerPolicy": "best-effort", "allowedUnsafeSysctls": ["net.core.somaxconn"]}`,
		system:  `{"sysctls": {"netCoreSomaxconn": 8192, "netIpv4TcpMaxSynBacklog": 2048, "netIpv4TcpMaxTwBuckets": 9000, "netIpv4TcpFinTimeout": 15, "netIpv4TcpKeepaliveTime": 600, "netIpv4TcpKeepaliveProbes": 5, "netIpv4TcpkeepaliveIntvl": 30, "netIpv4TcpTwReuse": true, "netIpv4IpLocalPortRange": "20000 60000"}}`,
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	must(t, c.pool("add", "-c", "2", "-s", "Standard_B2s", "--zones", "1", "2", "--kubelet-config", kubelet, "--linux-os-config", system)...)
	zones := c.must(t, "get", "nodes", "-l", "agentpool=work", "-o", `jsonpath={.items[*].metadata.labels.topology\.kubernetes\.io/zone}`)
	if want := service.cloud.Location; !strings.Contains(zones, want+"-1") || !strings.Contains(zones, want+"-2") {
		t.Errorf("the nodes are in the zones %q", zones)
	}
	node := c.nodes(t)[0]
	running := c.must(t, "get", "--raw", "/api/v1/nodes/"+node+"/proxy/configz")
	for _, want := range []string{`"podPidsLimit":321`, `"containerLogMaxFiles":3`, `"cpuCFSQuotaPeriod":"50ms"`, `"imageGCHighThresholdPercent":90`,
		`"imageGCLowThresholdPercent":70`, `"topologyManagerPolicy":"best-effort"`, `"allowedUnsafeSysctls":["net.core.somaxconn"]`} {
		if !strings.Contains(running, want) {
			t.Errorf("the kubelet runs without %s: %s", want, running)
		}
	}
	c.must(t, "run", "settings", "--image=berth.internal/test/client:v1", "--restart=Never", "--overrides",
		`{"spec":{"hostNetwork":true,"nodeName":"`+node+`"}}`, "--command", "--", "sh", "-c",
		`for s in core/somaxconn ipv4/tcp_max_syn_backlog ipv4/tcp_max_tw_buckets ipv4/tcp_fin_timeout ipv4/tcp_keepalive_time ipv4/tcp_keepalive_probes ipv4/tcp_keepalive_intvl ipv4/tcp_tw_reuse ipv4/ip_local_port_range; do cat /proc/sys/net/$s; done`)
	c.eventually(t, 30*time.Second, func(got string) bool { return got == "Succeeded" }, "get", "pod", "settings", "-o", "jsonpath={.status.phase}")
	if got := strings.Join(strings.Fields(c.must(t, "logs", "settings")), " "); got != "8192 2048 9000 15 600 5 30 1 20000 60000" {
		t.Errorf("the kernel of the node runs with %q", got)
	}
	c.must(t, "delete", "pod", "settings", "--grace-period=0", "--force")
}

// blocked scales in against a budget that allows nothing: the pod and the budget
// are named wherever somebody looks, and the next request goes on regardless.
func (c *cluster) blocked(t *testing.T) {
	t.Helper()
	c.must(t, "patch", "pdb", "served", "--type=merge", "-p", `{"spec":{"minAvailable":2}}`)
	must(t, c.pool("scale", "-c", "2")...)
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	scale := service.command(ctx, c.pool("scale", "-c", "0")...)
	told := &shared{}
	scale.Stderr = told
	if err := scale.Start(); err != nil {
		t.Fatal(err)
	}
	const budget = "needs 2 healthy pods"
	for !strings.Contains(told.String(), budget) && ctx.Err() == nil {
		time.Sleep(100 * time.Millisecond)
	}
	pods := manage(t, "get", "agentpools", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="MachinesReady")].message}`)
	for where, text := range map[string]string{"the operation": told.String(), "the management API": pods} {
		if !strings.Contains(text, "default/served-") || !strings.Contains(text, "budget served") {
			t.Errorf("%s does not name the pod and the budget: %s", where, text)
		}
	}
	must(t, c.pool("operation-abort")...)
	if err := scale.Wait(); err == nil {
		t.Error("the aborted scale-in succeeded")
	}
	must(t, c.pool("scale", "-c", "0", "--ignore-pdb")...)
	if got := c.nodes(t); len(got) != 0 {
		t.Errorf("nodes after going on regardless: %v", got)
	}
}

// shared is what a command has written so far.
type shared struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

// Write implements io.Writer.
func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buffer.String()
}
