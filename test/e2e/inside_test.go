//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// inside are callers of everything that goes through the API server into a
// cluster and out of it: on each node a pod that calls the API server as an old
// client and is a webhook, and loops that run commands in it, read its log and
// write what it admits.
type inside struct {
	c    *cluster
	pods []string

	stopped chan struct{}
	done    sync.WaitGroup

	mu     sync.Mutex
	calls  map[string]int
	failed []string
}

// startInside starts the pods and then the loops.
func startInside(t *testing.T, c *cluster) *inside {
	t.Helper()
	program := filepath.Join(t.TempDir(), "inside")
	build := exec.Command("go", "build", "-o", program, filepath.Join("testdata", "inside", "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program for pods: %v\n%s", err, printed)
	}
	i := &inside{c: c, stopped: make(chan struct{}), calls: map[string]int{}}
	for n, node := range strings.Fields(c.must(t, "get", "nodes", "-o", "jsonpath={.items[*].metadata.name}")) {
		pod := fmt.Sprintf("inside-%d", n)
		i.pods = append(i.pods, pod)
		i.apply(t, "inside.yaml", "POD", pod, "NODE", node)
		c.must(t, "wait", "--for=condition=Ready", "pod/"+pod, "--timeout=60s")
		c.must(t, "cp", program, pod+":/tmp/copied")
		c.must(t, "exec", pod, "--", "sh", "-c", "chmod +x /tmp/copied && mv /tmp/copied /tmp/inside")
		bundle := c.eventually(t, 30*time.Second, notEmpty, "logs", pod)
		i.apply(t, "webhook.yaml", "POD", pod, "CABUNDLE", strings.Fields(bundle)[0])
		c.eventually(t, 30*time.Second, notEmpty, i.admitted(pod)...)
		for what, arguments := range map[string][]string{
			"exec": {"exec", pod, "--", "/client", "lookup", "localhost"}, "logs": {"logs", "--tail=1", pod}, "webhook": i.admitted(pod),
		} {
			i.done.Go(func() { i.loop(what, pod, arguments) })
		}
	}
	return i
}

// admitted are the arguments of a write that the webhook of a pod has to admit.
func (i *inside) admitted(pod string) []string {
	return []string{"create", "configmap", "called-" + pod, "--dry-run=server", "-o", "name"}
}

// apply applies a file with some words replaced.
func (i *inside) apply(t *testing.T, name string, words ...string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(strings.NewReplacer(words...).Replace(string(data))), 0o600); err != nil {
		t.Fatal(err)
	}
	i.c.must(t, "apply", "-f", file)
}

// loop calls again and again.
func (i *inside) loop(what, pod string, arguments []string) {
	for {
		select {
		case <-i.stopped:
			return
		default:
		}
		begun := time.Now()
		printed, err := i.c.kubectl(arguments...)
		i.mu.Lock()
		i.calls[what]++
		if err != nil {
			i.failed = append(i.failed, fmt.Sprintf("%s %s, after %v: %s %v", what, begun.UTC().Format(time.TimeOnly), time.Since(begun).Round(time.Millisecond), printed, err))
		}
		i.mu.Unlock()
	}
}

// end stops the loops and asserts that no call failed, neither theirs nor the pods'.
func (i *inside) end(t *testing.T) {
	t.Helper()
	close(i.stopped)
	i.done.Wait()
	for _, pod := range i.pods {
		for line := range strings.Lines(i.c.must(t, "logs", pod)) {
			if strings.HasPrefix(line, "failed") || strings.HasPrefix(line, "ended") {
				i.failed = append(i.failed, pod+": "+line)
			}
		}
		made, err := strconv.Atoi(i.c.must(t, "exec", pod, "--", "/client", "get", "http://127.0.0.1:8080/calls"))
		if err != nil || made < 10 {
			t.Errorf("%s made %d calls: %v", pod, made, err)
		}
		i.calls["of pods"] += made
	}
	for _, what := range []string{"exec", "logs", "webhook"} {
		if i.calls[what] < 2*len(i.pods) {
			t.Errorf("%d calls of %s", i.calls[what], what)
		}
	}
	t.Logf("calls: %v", i.calls)
	// What a kubelet answers while it is replaced can still be cut off, rarely:
	// one call of some thousand (docs/design/rotation.md). The soak allows none.
	allowed := 1
	if soak() {
		allowed = 0
	}
	if len(i.failed) > 0 {
		t.Logf("%d calls failed:\n%s", len(i.failed), strings.Join(i.failed, "\n"))
	}
	if len(i.failed) > allowed {
		t.Errorf("%d calls failed:\n%s", len(i.failed), strings.Join(i.failed, "\n"))
	}
}
