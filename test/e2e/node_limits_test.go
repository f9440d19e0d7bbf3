//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// chatty is a pod that prints more at once than a log file may have.
const chatty = `
apiVersion: v1
kind: Pod
metadata: {name: chatty}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: client
    image: berth.internal/test/client:v1
    command: [/bin/sh, -c, "dd if=/dev/zero bs=1M count=60 2>/dev/null | tr '\\0' x; echo; echo the end; exec sleep 1000000"]
`

// logsAreHeld waits until the log of the chatty pod was rotated on its node, and
// the new file is what kubectl reads.
func (c *cluster) logsAreHeld(t *testing.T) {
	t.Helper()
	pattern := filepath.Join(nodeRoot(t), "var/log/pods/default_chatty_*/client/0.log*")
	var seen string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		seen = ""
		rotated, current := false, int64(-1)
		for _, file := range files {
			info, err := os.Stat(file)
			if err != nil {
				continue // rotated this moment
			}
			seen += fmt.Sprintf("%s %d\n", filepath.Base(file), info.Size())
			if filepath.Base(file) == "0.log" {
				current = info.Size()
			} else {
				rotated = true
			}
		}
		if rotated && current >= 0 && current < 50<<20 {
			c.must(t, "logs", "chatty", "--tail", "1")
			return
		}
	}
	t.Errorf("60 MiB of a container's output were not rotated:\n%s", seen)
}

// nodeRoot is the root directory of the only machine.
func nodeRoot(t *testing.T) string {
	t.Helper()
	for _, p := range processes(t) {
		if p.place() == "machine" && strings.Contains(p.command, " machine boot") {
			return fmt.Sprintf("/proc/%d/root", p.pid)
		}
	}
	t.Fatal("no machine was found")
	return ""
}

// seesItsOwnDisk asserts that the kubelet counts images and logs against the
// disk of its node, and not against the host's.
func (c *cluster) seesItsOwnDisk(t *testing.T) {
	t.Helper()
	var gib float64
	if _, err := fmt.Sscan(must(t, "aks", "nodepool", "show", "-g", c.group, "--cluster-name", c.name, "-n", "nodepool1", "--query", "osDiskSizeGB", "-o", "tsv"), &gib); err != nil {
		t.Fatal(err)
	}
	node := "/api/v1/nodes/" + c.must(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}") + "/proxy"
	var summary struct {
		Node struct {
			Runtime struct {
				ImageFs struct{ CapacityBytes float64 }
			}
		}
	}
	// A node may be ready before its kubelet has measured the disk for the first time.
	c.eventually(t, 30*time.Second, func(said string) bool {
		return json.Unmarshal([]byte(said), &summary) == nil && summary.Node.Runtime.ImageFs.CapacityBytes > 0
	}, "get", "--raw", node+"/stats/summary")
	// A file system takes some of its disk for itself.
	if share := summary.Node.Runtime.ImageFs.CapacityBytes / (gib * (1 << 30)); share < 0.9 || share > 1 {
		t.Errorf("the kubelet collects images by a disk of %.0f bytes, and the node's has %.0f GiB", summary.Node.Runtime.ImageFs.CapacityBytes, gib)
	}
	configuration := c.must(t, "get", "--raw", node+"/configz")
	for _, want := range []string{`"imageGCHighThresholdPercent":85`, `"imageGCLowThresholdPercent":80`, `"containerLogMaxSize":"50Mi"`, `"containerLogMaxFiles":5`} {
		if !strings.Contains(configuration, want) {
			t.Errorf("the kubelet runs without %s", want)
		}
	}
}
