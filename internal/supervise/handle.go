package supervise

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// ErrInProgress says that the processes were asked to stop and have not ended: call again.
var ErrInProgress = errors.New("still in progress")

// Handle starts, watches and stops the supervisor of a directory from outside.
// It holds no state: any process may make one for the same directory.
//
// The directory belongs to the user that the components run under, who may be
// hostile: a Handle follows no link out of it and signals no process that is
// not that user's.
type Handle struct {
	// Dir is the supervisor's directory; it exists and belongs to UserID.
	Dir string
	// Program is the path of the berth-supervisor binary.
	Program string
	// CgroupPath is the name of the cgroup to join (see package cgroup); it exists. Empty: none.
	CgroupPath string
	// NetworkNamespace is the path of the network namespace to run in. Empty: the caller's.
	NetworkNamespace string
	// UserID is the uid and gid to run under, without any capability. 0: the caller's.
	UserID int
}

// Ensure writes the spec if it changed and starts a supervisor if none holds
// the lock. It never waits for components.
func (h Handle) Ensure(ctx context.Context, spec Spec) (Status, error) {
	if err := spec.Validate(); err != nil {
		return Status{}, fmt.Errorf("supervising %s: %w", h.Dir, err)
	}
	root, err := os.OpenRoot(h.Dir)
	if err != nil {
		return Status{}, fmt.Errorf("supervising %s: %w", h.Dir, err)
	}
	defer root.Close()
	changed, err := h.writeSpec(root, spec)
	if err != nil {
		return Status{}, err
	}
	status := readStatus(root)
	lock, err := h.lock(root, status)
	switch {
	case errors.Is(err, errLocked):
		if changed {
			h.wake(status)
		}
		return status, nil
	case err != nil:
		return Status{}, err
	}
	defer lock.Close() // the supervisor holds it by then
	if err := h.launch(ctx, root, lock); err != nil {
		return Status{}, err
	}
	return status, nil
}

// Spec is what the supervisor was last told; empty if it was told nothing.
func (h Handle) Spec() (Spec, error) {
	root, err := os.OpenRoot(h.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Spec{}, nil
	}
	if err != nil {
		return Spec{}, fmt.Errorf("reading the spec of %s: %w", h.Dir, err)
	}
	defer root.Close()
	var spec Spec
	if err := read(root, SpecFile, &spec); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Spec{}, fmt.Errorf("reading the spec of %s: %w", h.Dir, err)
	}
	return spec, nil
}

// Status is what the supervisor last wrote; the bool says whether a supervisor lives.
func (h Handle) Status() (Status, bool, error) {
	root, err := os.OpenRoot(h.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Status{}, false, nil
	}
	if err != nil {
		return Status{}, false, fmt.Errorf("reading the status of %s: %w", h.Dir, err)
	}
	defer root.Close()
	status := readStatus(root)
	lock, err := tryLock(root, h.UserID)
	switch {
	case errors.Is(err, errLocked):
		return status, true, nil
	case err != nil:
		return Status{}, false, fmt.Errorf("reading the status of %s: %w", h.Dir, err)
	}
	return status, false, lock.Close()
}

// Running says whether a supervisor or any component of the directory lives:
// the components outlive a supervisor that was killed.
func (h Handle) Running() (bool, error) {
	_, lives, err := h.Status()
	if err != nil || lives {
		return lives, err
	}
	components, err := findComponents(filepath.Clean(h.Dir))
	return len(components) > 0, err
}

// Stop stops all components in the reverse order and ends the supervisor. It
// returns ErrInProgress until none of them is left, and nil for a directory
// in which nothing runs. What a dead supervisor left running is stopped the same way.
func (h Handle) Stop(ctx context.Context) error {
	running, err := h.Running()
	if err != nil || !running {
		return err
	}
	root, err := os.OpenRoot(h.Dir)
	if err != nil {
		return fmt.Errorf("stopping %s: %w", h.Dir, err)
	}
	defer root.Close()
	var spec Spec
	if read(root, SpecFile, &spec) != nil || spec.Validate() != nil {
		spec = Spec{} // nothing to keep: the components that run are stopped all the same, in no order
	}
	spec.Stop = true
	if _, err := h.Ensure(ctx, spec); err != nil {
		return err
	}
	return ErrInProgress
}

// writeSpec stores the spec; false if it was there already.
func (h Handle) writeSpec(root *os.Root, spec Spec) (changed bool, err error) {
	data, err := json.MarshalIndent(spec, "", "  ")
	if err != nil {
		return false, fmt.Errorf("writing the spec of %s: %w", h.Dir, err)
	}
	var former Spec
	if read(root, SpecFile, &former) == nil {
		if known, err := json.MarshalIndent(former, "", "  "); err == nil && bytes.Equal(known, data) {
			return false, nil
		}
	}
	return true, write(root, SpecFile, data, h.UserID, true)
}

// readStatus is the supervisor's last word; empty if there is none that can be read.
func readStatus(root *os.Root) Status {
	var status Status
	if err := read(root, StatusFile, &status); err != nil {
		return Status{}
	}
	return status
}

// lock takes the lock on behalf of a supervisor that is about to be launched.
// Someone who only looks whether the lock is free holds it for a moment: if no
// supervisor is seen to live, it is tried again.
func (h Handle) lock(root *os.Root, status Status) (*os.File, error) {
	deadline := time.Now().Add(20 * lockPause)
	for {
		lock, err := tryLock(root, h.UserID)
		if !errors.Is(err, errLocked) || alive(status.PID, status.StartTime) || time.Now().After(deadline) {
			return lock, err
		}
		time.Sleep(lockPause)
	}
}

// launch starts a supervisor that inherits the lock and outlives the caller.
func (h Handle) launch(ctx context.Context, root *os.Root, lock *os.File) error {
	log, err := h.openLog(root)
	if err != nil {
		return fmt.Errorf("starting the supervisor of %s: %w", h.Dir, err)
	}
	defer log.Close()
	arguments := []string{"run"}
	if h.CgroupPath != "" {
		arguments = append(arguments, "--cgroup", h.CgroupPath)
	}
	if h.NetworkNamespace != "" {
		arguments = append(arguments, "--netns", h.NetworkNamespace)
	}
	if h.UserID != 0 {
		arguments = append(arguments, "--uid", strconv.Itoa(h.UserID))
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	const lockFD = 3                                                // the first of ExtraFiles
	command := exec.Command(h.Program, append(arguments, h.Dir)...) //nolint:noctx // it outlives the context
	command.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", lockVariable + "=" + strconv.Itoa(lockFD)}
	command.Dir = "/"
	command.Stdout, command.Stderr = log, log
	command.ExtraFiles = []*os.File{lock}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("starting the supervisor of %s: %w", h.Dir, err)
	}
	// The only owner of this goroutine is the child that it waits for, so that
	// it leaves no zombie. How the child ended is in its log and its status.
	go func() { _ = command.Wait() }()
	return nil
}

// openLog opens the supervisor's own log, and makes the directory of logs.
func (h Handle) openLog(root *os.Root) (*os.File, error) {
	err := root.Mkdir(LogDir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err == nil && h.UserID != 0 {
		if err := root.Lchown(LogDir, h.UserID, h.UserID); err != nil {
			return nil, err
		}
	}
	name := filepath.Join(LogDir, supervisorLog+".log")
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if err = giveTo(file, h.UserID); err == nil {
		err = unix.SetNonblock(int(file.Fd()), false)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// wake tells the supervisor to read its spec now. Whatever goes wrong here
// costs a second: it looks by itself then.
func (h Handle) wake(status Status) {
	if !alive(status.PID, status.StartTime) || !h.owns(status.PID) {
		return
	}
	process, err := newWatch(status.PID, status.StartTime)
	if err != nil {
		return
	}
	defer process.close()
	_ = process.signal(unix.SIGHUP)
}

// owns says whether a process runs under the handle's user: the status was
// written by that user and may name anyone's process.
func (h Handle) owns(pid int) bool {
	var info unix.Stat_t
	if err := unix.Stat(fmt.Sprintf("/proc/%d", pid), &info); err != nil {
		return false
	}
	want := h.UserID
	if want == 0 {
		want = os.Getuid()
	}
	return int(info.Uid) == want
}
