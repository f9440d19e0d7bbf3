//go:build e2e

package sandbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/machine/machinetest"
	"berth.dev/berth/internal/machine/sandbox"
	"berth.dev/berth/internal/supervise"
)

// report is what the probe in testdata writes.
type report struct {
	Starts, UID, PID, Processors, Inotify  int
	Hostname, Online, MemTotal, Forwarding string
	Root, Devices, Archives, Plugins       []string
	HostFile                               bool
	Secret, SecretMode                     string
	Refused                                map[string]string
	DiskMiB                                uint64
	NetworkOwner                           int
	Connections                            string
}

// host is a home with what machines are made of.
type host struct {
	home       home.Home
	cgroups    cgroup.Hierarchy
	supervisor string
	image      string
	probe      string
	archive    string
}

// build compiles what the tests run, once.
func build(t *testing.T) (supervisor, probe string) {
	t.Helper()
	dir := t.TempDir()
	supervisor, probe = filepath.Join(dir, "berth-supervisor"), filepath.Join(dir, "probe")
	for output, source := range map[string]string{supervisor: "../../../cmd/berth-supervisor", probe: "./testdata/probe"} {
		command := exec.Command("go", "build", "-o", output, source)
		command.Env = append(os.Environ(), "CGO_ENABLED=0")
		if said, err := command.CombinedOutput(); err != nil {
			t.Fatalf("building %s: %v\n%s", source, err, said)
		}
	}
	return supervisor, probe
}

func newHost(t *testing.T, supervisor, probe string) *host {
	t.Helper()
	cgroups, err := cgroup.Detect()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	// As closed as a real home: nothing may depend on the way to it.
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	image, archive := filepath.Join(dir, "image"), filepath.Join(dir, "pause.tar")
	for _, name := range []string{"bin", "etc", "var", "opt"} {
		if err := os.MkdirAll(filepath.Join(image, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(archive, []byte("archive"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := &host{
		home:    home.Home{Dir: filepath.Join(dir, "home"), Instance: fmt.Sprintf("t%d", os.Getpid())},
		cgroups: cgroups, supervisor: supervisor, image: image, probe: probe, archive: archive,
	}
	t.Cleanup(func() { h.clean(t) })
	return h
}

// clean removes what a test left and fails if anything is left after that.
func (h *host) clean(t *testing.T) {
	provider := h.open()
	ids, err := provider.List(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		deadline := time.Now().Add(20 * time.Second)
		for err = provider.Delete(context.Background(), id); err != nil && time.Now().Before(deadline); err = provider.Delete(context.Background(), id) {
			time.Sleep(10 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("deleting %s: %v", id, err)
		}
	}
	if err := h.cgroups.Remove(h.home.Prefix()); err != nil {
		t.Errorf("removing the cgroup: %v", err)
	}
	h.expectNothingLeft(t)
}

func (h *host) open() machine.Provider {
	return sandbox.New(sandbox.Options{Home: h.home, Supervisor: h.supervisor, Cgroups: h.cgroups})
}

func (h *host) desired(id string) machine.Desired {
	start := 0x70000000
	if id == "two" {
		start += 65536
	}
	return machine.Desired{
		ID: id, NodeName: "node-" + id, Size: machine.Size{Name: "test", CPUs: 3, MemoryMiB: 256}, DiskGiB: 4,
		Image: h.image, IDRangeStart: start,
		Binaries:      map[string]string{"probe": h.probe},
		ImageArchives: []string{h.archive},
		CNI:           filepath.Dir(h.probe),
		Files:         map[string]machine.File{"/etc/secret": {Mode: 0o600, Content: []byte("hush")}},
		Components: []supervise.Component{
			{Name: "look", Command: []string{"/opt/berth/bin/probe", "look", h.archive}},
		},
	}
}

// firstProcess is the pid of a machine's first process.
func (h *host) firstProcess(t *testing.T, id string) int {
	t.Helper()
	status := machinetest.EnsureRunning(t, h.open(), h.desired(id))
	pid, err := strconv.Atoi(strings.Split(status.NetworkNamespace, "/")[2])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// report waits for what the probe of a machine's nth start says.
func (h *host) report(t *testing.T, id string, starts int) report {
	t.Helper()
	pid := h.firstProcess(t, id)
	var got report
	machinetest.Until(t, func(context.Context) error {
		data, err := os.ReadFile(fmt.Sprintf("/proc/%d/root/var/probe/report.json", pid))
		if err != nil || json.Unmarshal(data, &got) != nil || got.Starts < starts {
			return machine.ErrInProgress
		}
		return nil
	})
	return got
}

func (h *host) kill(t *testing.T, id string) {
	t.Helper()
	pid := h.firstProcess(t, id)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	machinetest.Until(t, func(context.Context) error { // a process that was killed ends a little later
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil || strings.Contains(string(status), "State:\tZ") {
			return nil
		}
		return machine.ErrInProgress
	})
}

// expectNothingLeft looks for everything that a machine is made of.
func (h *host) expectNothingLeft(t *testing.T) {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(mounts, []byte(h.home.Dir)) {
		t.Errorf("mounts are left:\n%s", mounts)
	}
	loops, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		t.Fatal(err)
	}
	for _, loop := range loops {
		if backing, err := os.ReadFile(loop); err == nil && bytes.HasPrefix(backing, []byte(h.home.Dir)) {
			t.Errorf("%s is still attached to %s", loop, backing)
		}
	}
	groups, err := h.cgroups.List(h.home.Prefix())
	if err != nil {
		t.Fatal(err)
	}
	if len(groups) > 0 {
		t.Errorf("cgroups are left: %v", groups)
	}
	if entries, err := os.ReadDir(h.home.MachinesDir()); err == nil && len(entries) > 0 {
		t.Errorf("machines' directories are left: %v", entries)
	}
}

func TestTheSandboxDriverKeepsTheProvidersContract(t *testing.T) {
	supervisor, probe := build(t)
	machinetest.Run(t, func(t *testing.T) machinetest.Harness {
		h := newHost(t, supervisor, probe)
		return machinetest.Harness{Open: h.open, Desired: h.desired, Kill: h.kill}
	})
}

func TestAMachineSeesItselfAndNothingOfItsHost(t *testing.T) {
	supervisor, probe := build(t)
	h := newHost(t, supervisor, probe)
	got := h.report(t, "one", 1)
	for what, ok := range map[string]bool{
		"it is root inside":               got.UID == 0,
		"its name is the node's":          got.Hostname == "node-one",
		"it counts three processors":      got.Processors == 3 && got.Online == "0-2",
		"it has the memory of its size":   got.MemTotal == strconv.Itoa(256*1024),
		"it forwards":                     got.Forwarding == "1",
		"the host's files are not there":  !got.HostFile,
		"its disk is of the size asked":   got.DiskMiB > 3500 && got.DiskMiB <= 4096,
		"its secret is there":             got.Secret == "hush" && got.SecretMode == "-rw-------",
		"the archive is there":            slices.Contains(got.Archives, "pause.tar"),
		"the plugins are there":           slices.Contains(got.Plugins, "probe"),
		"no disk of the host is a device": !slices.ContainsFunc(got.Devices, func(name string) bool { return strings.HasPrefix(name, "vd") || strings.HasPrefix(name, "loop") }),
		"the root is its own":             !slices.Contains(got.Root, "home") && !slices.Contains(got.Root, "root"),
	} {
		if !ok {
			t.Errorf("not so: %s: %+v", what, got)
		}
	}
	for what, refused := range got.Refused {
		if refused == "" {
			t.Errorf("the machine could %s", what)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.firstProcess(t, "one")))
	if err != nil || !strings.Contains(string(status), "Uid:\t1879048192\t") {
		t.Errorf("root inside has another id outside than the machine's first: %s, %v", status, err)
	}
}

func TestAMachineKeepsItsDiskWhenItsFirstProcessIsKilled(t *testing.T) {
	supervisor, probe := build(t)
	h := newHost(t, supervisor, probe)
	h.report(t, "one", 1)
	h.kill(t, "one")
	if got := h.report(t, "one", 2); got.Starts != 2 {
		t.Errorf("the disk remembers %d starts, want 2", got.Starts)
	}
	machinetest.Until(t, func(ctx context.Context) error { return h.open().Stop(ctx, "one") })
	if got := h.report(t, "one", 3); got.Starts != 3 {
		t.Errorf("the disk remembers %d starts, want 3", got.Starts)
	}
}

func TestAMachineIsHeldToItsMemoryWithoutHarmToItsNeighbour(t *testing.T) {
	supervisor, probe := build(t)
	h := newHost(t, supervisor, probe)
	h.report(t, "two", 1)
	neighbour := h.firstProcess(t, "two")
	greedy := h.desired("one")
	greedy.Components = []supervise.Component{{Name: "eat", Command: []string{"/opt/berth/bin/probe", "eat"}}}
	machinetest.Until(t, func(ctx context.Context) error {
		status, err := h.open().Ensure(ctx, greedy)
		if err != nil {
			return err
		}
		if len(status.Components) == 1 && strings.Contains(status.Components[0].LastExit, "killed") {
			return nil
		}
		return machine.ErrInProgress
	})
	if h.firstProcess(t, "two") != neighbour {
		t.Error("the neighbour was started anew")
	}
}

func TestMachinesDoNotShareTheHostsInotifyInstances(t *testing.T) {
	supervisor, probe := build(t)
	h := newHost(t, supervisor, probe)
	one, two := h.report(t, "one", 1), h.report(t, "two", 1)
	data, err := os.ReadFile("/proc/sys/fs/inotify/max_user_instances")
	if err != nil {
		t.Fatal(err)
	}
	limit, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		t.Fatal(err)
	}
	limit = min(limit, 1024) // the probe counts no further
	for id, got := range map[string]report{"one": one, "two": two} {
		if got.Inotify < limit-16 {
			t.Errorf("machine %s could make %d inotify instances of %d: they are charged to someone else too", id, got.Inotify, limit)
		}
	}
}

func TestAHostThatCannotShiftOwnersInAMountCopiesTheImage(t *testing.T) {
	supervisor, probe := build(t)
	h := newHost(t, supervisor, probe)
	// An overlay cannot be mounted with shifted owners. Relative paths: a test's directory has a comma in its name.
	upper := t.TempDir()
	for _, name := range []string{"upper", "work", "merged"} {
		if err := os.Mkdir(filepath.Join(upper, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	mount := exec.Command("mount", "-t", "overlay", "overlay", "-o", "lowerdir="+h.image+",upperdir=upper,workdir=work", "merged")
	mount.Dir = upper
	if said, err := mount.CombinedOutput(); err != nil {
		t.Fatalf("mounting an overlay: %v\n%s", err, said)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(filepath.Join(upper, "merged"), 0); err != nil {
			t.Error(err)
		}
	})
	h.image = filepath.Join(upper, "merged")
	if got := h.report(t, "one", 1); got.UID != 0 || got.Hostname != "node-one" {
		t.Errorf("got %+v", got)
	}
	said, err := os.ReadFile(filepath.Join(h.home.MachinesDir(), "one", "launch.log"))
	if err != nil || !strings.Contains(string(said), "copying the node image") {
		t.Errorf("the launch did not say that it copied: %s, %v", said, err)
	}
	h.kill(t, "one")
	if got := h.report(t, "one", 2); got.Starts != 2 {
		t.Errorf("the disk remembers %d starts, want 2", got.Starts)
	}
}

func TestAKillOfTheDaemonAtAnyMomentHeals(t *testing.T) {
	supervisor, probe := build(t)
	h := newHost(t, supervisor, probe)
	// A launcher that dies at once, or a little later, is what a SIGKILL of the
	// daemon's whole session looks like.
	for delay := time.Duration(0); delay < 60*time.Millisecond; delay += 4 * time.Millisecond {
		done := make(chan struct{})
		go func() {
			defer close(done)
			deadline := time.Now().Add(2 * time.Second)
			for time.Now().Before(deadline) {
				pids, err := h.cgroups.Processes(h.home.Prefix() + "/machine-one")
				if err == nil && len(pids) > 0 {
					time.Sleep(delay)
					_ = h.cgroups.Kill(context.Background(), h.home.Prefix()+"/machine-one")
					return
				}
			}
		}()
		_, _ = h.open().Ensure(t.Context(), h.desired("one")) // fails, or not, depending on the moment
		<-done
		machinetest.Until(t, func(ctx context.Context) error {
			status, err := h.open().Ensure(ctx, h.desired("one"))
			if err == nil && !status.Running {
				err = machine.ErrInProgress
			}
			return err
		})
		machinetest.Until(t, func(ctx context.Context) error { return h.open().Stop(ctx, "one") })
	}
	machinetest.Delete(t, h.open(), "one")
	h.expectEmpty(t)
}

func (h *host) expectEmpty(t *testing.T) {
	t.Helper()
	if ids, err := h.open().List(t.Context()); err != nil || len(ids) > 0 {
		t.Errorf("left: %v, %v", ids, err)
	}
}
