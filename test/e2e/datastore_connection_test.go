//go:build e2e

package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/procfs"
)

// widgets is a kind that a customer defines.
const widgets = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  names: {kind: Widget, plural: widgets, singular: widget}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}
`

// asksOverOneConnection expects the API server to have one connection to its
// datastore, with the cluster's own kinds and a customer's, and to keep it when
// the customer's is gone.
func (c *cluster) asksOverOneConnection(t *testing.T) {
	c.applyText(t, widgets)
	c.must(t, "wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=30s")
	c.eventually(t, 20*time.Second, func(string) bool { return true }, "get", "widgets")
	c.applyText(t, "{apiVersion: example.com/v1, kind: Widget, metadata: {name: one}}")
	c.hasOneConnection(t)
	c.must(t, "delete", "crd/widgets.example.com")
	c.must(t, "create", "configmap", "kept")
	if got := c.must(t, "get", "configmap", "kept", "-o", "name"); got != "configmap/kept" {
		t.Errorf("after a kind is gone a configmap reads %q", got)
	}
	c.hasOneConnection(t)
	// Consistent reads come from the watch cache only if every client knows its
	// endpoint, by which upstream finds out what the datastore can do.
	read := ""
	for line := range strings.Lines(c.must(t, "get", "--raw", "/metrics")) {
		if strings.HasPrefix(line, "apiserver_watch_cache_consistent_read_total{") && strings.Contains(line, `success="true"`) {
			read = line
		}
	}
	if read == "" {
		t.Error("no list was read from a watch cache")
	}
}

// hasOneConnection waits until the API server has one connection to etcd: its look at
// the datastore's size, each half minute, has one more for a moment.
func (c *cluster) hasOneConnection(t *testing.T) {
	t.Helper()
	server := c.apiServer(t)
	count := 0
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var err error
		if count, err = connections(server.pid, 2379); err != nil {
			t.Fatal(err)
		}
		if count == 1 {
			return
		}
	}
	t.Errorf("the API server has %d connections to etcd, want 1", count)
}

// connections counts what a process has open to a TCP port, in its network namespace.
func connections(pid int, port uint64) (count int, err error) {
	process, err := procfs.NewProc(pid)
	if err != nil {
		return 0, err
	}
	files, err := process.FileDescriptorTargets()
	if err != nil {
		return 0, err
	}
	namespace, err := procfs.NewFS(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return 0, err
	}
	sockets, err := namespace.NetTCP()
	if err != nil {
		return 0, err
	}
	for _, socket := range sockets {
		if socket.RemPort == port && slices.Contains(files, fmt.Sprintf("socket:[%d]", socket.Inode)) {
			count++
		}
	}
	return count, nil
}
