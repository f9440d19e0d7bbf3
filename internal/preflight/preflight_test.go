package preflight

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeHost makes a host of files.
func fakeHost(t *testing.T, files map[string]string) host {
	t.Helper()
	root := t.TempDir()
	for path, content := range files {
		full := filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return host{root: root, makeNamespace: func() error { return nil }}
}

func TestEveryLackIsNamedWithTheLineThatMendsIt(t *testing.T) {
	v1 := map[string]string{}
	for _, c := range []string{"cpu", "cpuacct", "cpuset", "devices", "freezer", "blkio", "pids"} {
		v1["sys/fs/cgroup/"+c+"/cgroup.procs"] = ""
	}
	userns := "proc/sys/user/max_user_namespaces"
	for _, test := range []struct {
		name     string
		files    map[string]string
		check    func(host) Finding
		level    Level
		mentions string
	}{
		{"cgroups of version 2 that lack memory", map[string]string{"sys/fs/cgroup/cgroup.controllers": "cpu cpuset pids"}, host.cgroups, LevelError, "memory"},
		{"complete cgroups of version 2", map[string]string{"sys/fs/cgroup/cgroup.controllers": "cpu cpuset memory pids io"}, host.cgroups, LevelOK, ""},
		{"cgroups of version 1 that lack memory", v1, host.cgroups, LevelError, "mount -t cgroup -o memory"},
		{"user namespaces that are switched off", map[string]string{"proc/self/ns/user": "", userns: "0"}, host.userNamespaces, LevelError, "nodes cannot be made"},
		{"switched off user namespaces, mended", map[string]string{"proc/self/ns/user": "", userns: "0"}, host.userNamespaces, LevelError, "sysctl -w user.max_user_namespaces="},
		{"a kernel without user namespaces", map[string]string{"proc/sys/kernel/pid_max": "4194304"}, host.userNamespaces, LevelError, "CONFIG_USER_NS"},
		{"few user namespaces", map[string]string{"proc/self/ns/user": "", userns: "8"}, host.userNamespaces, LevelWarning, "as many machines"},
		{"user namespaces that are allowed", map[string]string{"proc/self/ns/user": "", userns: "15000"}, host.userNamespaces, LevelOK, ""},
		{"few inotify instances", map[string]string{"proc/sys/fs/inotify/max_user_instances": "128"}, host.inotify, LevelWarning, "sysctl -w fs.inotify.max_user_instances="},
		{"many inotify instances", map[string]string{"proc/sys/fs/inotify/max_user_instances": "8192"}, host.inotify, LevelOK, ""},
		{"few process ids", map[string]string{"proc/sys/kernel/pid_max": "4096"}, host.processes, LevelWarning, "sysctl -w kernel.pid_max="},
		{"few files", map[string]string{"proc/sys/fs/file-max": "1000"}, host.files, LevelWarning, "sysctl -w fs.file-max="},
		{"a kernel without overlayfs", map[string]string{"dev/loop-control": "", "proc/filesystems": "ext4"}, host.network, LevelError, "modprobe -a overlay"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got := test.check(fakeHost(t, test.files))
			if got.Level != test.level || !strings.Contains(got.Message+got.Mend, test.mentions) {
				t.Errorf("got %+v, want level %s with %q", got, test.level, test.mentions)
			}
			if got.Level == LevelError && got.Mend == "" {
				t.Errorf("an error without a line that mends it: %+v", got)
			}
		})
	}
}

func TestAHostThatForbidsUserNamespacesInAnotherWayIsRefused(t *testing.T) {
	h := fakeHost(t, map[string]string{"proc/self/ns/user": "", "proc/sys/user/max_user_namespaces": "15000"})
	h.makeNamespace = func() error { return syscall.EPERM }
	got := h.userNamespaces()
	if got.Level != LevelError || !strings.Contains(got.Message, "operation not permitted") || !strings.Contains(got.Mend, "seccomp") {
		t.Errorf("got %+v", got)
	}
}

// What the kernel of this host says has to be what it does: a limit of no namespaces,
// set in one that this test makes, is seen by the next try.
func TestMakingAUserNamespaceIsTriedForReal(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can limit namespaces")
	}
	if os.Getenv("BERTH_TEST_INSIDE") == "" {
		again := exec.Command("/proc/self/exe", "-test.run", "^"+t.Name()+"$")
		again.Env = append(os.Environ(), "BERTH_TEST_INSIDE=1")
		again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 65536}}, GidMappings: []syscall.SysProcIDMap{{HostID: 0, Size: 65536}}}
		if printed, err := again.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, printed)
		}
		return
	}
	if err := makeNamespace(); err != nil {
		t.Errorf("where nothing forbids it: %v", err)
	}
	if err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0); err != nil { // of the namespace that this process is in
		t.Fatal(err)
	}
	if err := makeNamespace(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("where none is allowed: %v", err)
	}
}

func TestAPortThatIsTakenIsFoundUnlessItIsOurOwn(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	address := listener.Addr().String()
	find := func(options Options, name string) Finding {
		for _, finding := range Check(options) {
			if finding.Name == name {
				return finding
			}
		}
		t.Fatalf("no check %s", name)
		return Finding{}
	}
	holder := fmt.Sprintf("(pid %d)", os.Getpid())
	for name, options := range map[string]Options{
		"port": {Home: "/", Cache: "/", Listen: address}, "metrics port": {Home: "/", Cache: "/", MetricsListen: address},
	} {
		got := find(options, name)
		if got.Level != LevelError || !strings.Contains(got.Message, address) || !strings.Contains(got.Message, holder) || !strings.Contains(got.Mend, "listen ") {
			t.Errorf("taken by this test: got %+v", got)
		}
		options.Running, options.Own = true, []string{"127.0.0.1:1"}
		if got := find(options, name); got.Level != LevelError {
			t.Errorf("taken by this test, while our own daemon listens elsewhere: got %+v", got)
		}
		options.Own = append(options.Own, address)
		if got := find(options, name); got.Level != LevelOK {
			t.Errorf("our own daemon's: got %+v", got)
		}
	}
}

func TestAHomeThatOthersCannotReachIsRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "closed")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := checkPath(filepath.Join(dir, "home")); got.Level != LevelError || !strings.Contains(got.Mend, dir) {
		t.Errorf("got %+v", got)
	}
}

func TestRenderFitsOneScreenAndFailedCountsErrorsOnly(t *testing.T) {
	findings := []Finding{ok("a", "fine"), warning("b", "do it", "not so fine")}
	if Failed(findings) {
		t.Error("a warning counts as a failure")
	}
	if !Failed(append(findings, failed("c", "mend", "broken"))) {
		t.Error("an error does not count as a failure")
	}
	mixed := Unmet([]Finding{ok("a", "fine"), warning("b", "do it", "not so fine"), failed("c", "mend", "broken"), warning("d", "", "meh")})
	if len(mixed) != 3 || mixed[0].Name != "c" || mixed[1].Name != "b" || mixed[2].Name != "d" {
		t.Errorf("what is unmet comes as %+v", mixed)
	}
	var text strings.Builder
	if err := Render(&text, Check(Options{Home: "/", Cache: "/"})); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(text.String(), "\n"); lines > 24 {
		t.Errorf("the preflight prints %d lines, more than a screen", lines)
	}
}

// TestAPortThatAKilledProcessIsLettingGoOfIsWaitedFor has a listening socket that no
// process has open: its descriptor is on the way through another socket.
func TestAPortThatAKilledProcessIsLettingGoOfIsWaitedFor(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	err = errors.Join(unix.Sendmsg(ends[0], []byte{0}, unix.UnixRights(int(file.Fd())), nil, 0), file.Close(), listener.Close())
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if _, err := net.Listen("tcp", address); !errors.Is(err, unix.EADDRINUSE) {
		t.Fatalf("the address is not held: %v", err)
	}
	if holder := Holder(address); holder != unknownHolder {
		t.Fatalf("the address is held by %s", holder)
	}
	time.AfterFunc(100*time.Millisecond, func() { _, _ = unix.Close(ends[0]), unix.Close(ends[1]) })
	if got := checkPort("port", "listen", address, false); got.Level != LevelOK {
		t.Errorf("got %+v", got)
	}
}
