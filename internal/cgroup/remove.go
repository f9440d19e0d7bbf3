package cgroup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// exitWait is how long one look waits for killed processes; then the list is read anew.
const exitWait = 250 * time.Millisecond

// kill sends SIGKILL to processes and waits, for a moment, until they ended.
// The signal goes through a pidfd, so that a number that was given to another
// process in between names nobody.
func kill(ctx context.Context, pids []int) error {
	var watched []unix.PollFd
	defer func() {
		for _, fd := range watched {
			unix.Close(int(fd.Fd))
		}
	}()
	for _, pid := range pids {
		fd, err := unix.PidfdOpen(pid, 0)
		if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
			continue
		}
		if err != nil {
			return fmt.Errorf("opening process %d: %w", pid, err)
		}
		watched = append(watched, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
		if err := unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("killing process %d: %w", pid, err)
		}
	}
	deadline := time.Now().Add(exitWait)
	for len(watched) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		left := time.Until(deadline)
		if left <= 0 {
			return nil
		}
		_, err := unix.Poll(watched, int(left.Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("waiting for processes: %w", err)
		}
		watched = slices.DeleteFunc(watched, func(fd unix.PollFd) bool {
			if fd.Revents != 0 {
				unix.Close(int(fd.Fd))
			}
			return fd.Revents != 0
		})
	}
	return ctx.Err()
}

// removeTries and removePause bound how long Remove waits for the kernel: a
// group stays busy for a moment after its last process ended, and nothing
// announces the end of that moment with v1.
const (
	removeTries = 100
	removePause = 5 * time.Millisecond
)

// Remove removes a group and all groups below it. It returns ErrBusy if a
// process is left in one, and nil for a group that does not exist.
func (h Hierarchy) Remove(name string) error {
	if err := check(name); err != nil {
		return err
	}
	for _, tree := range h.trees {
		if err := removeIn(filepath.Join(tree, name)); err != nil {
			return fmt.Errorf("removing cgroup %s: %w", name, err)
		}
	}
	return nil
}

func removeIn(dir string) error {
	groups, err := groupsBelow(dir)
	if err != nil {
		return err
	}
	slices.Reverse(groups) // the deepest first
	for _, group := range groups {
		if err := removeOne(group); err != nil {
			return err
		}
	}
	return nil
}

func removeOne(group string) error {
	for try := 0; ; try++ {
		err := unix.Rmdir(group)
		switch {
		case err == nil || gone(err):
			return nil
		case !errors.Is(err, unix.EBUSY):
			return &fs.PathError{Op: "rmdir", Path: group, Err: err}
		}
		if pids, err := processesIn(group); err != nil || len(pids) > 0 || try == removeTries {
			return fmt.Errorf("%s has %d processes: %w", group, len(pids), errors.Join(ErrBusy, err))
		}
		time.Sleep(removePause)
	}
}

// groupsBelow are a group's directory and all directories below it, parents first.
func groupsBelow(dir string) ([]string, error) {
	var groups []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case gone(err):
			return nil
		case err != nil:
			return err
		case entry.IsDir():
			groups = append(groups, path)
		}
		return nil
	})
	return groups, err
}

// Delegate lets a user make groups below a group and move processes among
// them. The files that hold the group itself to its limits stay root's.
func (h Hierarchy) Delegate(name string, uid int) error {
	if err := check(name); err != nil {
		return err
	}
	for _, tree := range h.trees {
		for _, file := range []string{".", "cgroup.procs", "cgroup.threads", "cgroup.subtree_control", "tasks"} {
			path := filepath.Join(tree, name, file)
			if err := os.Chown(path, uid, uid); err != nil && (file == "." || !errors.Is(err, fs.ErrNotExist)) {
				return fmt.Errorf("delegating cgroup %s: %w", name, err)
			}
		}
	}
	return nil
}
