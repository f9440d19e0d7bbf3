//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is one process of the install.
type process struct {
	pid     int
	cgroup  string
	command string
	start   string
}

// name is the program's name as it shows itself.
func (p process) name() string {
	program, _, _ := strings.Cut(p.command, " ")
	return filepath.Base(program)
}

// boots says whether the process is the first one of a machine.
func (p process) boots() bool { return strings.Contains(p.command, " machine boot") }

// processes are those of the cgroups of the service under test.
func processes(t *testing.T) []process {
	t.Helper()
	return service.processes(t)
}

// processes are those of the install's cgroups.
func (i *install) processes(t *testing.T) []process {
	t.Helper()
	var found []process
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		directory := filepath.Join("/proc", entry.Name())
		cgroup, _ := os.ReadFile(filepath.Join(directory, "cgroup")) // it may have ended meanwhile
		command, _ := os.ReadFile(filepath.Join(directory, "cmdline"))
		stat, _ := os.ReadFile(filepath.Join(directory, "stat"))
		start := startOf(stat)
		if !strings.Contains(string(cgroup), "/berth-"+i.instance+"/") || start == "" {
			continue
		}
		found = append(found, process{pid: pid, cgroup: string(cgroup), command: strings.ReplaceAll(string(command), "\x00", " "), start: start})
	}
	return found
}

// startOf is the start time in a /proc/<pid>/stat, empty for a process that
// has ended.
func startOf(stat []byte) string {
	fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return ""
	}
	return fields[19]
}

// pids are the pid of the service and, in one line each, pid and start time of
// every long-lived process of its clusters.
func pids(t *testing.T) (daemon int, clusters string) {
	t.Helper()
	status, err := service.status()
	if err != nil {
		t.Fatal(err)
	}
	lines := service.running(t, "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "proxy-server",
		"containerd", "kubelet", "kube-proxy", "proxy-agent", "coredns", "web")
	if len(lines) < 8 {
		t.Fatalf("found only %d processes of clusters: %q", len(lines), lines)
	}
	return status.PID, strings.Join(lines, "\n")
}

// running are name, pid and start time of the install's processes of some programs.
func (i *install) running(t *testing.T, programs ...string) []string {
	t.Helper()
	var lines []string
	for _, p := range i.processes(t) {
		if slices.Contains(programs, p.name()) {
			lines = append(lines, fmt.Sprintf("%s %d %s", p.name(), p.pid, p.start))
		}
	}
	slices.Sort(lines)
	return lines
}

// address is that of the cluster's API server.
func (c *cluster) address(t *testing.T) string {
	t.Helper()
	server := c.must(t, "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
	return strings.TrimSuffix(strings.TrimPrefix(server, "https://"), ":443")
}

// apiServer is the process of the cluster's API server.
func (c *cluster) apiServer(t *testing.T) process {
	t.Helper()
	address := c.address(t)
	server, found := apiServerAt(t, address)
	if !found {
		t.Fatalf("no kube-apiserver with address %s", address)
	}
	return server
}

// apiServerAt is the process of the API server with an address, if one runs.
func apiServerAt(t *testing.T, address string) (server process, found bool) {
	t.Helper()
	for _, p := range processes(t) {
		if p.name() == "kube-apiserver" && strings.Contains(p.command, "--advertise-address="+address+" ") {
			return p, true
		}
	}
	return process{}, false
}

// killedAPIServer kills the cluster's API server and expects another to answer.
func (c *cluster) killedAPIServer(t *testing.T) {
	t.Helper()
	address := c.address(t)
	victim := c.apiServer(t)
	if err := syscall.Kill(victim.pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	died := time.Now()
	for {
		if p, running := apiServerAt(t, address); running && p.pid != victim.pid {
			break
		}
		if time.Since(died) > 2*time.Second {
			t.Fatal("kube-apiserver was not started again within 2 s")
		}
		time.Sleep(20 * time.Millisecond)
	}
	c.eventually(t, 20*time.Second, notEmpty, "get", "nodes", "-o", "name")
}

func TestNothingOfAClusterRunsAsRootOnTheHost(t *testing.T) {
	newCluster(t, "uids", "-c", "1", "-s", "Standard_D4s_v3") // more processors than a small host has
	checked := 0
	for _, p := range processes(t) {
		if strings.Contains(p.cgroup, "/management") || !strings.Contains(p.cgroup, "/cp-") && !strings.Contains(p.cgroup, "/machine-") {
			continue
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.pid))
		if err != nil {
			continue // ended meanwhile
		}
		for line := range strings.Lines(string(status)) {
			if fields := strings.Fields(line); len(fields) == 5 && fields[0] == "Uid:" {
				checked++
				if uid, err := strconv.Atoi(fields[2]); err != nil || uid < 65536 {
					t.Errorf("process %d (%s) has effective uid %s on the host", p.pid, p.command, fields[2])
				}
			}
		}
	}
	if checked < 8 {
		t.Errorf("checked only %d processes", checked)
	}
}
