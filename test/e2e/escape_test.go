//go:build e2e

package e2e

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// escapes tries to get out of a's machine, from a pod that has it all. Where
// node root is nobody on the host no way is out; on the host every way is.
func escapes(t *testing.T, a *cluster) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "escape")
	build := exec.Command("go", "build", "-o", program, filepath.Join("testdata", "escape", "main.go"))
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if printed, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program for pods: %v\n%s", err, printed)
	}
	arguments := hostTargets(t)

	control := exec.Command(program, arguments...)
	control.Env = append(os.Environ(), "TMPDIR="+t.TempDir())
	control.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS} // what it mounts goes with it
	printed, err := control.Output()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(printed)) {
		way, what, _ := strings.Cut(strings.TrimSpace(line), " ")
		if known[way] = what == "out"; !known[way] {
			t.Logf("the control: on the host itself %s is %s", way, what)
		}
	}
	for _, way := range []string{"file", "socket", "loopback", "proc", "core-pattern"} {
		if !known[way] {
			t.Errorf("the control: on the host itself the way %s is none", way)
		}
	}

	a.must(t, "apply", "-f", filepath.Join("testdata", "escape.yaml"))
	a.must(t, "wait", "--for=condition=Ready", "pod/escape", "--timeout=60s")
	a.must(t, "cp", program, "escape:/tmp/copied")
	a.must(t, "exec", "escape", "--", "chmod", "+x", "/tmp/copied")
	ways := 0
	for line := range strings.Lines(a.must(t, append([]string{"exec", "escape", "--", "/tmp/copied"}, arguments...)...)) {
		ways++
		t.Log(strings.TrimSpace(line))
		if strings.HasSuffix(strings.TrimSpace(line), " out") {
			t.Errorf("a pod got out: %s", line)
		}
	}
	if ways != len(known) {
		t.Errorf("%d ways were tried, want %d", ways, len(known))
	}
}

// hostTargets are the arguments of the program: what belongs to the host alone.
func hostTargets(t *testing.T) []string {
	t.Helper()
	dir, err := os.MkdirTemp("", "escape") // short, as the path of a socket has to be
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	secret := filepath.Join(dir, "secret")
	put(t, secret, "of the host")
	socket, err := net.Listen("unix", filepath.Join(dir, "socket"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { socket.Close() })
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { port.Close() })
	var root syscall.Stat_t
	if err := syscall.Stat("/", &root); err != nil {
		t.Fatal(err)
	}
	major, minor := root.Dev>>8&0xfff, root.Dev&0xff|root.Dev>>12&0xfff00
	_, number, _ := net.SplitHostPort(port.Addr().String())
	return []string{
		secret, socket.Addr().String(), number, strconv.FormatUint(major, 10), strconv.FormatUint(minor, 10), strconv.Itoa(os.Getpid()),
	}
}

// authorizedRanges closes b's API server to all but a range that nobody has.
func authorizedRanges(t *testing.T, a, b *cluster) {
	t.Helper()
	server := b.must(t, "config", "view", "--minify", "-o", "jsonpath={.clusters[0].cluster.server}")
	address := strings.TrimPrefix(server, "https://")
	ask := func(c *cluster) error {
		_, err := c.kubectl("exec", "client", "--", "/client", "connect", address)
		return err
	}
	update := func(ranges string) {
		must(t, "aks", "update", "-g", b.group, "-n", b.name, "--api-server-authorized-ip-ranges", ranges)
	}
	for range 2 { // open, closed, open, closed, open
		if err := ask(a); err != nil {
			t.Errorf("another cluster does not reach an open API server: %v", err)
		}
		update("203.0.113.0/24")
		if err := ask(a); err == nil {
			t.Error("another cluster reaches an API server that is closed to it")
		}
		if err := ask(b); err != nil {
			t.Errorf("a cluster does not reach its own API server: %v", err)
		}
		b.must(t, "get", "nodes") // from the host; and its nodes go on
		update("")
	}
	b.must(t, "logs", "client", "--tail=1") // by way of konnectivity
}

// traces asks for the way of packets that the test has just sent.
func traces(t *testing.T, a, b *cluster) {
	t.Helper()
	node := a.must(t, "get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
	for to, want := range map[string]string{b.address(t): "Delivered", "203.0.113.9": "Dropped"} {
		got := must(t, "network", "trace", node, to, "-g", a.group, "-n", a.name, "--port", "443", "--query", "verdict", "--output", "tsv")
		if strings.TrimSpace(got) != want {
			t.Errorf("the trace to %s says %s, want %s", to, got, want)
		}
	}
}
