package release

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// everLater is a clock on which every look is a minute after the last.
func everLater() func() time.Time {
	now := time.Unix(0, 0)
	return func() time.Time {
		now = now.Add(time.Minute)
		return now
	}
}

func newLog(t *testing.T) *os.File {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	return log
}

func TestLinesOfACommandArePassedOnAndLogged(t *testing.T) {
	log := newLog(t)
	var lines []string
	command := exec.Command("sh", "-c", "echo one >&2; echo result; printf two >&2")
	if err := (runner{log: log}).run(t.Context(), command, func(line string) { lines = append(lines, line) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(lines, []string{"one", "two"}) {
		t.Errorf("passed on %q", lines)
	}
	content, err := os.ReadFile(log.Name())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"sh -c", "one\n", "result\n", "two"} {
		if !strings.Contains(string(content), part) {
			t.Errorf("the log lacks %q: %s", part, content)
		}
	}
}

func TestACommandIsFoundAlthoughTheOwnPathIsBare(t *testing.T) {
	t.Setenv("PATH", "/nowhere")
	if err := (runner{log: newLog(t)}).run(t.Context(), exec.Command("sh", "-c", "exit 0"), nil); err != nil {
		t.Error(err)
	}
	if err := (runner{log: newLog(t)}).run(t.Context(), exec.Command("no-such-program"), nil); !errors.Is(err, exec.ErrNotFound) {
		t.Errorf("a missing program gave %v", err)
	}
}

func TestACommandThatFailsSaysWhyAndWhereTheLogIs(t *testing.T) {
	command := exec.Command("sh", "-c", "echo main.go:3: undefined: x >&2; exit 1")
	log := newLog(t)
	err := runner{log: log}.run(t.Context(), command, nil)
	if err == nil || !strings.Contains(err.Error(), "undefined: x") || !strings.Contains(err.Error(), log.Name()) {
		t.Errorf("the error is %v", err)
	}
}

func TestACancelledCommandEndsWithAllThatItStarted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var child int
	command := exec.Command("sh", "-c", "sleep 1000 & echo $! >&2; wait")
	err := runner{log: newLog(t)}.run(ctx, command, func(line string) {
		pid, err := strconv.Atoi(line)
		if err != nil {
			t.Error(err)
		}
		if child, err = unix.PidfdOpen(pid, 0); err != nil {
			t.Error(err)
		}
		cancel()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("run said %v", err)
	}
	defer unix.Close(child)
	// The kernel makes the descriptor readable when the process has ended.
	ended, err := unix.Poll([]unix.PollFd{{Fd: int32(child), Events: unix.POLLIN}}, 5000)
	if err != nil || ended != 1 {
		t.Errorf("the child still runs: %v", err)
	}
}

func TestALockStaysHeldWhileACommandOfAKilledBuilderRuns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := acquireLock(t.Context(), path, func(Progress) {})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	started, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		run := runner{log: newLog(t), lock: held.file}
		_ = run.run(ctx, exec.Command("sh", "-c", "echo started >&2; exec sleep 1000"), func(string) { close(started) })
	}()
	<-started
	held.release() // as the kernel does for a builder that was killed
	other, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("locking beside the running command: %v", err)
	}
	cancel()
	<-ended
	if err := unix.Flock(int(other.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("locking after the command ended: %v", err)
	}
}

func TestCommandsRunAtTheLowestPriority(t *testing.T) {
	before, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	var output bytes.Buffer
	command := exec.Command("nice")
	command.Stdout = &output
	if err := (runner{log: newLog(t)}).run(t.Context(), command, nil); err != nil {
		t.Fatal(err)
	}
	if nice := strings.TrimSpace(output.String()); nice != "19" {
		t.Errorf("the command ran at nice %s", nice)
	}
	if after, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err != nil || after != before {
		t.Errorf("the test itself runs at %d now, at %d before: %v", after, before, err)
	}
}

func TestABuildGroupHasALowWeightInEitherHierarchy(t *testing.T) {
	for _, test := range []struct{ name, mark, group, weight string }{
		{"version 1", "cpu/cpu.shares", "cpu/berth-build", "cpu.shares"},
		{"version 2", "cgroup.controllers", "berth-build", "cpu.weight"},
	} {
		t.Run(test.name, func(t *testing.T) {
			root := t.TempDir()
			mark := filepath.Join(root, test.mark)
			if err := os.MkdirAll(filepath.Dir(mark), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(mark, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			// The kernel makes the files of a group; here it is the test.
			weight := filepath.Join(root, test.group, test.weight)
			if err := os.MkdirAll(filepath.Dir(weight), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(weight, nil, 0o644); err != nil {
				t.Fatal(err)
			}
			low := newPriority(root)
			if low.group != filepath.Dir(weight) {
				t.Errorf("the group is %q", low.group)
			}
			if content, _ := os.ReadFile(weight); len(content) == 0 {
				t.Error("no weight was set")
			}
		})
	}
	if low := newPriority(t.TempDir()); low.group != "" {
		t.Errorf("a host without control groups gave %q", low.group)
	}
}
