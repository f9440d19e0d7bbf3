//go:build e2e

package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// filler is a pod that has a directory on its node's disk.
const filler = `apiVersion: v1
kind: Pod
metadata: {name: filler}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - {name: client, image: "berth.internal/test/client:v1", command: [/client, sleep], volumeMounts: [{name: data, mountPath: /data}]}
  volumes: [{name: data, emptyDir: {}}]
`

// TestAFullDiskHarmsItsNodeAlone fills the disk of one of two nodes from a pod
// on it: the kubelet evicts the pod, and nobody else notices.
func TestAFullDiskHarmsItsNodeAlone(t *testing.T) {
	c := newCluster(t, "disk", "-c", "2", "-s", "Standard_B2s")
	manifest := filepath.Join(t.TempDir(), "filler.yaml")
	put(t, manifest, filler)
	c.must(t, "apply", "-f", manifest)
	c.must(t, "wait", "--for=condition=Ready", "pod/filler", "--timeout=60s")
	full := c.must(t, "get", "pod", "filler", "-o", "jsonpath={.spec.nodeName}")
	other := ""
	for _, name := range strings.Fields(c.must(t, "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")) {
		if name != full {
			other = name
		}
	}
	pressure := `jsonpath={.status.conditions[?(@.type=="DiskPressure")].status}`

	w := startWriter(t, c)
	fill(t)
	c.eventually(t, 90*time.Second, func(got string) bool { return got == "True" }, "get", "node", full, "-o", pressure)
	c.eventually(t, 60*time.Second, func(got string) bool { return got == "TerminationByKubelet" },
		"get", "pod", "filler", "-o", `jsonpath={.status.conditions[?(@.type=="DisruptionTarget")].reason}`)
	if got := c.must(t, "get", "node", other, "-o", pressure); got != "False" {
		t.Errorf("the other node's DiskPressure is %s", got)
	}
	c.client(t, "client") // the scheduler puts it on the other node
	if got := c.must(t, "get", "pod", "client", "-o", "jsonpath={.spec.nodeName}"); got != other {
		t.Errorf("a new pod runs on %s, whose disk was full", got)
	}
	w.stop(t)
	if refused := w.refused.Load(); refused > 0 {
		t.Errorf("%d writes were refused while a node's disk was full", refused)
	}
	if soak() { // a kubelet waits for five minutes before it believes that the pressure is over
		c.eventually(t, 8*time.Minute, func(got string) bool { return got == "False" }, "get", "node", full, "-o", pressure)
		c.settledNodes(t, 2)
	}
}

// fill takes all space of the filler's directory but a little. The blocks are
// allocated and not written: the disk is a sparse file, and the host's stays free.
func fill(t *testing.T) {
	t.Helper()
	for _, p := range processes(t) {
		if p.place() != "machine" || !strings.HasPrefix(p.command, "/client sleep") {
			continue
		}
		directory := fmt.Sprintf("/proc/%d/root/data", p.pid)
		var space unix.Statfs_t
		if err := unix.Statfs(directory, &space); errors.Is(err, unix.ENOENT) {
			continue // another pod of this program
		} else if err != nil {
			t.Fatal(err)
		}
		file, err := os.Create(filepath.Join(directory, "fill"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		const left = 200 << 20
		if err := unix.Fallocate(int(file.Fd()), 0, 0, int64(space.Bavail)*space.Bsize-left); err != nil {
			t.Fatal(err)
		}
		return
	}
	t.Fatal("no process of the filler was found")
}
