//go:build e2e

package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"berth.dev/berth/internal/naming"
)

// TestMain makes the test program a process that joins a group and then starts
// a child and stays.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "join" {
		if err := stay(os.Args[2]); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func stay(group string) error {
	hierarchy, err := Detect()
	if err != nil {
		return err
	}
	if err := hierarchy.Join(group); err != nil {
		return err
	}
	return syscall.Exec("/bin/sh", []string{"sh", "-c", "trap '' TERM; sleep 1000 & echo ready; wait"}, os.Environ())
}

// newGroup names a group below one that is gone after the test.
func newGroup(t *testing.T) (Hierarchy, string) {
	t.Helper()
	hierarchy, err := Detect()
	if err != nil {
		t.Fatal(err)
	}
	instance := "berth-" + naming.Instance()
	t.Cleanup(func() {
		if err := errors.Join(hierarchy.Kill(context.Background(), instance), hierarchy.Remove(instance)); err != nil {
			t.Error(err)
		}
		if left, err := hierarchy.List(instance); err != nil || len(left) != 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	})
	return hierarchy, instance + "/cp-test"
}

// join starts a process, with a child, in a group.
func join(t *testing.T, group string) *exec.Cmd {
	t.Helper()
	command := exec.Command("/proc/self/exe", "join", group)
	command.Stderr = os.Stderr
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Wait() })
	if _, err := output.Read(make([]byte, 8)); err != nil {
		t.Fatalf("the process did not start: %v", err)
	}
	return command
}

func TestAGroupIsMadeJoinedKilledAndRemoved(t *testing.T) {
	hierarchy, group := newGroup(t)
	limits := Limits{MilliCPU: 1500, CPUShares: 512, MemoryBytes: 64 << 20, Pids: 50}
	for range 2 { // the second time nothing is new
		if err := hierarchy.Create(group, limits); err != nil {
			t.Fatal(err)
		}
	}
	process := join(t, group)
	pids, err := hierarchy.Processes(group)
	if err != nil || len(pids) != 2 || !slices.Contains(pids, process.Process.Pid) {
		t.Fatalf("Processes() = %v, %v, want %d and its child", pids, err, process.Process.Pid)
	}
	if err := hierarchy.Remove(group); !errors.Is(err, ErrBusy) {
		t.Errorf("Remove() of a busy group = %v", err)
	}
	begun := time.Now()
	if err := hierarchy.Kill(context.Background(), group); err != nil {
		t.Fatal(err)
	}
	if err := hierarchy.Remove(group); err != nil {
		t.Fatal(err)
	}
	t.Logf("killed and removed after %v", time.Since(begun))
	for _, tree := range hierarchy.Trees() {
		if _, err := os.Stat(filepath.Join(tree, group)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left in %s", group, tree)
		}
	}
}

func TestTheKernelHoldsAGroupToItsLimits(t *testing.T) {
	hierarchy, group := newGroup(t)
	if err := hierarchy.Create(group, Limits{Pids: 1}); err != nil {
		t.Fatal(err)
	}
	command := exec.Command("/proc/self/exe", "join", group)
	output, err := command.CombinedOutput()
	if err == nil || len(output) == 0 {
		t.Errorf("a second process started in a group of one: %q, %v", output, err)
	}
}

func TestADelegatedGroupsLimitsStayRoots(t *testing.T) {
	const user = 64000
	hierarchy, group := newGroup(t)
	if err := hierarchy.Create(group, Limits{Pids: 50, MemoryBytes: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := hierarchy.Delegate(group, user); err != nil {
		t.Fatal(err)
	}
	for _, tree := range hierarchy.Trees() {
		dir := filepath.Join(tree, group)
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil {
				t.Fatal(err)
			}
			own := slices.Contains([]string{"cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks"}, entry.Name())
			if (info.Sys().(*syscall.Stat_t).Uid == user) != own {
				t.Errorf("%s/%s: owner %d", dir, entry.Name(), info.Sys().(*syscall.Stat_t).Uid)
			}
		}
		make := exec.Command("mkdir", filepath.Join(dir, "inner"))
		make.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user, Gid: user}}
		if output, err := make.CombinedOutput(); err != nil {
			t.Errorf("the user cannot make a group in %s: %s", dir, output)
		}
	}
}
