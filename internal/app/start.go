package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/supervise"
)

// ErrNotRunning says that no daemon runs.
var ErrNotRunning = errors.New("the service is not running")

// ErrRunning says that a daemon runs.
var ErrRunning = errors.New("the service is running")

// recordInterval is how often a starting daemon's record is read.
const recordInterval = 50 * time.Millisecond

// The daemon's log is set aside when it reaches a size; so many old ones are kept.
const (
	maxLog   = 64 << 20
	keptLogs = 2
)

// Start starts the daemon in the background and waits until it serves, telling
// what it does meanwhile. A daemon that runs already is left alone.
func Start(ctx context.Context, o Options, tell func(message string)) (home.Daemon, error) {
	if err := o.unchanged(); err != nil {
		return home.Daemon{}, err
	}
	if h, err := home.Open(o.Home); err == nil {
		if running, _, err := h.ReadDaemon(); err == nil && running.Alive() {
			tell("the service is already running")
			daemon, err := follow(ctx, h, running.PID, nil, tell)
			if !errors.Is(err, errEnded) {
				return daemon, err
			}
		}
	}
	if err := awaitRemains(ctx, o.Home); err != nil {
		return home.Daemon{}, err
	}
	if err := checkHost(o, newLogger("text", io.Discard)); err != nil {
		return home.Daemon{}, err
	}
	h, err := home.Create(o.Home, instanceInUse)
	if err != nil {
		return home.Daemon{}, err
	}
	if err := o.store(h); err != nil {
		return home.Daemon{}, err
	}
	process, err := launch(h, o)
	if err != nil {
		return home.Daemon{}, err
	}
	exited := make(chan error, 1)
	go func() { exited <- process.Wait() }() // ends with the daemon, or with this command
	daemon, err := follow(ctx, h, process.Process.Pid, exited, tell)
	if err != nil && ctx.Err() == nil {
		if first, ok := another(ctx, h, process.Process.Pid); ok {
			tell("another start came first")
			return follow(ctx, h, first, nil, tell)
		}
	}
	return daemon, err
}

// anotherTimeout is how long who holds the home may take to say who it is.
const anotherTimeout = 2 * time.Second

// another finds the daemon of whoever started at the same moment and was first:
// it holds the home, which the one of this start was refused.
func another(ctx context.Context, h home.Home, own int) (pid int, ok bool) {
	tick := time.NewTicker(recordInterval)
	defer tick.Stop()
	for deadline := time.Now().Add(anotherTimeout); ; {
		lock, err := h.Lock()
		if err == nil { // nobody has it: the failure was this start's own
			_ = lock.Release()
			return 0, false
		}
		if running, found, err := h.ReadDaemon(); err == nil && found && running.PID != own && running.Alive() {
			return running.PID, true
		}
		if time.Now().After(deadline) {
			return 0, false
		}
		select {
		case <-ctx.Done():
			return 0, false
		case <-tick.C:
		}
	}
}

// launch starts this program again as the daemon, in a session of its own so
// that the terminal's end does not reach it. Its output is appended to a file:
// a pipe would break when this command ends.
func launch(h home.Home, o Options) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding this program: %w", err)
	}
	if err := rotateLog(h); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(h.LogFile(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	defer log.Close()
	o.LogFormat = "json"
	command := exec.Command(self, append([]string{"up"}, o.arguments()...)...)
	command.Dir = "/"
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("starting the service: %w", err)
	}
	return command, nil
}

// rotateLog keeps the daemon's log within limits. It is copied and emptied in
// place, because the daemon holds it open as its standard output.
func rotateLog(h home.Home) error {
	return supervise.Rotate(h.Dir, strings.TrimSuffix(filepath.Base(h.LogFile()), ".log"), maxLog, keptLogs)
}

// errEnded says that a daemon that somebody else started is gone.
var errEnded = errors.New("the service ended")

// follow waits until the daemon of a pid is ready, and fails with its reason
// if it ends before. exited is nil for a daemon that somebody else started;
// its record is not enough then, since one that is being killed has it too.
func follow(ctx context.Context, h home.Home, pid int, exited <-chan error, tell func(string)) (home.Daemon, error) {
	tick := time.NewTicker(recordInterval)
	defer tick.Stop()
	told := ""
	for {
		daemon, found, err := h.ReadDaemon()
		if err != nil {
			return daemon, err
		}
		if found && daemon.PID == pid {
			ready, err := standing(ctx, h, daemon, exited != nil)
			if ready || err != nil {
				return daemon, err
			}
			if daemon.Message != told {
				told = daemon.Message
				tell(told)
			}
		}
		select {
		case <-ctx.Done():
			return daemon, fmt.Errorf("%w: the service goes on starting; berth status shows how it stands", ctx.Err())
		case err := <-exited:
			daemon, _, readErr := h.ReadDaemon()
			if readErr == nil && daemon.PID == pid && daemon.Phase == home.PhaseFailed {
				return daemon, errors.New(daemon.Message)
			}
			return daemon, fmt.Errorf("the service ended before it was ready (%w): %s", err, lastWords(h.LogFile()))
		case <-tick.C:
		}
	}
}

// standing says whether a daemon is ready, or why it never will be. ours is
// true for one that this process started and waits for.
func standing(ctx context.Context, h home.Home, daemon home.Daemon, ours bool) (ready bool, err error) {
	switch {
	case !ours && !daemon.Alive():
		return false, fmt.Errorf("%w before it was ready: see %s", errEnded, h.LogFile())
	case daemon.Phase == home.PhaseFailed:
		return false, errors.New(daemon.Message)
	default:
		return daemon.Phase == home.PhaseReady && (ours || answers(ctx, daemon)), nil
	}
}

// remainsTimeout is how long the end of a killed daemon may take.
const remainsTimeout = 10 * time.Second

// awaitRemains waits until nothing is left of a daemon that was killed a moment
// ago: whoever starts the next one at once would find its ports taken.
func awaitRemains(ctx context.Context, dir string) error {
	h, err := home.Open(dir)
	if err != nil {
		return nil //nolint:nilerr // what is wrong with the home is said by who makes it
	}
	daemon, found, err := h.ReadDaemon()
	if err != nil || !found || daemon.Alive() {
		return err
	}
	process, err := unix.PidfdOpen(daemon.PID, 0)
	if err != nil {
		return nil //nolint:nilerr // it is gone
	}
	defer unix.Close(process)
	if !daemon.Remains() { // another process has the pid
		return nil
	}
	ended, err := waitEnd(ctx, process, remainsTimeout)
	if err == nil && !ended {
		err = fmt.Errorf("process %d, the service that was killed, does not end", daemon.PID)
	}
	return err
}

// answers says whether a daemon that says it is ready answers.
func answers(ctx context.Context, daemon home.Daemon) bool {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, daemon.MetricsEndpoint+"/healthz", nil)
	if err != nil {
		return false
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// lastLine is the last line of a log, for an error that nothing else explains.
func lastLine(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return "see " + path
	}
	lines := strings.Split(strings.TrimSpace(string(content)), "\n")
	return lines[len(lines)-1] + " (" + filepath.Base(path) + ")"
}

// StopDaemon ends the daemon of a home and waits for its end; ErrNotRunning if
// there is none. What runs clusters goes on.
func StopDaemon(ctx context.Context, h home.Home) error {
	daemon, found, err := h.ReadDaemon()
	if err != nil {
		return err
	}
	if !found || !daemon.Alive() {
		return ErrNotRunning
	}
	// The descriptor stands for this process and no later one of the same pid.
	process, err := unix.PidfdOpen(daemon.PID, 0)
	if err != nil {
		return fmt.Errorf("stopping the service: %w", err)
	}
	defer unix.Close(process)
	if !daemon.Alive() { // it was another process that the descriptor was opened for
		return ErrNotRunning
	}
	for _, step := range []struct {
		signal unix.Signal
		wait   time.Duration
	}{{unix.SIGTERM, 30 * time.Second}, {unix.SIGKILL, 10 * time.Second}} {
		if err := unix.PidfdSendSignal(process, step.signal, nil, 0); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stopping the service: %w", err)
		}
		ended, err := waitEnd(ctx, process, step.wait)
		if err != nil || ended {
			return err
		}
	}
	return fmt.Errorf("stopping the service: process %d does not end", daemon.PID)
}

// waitEnd waits for a process's end: its descriptor becomes readable then.
func waitEnd(ctx context.Context, process int, timeout time.Duration) (ended bool, err error) {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); {
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(process), Events: unix.POLLIN}}, 200)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return false, fmt.Errorf("waiting for the service to end: %w", err)
		}
		if n > 0 {
			return true, nil
		}
	}
	return false, nil
}

// Restart ends the daemon, if one runs, and starts it with the options. It
// leaves the running one alone if the host would refuse the next.
func Restart(ctx context.Context, o Options, tell func(string)) (home.Daemon, error) {
	h, err := home.Open(o.Home)
	if err != nil {
		return home.Daemon{}, err
	}
	if err := checkHost(o, newLogger("text", io.Discard)); err != nil {
		return home.Daemon{}, err
	}
	tell("stopping the service; clusters go on")
	if err := StopDaemon(ctx, h); err != nil && !errors.Is(err, ErrNotRunning) {
		return home.Daemon{}, err
	}
	return Start(ctx, o, tell)
}
