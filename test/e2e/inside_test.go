//go:build e2e

package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// inside are callers of everything that goes through the API server into a
// cluster and out of it: on each node a pod that calls the API server as an old
// client and is a webhook, and loops that run commands in it, read its log and
// write what it admits.
type inside struct {
	c    *cluster
	pods []string

	stopped chan struct{}
	stop    func()
	done    sync.WaitGroup

	mu     sync.Mutex
	calls  map[string]int
	failed []string
	// longest is how long the longest call of each kind took.
	longest map[string]time.Duration
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
	i := &inside{c: c, stopped: make(chan struct{}), calls: map[string]int{}, longest: map[string]time.Duration{}}
	i.stop = sync.OnceFunc(func() { close(i.stopped); i.done.Wait() })
	t.Cleanup(i.stop) // where the test fails before
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
			i.done.Go(func() { i.loop(what, func() (string, error) { return i.c.kubectl(arguments...) }) })
		}
		read := i.readLogs(t, pod)
		i.done.Go(func() { i.loop("logs of one client", read) })
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
func (i *inside) loop(what string, call func() (string, error)) {
	for {
		select {
		case <-i.stopped:
			return
		default:
		}
		begun := time.Now()
		printed, err := call()
		i.mu.Lock()
		i.calls[what]++
		i.longest[what] = max(i.longest[what], time.Since(begun).Round(time.Millisecond))
		if err != nil {
			i.failed = append(i.failed, fmt.Sprintf("%s %s, after %v: %s %v", what, begun.UTC().Format(time.TimeOnly), time.Since(begun).Round(time.Millisecond), printed, err))
		}
		i.mu.Unlock()
	}
}

// readLogs reads a pod's log many times a second, as one client that keeps its
// connection: what a kubelet is just answering when it is replaced is among it.
func (i *inside) readLogs(t *testing.T, pod string) func() (string, error) {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", i.c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 20, 20
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	return func() (string, error) {
		said, err := client.CoreV1().Pods("default").GetLogs(pod, &corev1.PodLogOptions{TailLines: new(int64(1))}).DoRaw(t.Context())
		if err == nil && !bytes.HasSuffix(said, []byte("\n")) {
			err = errors.New("the line is cut off")
		}
		return string(said), err
	}
}

// end stops the loops and asserts that no call failed, neither theirs nor the pods'.
func (i *inside) end(t *testing.T) {
	t.Helper()
	i.stop()
	t.Logf("calls: %v, of which the longest took %v", i.calls, i.longest)
	for _, failed := range i.failed {
		t.Error("a call failed: " + failed)
	}
	for _, pod := range i.pods {
		for line := range strings.Lines(i.c.must(t, "logs", pod)) {
			if strings.HasPrefix(line, "failed") || strings.HasPrefix(line, "ended") {
				t.Errorf("%s: %s", pod, line)
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
}
