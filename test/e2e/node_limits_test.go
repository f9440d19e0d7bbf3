//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/internal/image"
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

// wordy is a pod on the pool work that fills log files without end, and a
// fiftieth of the smallest disk.
const wordy = `
apiVersion: v1
kind: Pod
metadata: {name: wordy}
spec:
  terminationGracePeriodSeconds: 0
  nodeSelector: {agentpool: work}
  volumes: [{name: scratch, emptyDir: {}}]
  containers:
  - name: client
    image: berth.internal/test/client:v1
    command: [/bin/sh, -c, "dd if=/dev/zero of=/scratch/file bs=1M count=640; while :; do dd if=/dev/zero bs=100k count=1 2>/dev/null | tr '\\0' x; echo; sleep 0.2; done"]
    volumeMounts: [{name: scratch, mountPath: /scratch}]
`

// TestANodeKeepsFewLogsAndRemovesImagesThatNobodyNeedsOnceItsDiskIsFull calls a
// disk full that has a hundredth of its bytes, and waits for the kubelet's own
// collection: images are two minutes old then, and it looks each five.
func TestANodeKeepsFewLogsAndRemovesImagesThatNobodyNeedsOnceItsDiskIsFull(t *testing.T) {
	if !soak() {
		t.Skip("a part of make soak")
	}
	c := newCluster(t, "tidy", "-c", "1", "-s", "Standard_B2s")
	kubelet := filepath.Join(t.TempDir(), "kubelet.json")
	if err := os.WriteFile(kubelet, []byte(`{"containerLogMaxSizeMB": 1, "containerLogMaxFiles": 2, "imageGcHighThreshold": 1, "imageGcLowThreshold": 0}`), 0o600); err != nil {
		t.Fatal(err)
	}
	must(t, c.pool("add", "-c", "1", "-s", "Standard_B2s", "--node-osdisk-size", "30", "--kubelet-config", kubelet)...)
	c.applyText(t, wordy)
	c.must(t, "wait", "--for=condition=Ready", "pod/wordy", "--timeout=60s")
	const logs = "var/log/pods/default_wordy_*/client/*"
	root := rootOf(t, logs)

	const unneeded = "example.internal/unneeded:v1"
	archive := filepath.Join(t.TempDir(), "unneeded.tar")
	if err := image.WriteArchive(archive, image.Spec{
		Reference: unneeded, Architecture: runtime.GOARCH, Files: []image.File{{Path: "unneeded", Content: t.Name(), Mode: 0o644}},
	}); err != nil {
		t.Fatal(err)
	}
	loader := strings.TrimSpace(must(t, "release", "path", "ctr"))
	if said, err := exec.Command(loader, "--address", root+"/run/containerd/containerd.sock", "--namespace", "k8s.io", "images", "import", archive).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	images := []string{"get", "nodes", "-l", "agentpool=work", "-o", "jsonpath={.items[*].status.images[*].names}"}
	// The kubelet tells its images every five minutes at the latest.
	c.eventually(t, 6*time.Minute, func(names string) bool { return strings.Contains(names, unneeded) }, images...)
	left := c.eventually(t, 12*time.Minute, func(names string) bool { return !strings.Contains(names, unneeded) }, images...)
	for _, kept := range []string{"pause", "coredns", "metrics-server"} {
		if !strings.Contains(left, kept) {
			t.Errorf("the node has no image %s any more, and no registry to get it from: %s", kept, left)
		}
	}

	files, err := filepath.Glob(filepath.Join(root, logs))
	if err != nil {
		t.Fatal(err)
	}
	var bytes int64
	for _, file := range files {
		if info, err := os.Stat(file); err == nil { // or rotated this moment
			bytes += info.Size()
		}
	}
	// It looks each ten seconds, in which 5 MB are written, and packs what it rotated.
	if len(files) < 2 || len(files) > 3 || bytes > 16<<20 {
		t.Errorf("the log has %d files of %d bytes in all: %q", len(files), bytes, files)
	}
}

// rootOf is the root directory of the machine that has files of a pattern.
func rootOf(t *testing.T, pattern string) string {
	t.Helper()
	for _, p := range processes(t) {
		if p.place() != "machine" || !p.boots() {
			continue
		}
		root := fmt.Sprintf("/proc/%d/root", p.pid)
		if found, _ := filepath.Glob(filepath.Join(root, pattern)); len(found) > 0 {
			return root
		}
	}
	t.Fatalf("no machine has %s", pattern)
	return ""
}

// nodeRoot is the root directory of the only machine.
func nodeRoot(t *testing.T) string {
	t.Helper()
	return rootOf(t, ".")
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
