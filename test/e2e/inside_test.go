//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
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
		c.eventually(t, 30*time.Second, notEmpty, "create", "configmap", "called-"+pod, "--dry-run=server", "-o", "name")
		for what, call := range i.calling(t, pod) {
			i.done.Go(func() { i.loop(what, call) })
		}
	}
	return i
}

// calling are the calls that go through a pod's node. All but exec are the test's
// own: a kubectl for each takes the processors from what is tried.
func (i *inside) calling(t *testing.T, pod string) map[string]func() error {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", i.c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 1000, 1000 // the loop paces them
	config.Timeout = time.Minute
	one, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	readLog := func(client kubernetes.Interface) error {
		said, err := client.CoreV1().Pods("default").GetLogs(pod, &corev1.PodLogOptions{TailLines: new(int64(1))}).DoRaw(t.Context())
		if err == nil && !bytes.HasSuffix(said, []byte("\n")) {
			err = fmt.Errorf("the line is cut off: %q", said)
		}
		return err
	}
	write := func(client kubernetes.Interface) error { // that the pod, as a webhook, has to admit
		called := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "called-" + pod}}
		_, err := client.CoreV1().ConfigMaps("default").Create(t.Context(), called, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err
	}
	return map[string]func() error{
		"exec": func() error {
			printed, err := i.c.kubectl("exec", pod, "--", "/client", "lookup", "localhost")
			if err != nil {
				err = fmt.Errorf("%s %w", printed, err)
			}
			return err
		},
		"logs":    func() error { return anew(config, readLog) },
		"webhook": func() error { return anew(config, write) },
		// What a kubelet is just answering when it is replaced is among these.
		"logs of one client": func() error { return readLog(one) },
	}
}

// anew calls as a client that comes anew: over a connection of its own.
func anew(config *rest.Config, call func(kubernetes.Interface) error) error {
	own := rest.CopyConfig(config)
	own.Dial = new(net.Dialer).DialContext // transports are shared where this is not set
	client, err := rest.HTTPClientFor(own)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	set, err := kubernetes.NewForConfigAndClient(own, client)
	if err != nil {
		return err
	}
	return call(set)
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

// loop calls again and again, ten times a second at most.
func (i *inside) loop(what string, call func() error) {
	pace := time.NewTicker(100 * time.Millisecond)
	defer pace.Stop()
	for {
		select {
		case <-i.stopped:
			return
		case <-pace.C:
		}
		begun := time.Now()
		err := call()
		i.mu.Lock()
		i.calls[what]++
		i.longest[what] = max(i.longest[what], time.Since(begun).Round(time.Millisecond))
		if err != nil {
			i.failed = append(i.failed, fmt.Sprintf("%s %s, after %v: %v", what, begun.UTC().Format(time.TimeOnly), time.Since(begun).Round(time.Millisecond), err))
		}
		i.mu.Unlock()
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
