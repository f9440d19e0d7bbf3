package inside

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/machine/sandbox/netfilter"
)

// launchTimeout ends a launch that hangs; the next Ensure begins a new one.
const launchTimeout = time.Minute

// program is this program, wherever its path leads in the namespace at hand.
const program = "/proc/self/exe"

// LockFD is where the launcher expects the machine's lock: it stays taken
// until the launch has ended, whatever becomes of the daemon.
const LockFD = 3

// launch builds a machine's mounts and starts its first process. It runs in a
// mount namespace of its own whose mounts are private. On return boot has
// pivoted, or said what failed.
func launch(ctx context.Context, dir string) error {
	unix.CloseOnExec(LockFD)
	ctx, cancel := context.WithTimeout(ctx, launchTimeout)
	defer cancel()
	record, err := ReadRecord(dir)
	if err != nil {
		return err
	}
	hierarchy, err := cgroup.Detect()
	if err != nil {
		return err
	}
	if err := hierarchy.Join(record.Cgroup); err != nil {
		return err
	}
	staging := filepath.Join(dir, StagingDir)
	if err := stage(ctx, record, filepath.Join(dir, DiskFile), staging); err != nil {
		return err
	}
	return startBoot(ctx, record)
}

// startBoot starts the machine's first process and waits until it has moved
// into its root.
func startBoot(ctx context.Context, record Record) error {
	data, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encoding the machine's record: %w", err)
	}
	input, output, err := os.Pipe()
	if err != nil {
		return err
	}
	defer output.Close()
	result, report, err := os.Pipe()
	if err != nil {
		return err
	}
	defer result.Close()

	sockets, offered, err := socketPair()
	if err != nil {
		return errors.Join(err, input.Close(), report.Close())
	}
	boot := exec.Command(program, "machine", "boot")
	boot.Env = []string{}
	boot.ExtraFiles = []*os.File{input, report, offered}
	boot.SysProcAttr = bootAttributes(record.Desired.IDRangeStart)
	err = asOwner(record.Desired.IDRangeStart, boot.Start)
	input.Close()
	report.Close()
	offered.Close()
	if err != nil {
		sockets.Close()
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EUSERS) {
		return fmt.Errorf("starting the first process: the host has no user namespace left (user.max_user_namespaces): %w", err)
	}
	if err != nil {
		return fmt.Errorf("starting the first process in its namespaces: %w", err)
	}
	if err := netfilter.Raise(sockets); err != nil {
		fmt.Fprintln(os.Stderr, err) // the machine goes on without, or handOver tells why it does not
	}
	if err := handOver(ctx, output, result, data); err != nil {
		return errors.Join(err, boot.Process.Kill())
	}
	return nil
}

// socketPair are the two ends of a connection between processes.
func socketPair() (near, far *os.File, err error) {
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to the first process: %w", err)
	}
	return os.NewFile(uintptr(ends[0]), "near"), os.NewFile(uintptr(ends[1]), "far"), nil
}

// handOver gives boot its record and reads what boot says: "ok", or an error.
func handOver(ctx context.Context, output, result *os.File, data []byte) error {
	deadline, _ := ctx.Deadline()
	if err := errors.Join(output.SetWriteDeadline(deadline), result.SetReadDeadline(deadline)); err != nil {
		return err
	}
	if _, err := output.Write(data); err != nil {
		return fmt.Errorf("handing the record to the first process: %w", err)
	}
	if err := output.Close(); err != nil {
		return err
	}
	said, err := io.ReadAll(io.LimitReader(result, 4096))
	if err != nil {
		return fmt.Errorf("waiting for the first process: %w", err)
	}
	switch answer := strings.TrimSpace(string(said)); answer {
	case "ok":
		return nil
	case "":
		return errors.New("the first process died before it had set up the machine")
	default:
		return fmt.Errorf("inside the machine: %s", answer)
	}
}

// bootAttributes are the namespaces of a machine. The network's is made last, once
// the ids are mapped and before the program runs: the kernel gives the files below
// /proc/net to who is root of it when it is made, or to nobody inside if there are
// no ids yet. Until then the process is in the host's, and firstProcess of package
// sandbox does not count it.
func bootAttributes(start int) *syscall.SysProcAttr {
	attributes := mapped(start)
	attributes.Cloneflags |= unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS |
		unix.CLONE_NEWIPC | unix.CLONE_NEWCGROUP
	attributes.Unshareflags = unix.CLONE_NEWNET
	attributes.Setsid = true
	return attributes
}

// mapped starts a process as root of a user namespace with the machine's ids.
func mapped(start int) *syscall.SysProcAttr {
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: start, Size: IDRangeLength}}
	return &syscall.SysProcAttr{
		Cloneflags:                 unix.CLONE_NEWUSER,
		UidMappings:                ids,
		GidMappings:                ids,
		GidMappingsEnableSetgroups: true,
		Credential:                 &syscall.Credential{},
	}
}
