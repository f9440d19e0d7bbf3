//go:build e2e

package sandbox_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/machine/machinetest"
)

func TestRootOfAMachineReadsItsTableOfConnections(t *testing.T) {
	supervisor, probe := build(t)
	h := newHost(t, supervisor, probe)
	got := h.report(t, "one", 1)
	if got.NetworkOwner != 0 {
		t.Errorf("the files of the machine's network belong to user %d inside, want root", got.NetworkOwner)
	}
	if _, err := os.Stat("/proc/net/nf_conntrack"); err != nil {
		t.Skipf("the kernel shows nobody its connections in a file: %v", err)
	}
	if got.Connections != "" {
		t.Errorf("root of the machine cannot read its connections: %s", got.Connections)
	}
}

// bear puts a process into a machine's group that is like its first one, with the
// namespaces of the flags beside the user's and that of processes.
func (h *host) bear(t *testing.T, id string, flags uintptr) *exec.Cmd {
	t.Helper()
	group := h.home.Prefix() + "/machine-" + id
	if err := h.cgroups.Create(group, cgroup.Limits{}); err != nil {
		t.Fatal(err)
	}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: h.desired(id).IDRangeStart, Size: 65536}}
	process := exec.Command("sleep", "infinity")
	process.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWUSER | unix.CLONE_NEWPID | flags, UidMappings: ids, GidMappings: ids,
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // nobody else waits for it; it may have been ended before
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	for _, tree := range h.cgroups.Trees() {
		procs := filepath.Join(tree, group, "cgroup.procs")
		if err := os.WriteFile(procs, []byte(strconv.Itoa(process.Process.Pid)), 0); err != nil {
			t.Fatal(err)
		}
	}
	return process
}

func TestAFirstProcessThatIsStillInTheHostsNetworkIsNoMachine(t *testing.T) {
	supervisor, probe := build(t)
	h := newHost(t, supervisor, probe)
	cutOff := h.bear(t, "one", 0)
	desired := h.desired("one")
	desired.AtStart = true // nothing is brought into what runs
	status, err := h.open().Ensure(t.Context(), desired)
	ending := err == nil || errors.Is(err, machine.ErrInProgress) // what the start left takes its time
	if !ending || status.Running || status.NetworkNamespace != "" {
		t.Errorf("Ensure() = %+v, %v: it took the host's network for the machine's", status, err)
	}
	machinetest.EnsureRunning(t, h.open(), h.desired("one"))
	if err := cutOff.Wait(); err == nil || cutOff.ProcessState.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
		t.Errorf("what was left of the start that was cut off ended with %v, want a kill", err)
	}

	// The same process in a network of its own is one: the network makes the difference.
	born := h.bear(t, "two", unix.CLONE_NEWNET)
	desired = h.desired("two")
	desired.AtStart = true
	status, err = h.open().Ensure(t.Context(), desired)
	if want := fmt.Sprintf("/proc/%d/ns/net", born.Process.Pid); err != nil || !status.Running || status.NetworkNamespace != want {
		t.Errorf("Ensure() = %+v, %v, want the network namespace %s", status, err, want)
	}
}
