package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/supervise"
)

// place is where a supervisor is to run.
type place struct {
	cgroup           string
	networkNamespace string
	userID           int
}

// run supervises a directory. With a place it goes there first and then starts
// the program again, so that not even a thread of what runs on was elsewhere.
func run(ctx context.Context, arguments []string) error {
	var to place
	flags := flag.NewFlagSet("run", flag.ContinueOnError)
	flags.StringVar(&to.cgroup, "cgroup", "", "name of the cgroup to join")
	flags.StringVar(&to.networkNamespace, "netns", "", "path of the network namespace to enter")
	flags.IntVar(&to.userID, "uid", 0, "uid and gid to run under, without any capability")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("run: want one directory")
	}
	dir := flags.Arg(0)
	if to != (place{}) {
		return enter(to, "run", dir)
	}
	// Started by a link, the process would be called after the link. The name is for people alone.
	_ = os.WriteFile("/proc/self/comm", []byte("berth-superviso"), 0) // 15 characters are shown
	syscall.Umask(0o077)                                              // what components write is theirs alone
	debug.SetGCPercent(50)                                            // a supervisor makes little garbage and lives long
	return supervise.Run(ctx, dir)
}

// enter goes to a place and starts this program again there with the given
// arguments. It joins the cgroup first: whatever happens afterwards, the
// process can be found. It returns only on failure.
func enter(to place, arguments ...string) error {
	runtime.LockOSThread() // a network namespace belongs to a thread; exec goes on with this one
	if to.cgroup != "" {
		hierarchy, err := cgroup.Detect()
		if err != nil {
			return err
		}
		if err := hierarchy.Join(to.cgroup); err != nil {
			return err
		}
	}
	if to.networkNamespace != "" {
		namespace, err := os.Open(to.networkNamespace)
		if err != nil {
			return fmt.Errorf("entering a network namespace: %w", err)
		}
		if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering %s: %w", to.networkNamespace, err)
		}
	}
	if to.userID != 0 {
		if err := become(to.userID); err != nil {
			return err
		}
	}
	// By its link, not its path: the user may not be able to reach the path.
	err := syscall.Exec("/proc/self/exe", append([]string{os.Args[0]}, arguments...), os.Environ())
	return fmt.Errorf("starting again: %w", err)
}

// become gives up root and all that could bring it back.
func become(userID int) error {
	lastCapability, err := lastCapability()
	if err != nil {
		return err
	}
	for capability := range lastCapability + 1 {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, uintptr(capability), 0, 0, 0); err != nil {
			return fmt.Errorf("dropping capability %d: %w", capability, err)
		}
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("giving up new privileges: %w", err)
	}
	// The changes of ids clear the capability sets, as no keepcaps is set.
	if err := syscall.Setgroups(nil); err != nil {
		return fmt.Errorf("leaving the groups: %w", err)
	}
	if err := syscall.Setresgid(userID, userID, userID); err != nil {
		return fmt.Errorf("becoming group %d: %w", userID, err)
	}
	if err := syscall.Setresuid(userID, userID, userID); err != nil {
		return fmt.Errorf("becoming user %d: %w", userID, err)
	}
	return nil
}

// lastCapability is the highest capability that the kernel knows.
func lastCapability() (int, error) {
	data, err := os.ReadFile("/proc/sys/kernel/cap_last_cap")
	if err != nil {
		return 0, fmt.Errorf("finding the last capability: %w", err)
	}
	last, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		return 0, fmt.Errorf("finding the last capability: %w", err)
	}
	return last, nil
}
