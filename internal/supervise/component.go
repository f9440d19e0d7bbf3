package supervise

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// defaultStopTimeout is how long a process has between SIGTERM and SIGKILL
// unless its component says otherwise.
const defaultStopTimeout = 10 * time.Second

// component is one process as the supervisor runs it. Its fields belong to the
// supervisor's loop.
type component struct {
	spec Component
	// running is nil while there is no process.
	running *process
	// startAt is when it may be started next.
	startAt time.Time
	backoff backoff
	// closeGate ends the looks at the gate; nil while nobody looks.
	closeGate context.CancelFunc
	// open is true from when the gate was seen open until the start.
	open    bool
	waiting string
	// done is the identity of the Once program that ended well.
	done string
	// outdated is true while it runs as its component said earlier.
	outdated bool
	// unlisted is since when its component is no longer listed.
	unlisted time.Time
	restarts int
	lastExit string
	// sheltered is since when who connects to it waits; zero while nobody does.
	sheltered time.Time
	// sealed says that what is asked of it over connections of before waits, too.
	sealed bool
	// identityEnded says that the certificate of its gate has ended.
	identityEnded bool
	// logged is how long its log was when it was started.
	logged int64
}

// process is a running process of a component.
type process struct {
	pid       int
	startTime uint64
	since     time.Time
	identity  string
	// adopted watches a process that another supervisor started; nil for a child.
	adopted *watch
	// stopping is true once it was sent SIGTERM, killAt is when SIGKILL follows.
	stopping bool
	killAt   time.Time
}

// start starts the component's program in a session of its own, with its
// output going to its log.
func (c *component) start(dir, identity string, now time.Time) error {
	log, err := openLog(dir, c.spec.Name)
	if err != nil {
		return err
	}
	defer log.Close()
	if info, err := log.Stat(); err == nil {
		c.logged = info.Size()
	}
	input, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer input.Close()
	arguments := slices.Clone(c.spec.Command)
	if c.spec.Arg0 != "" {
		arguments[0] = c.spec.Arg0
	}
	pid, err := forkExec(c.spec.Command[0], arguments, c.spec.TimerSlack, &syscall.ProcAttr{
		Dir: c.spec.Dir,
		Env: append(slices.Clone(c.spec.Env),
			componentVariable+"="+filepath.Join(dir, c.spec.Name), identityVariable+"="+identity),
		Files: []uintptr{input.Fd(), log.Fd(), log.Fd()},
		Sys:   &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return fmt.Errorf("starting %s: %w", c.spec.Command[0], err)
	}
	c.running = &process{pid: pid, since: now, identity: identity}
	if stat, err := readStat(pid); err == nil { // it cannot be gone: it was not waited for
		c.running.startTime = stat.startTime
	}
	if c.spec.OOMScoreAdj != 0 {
		// Refused where the value is below what the host lets us have: the component runs all the same.
		path := fmt.Sprintf("/proc/%d/oom_score_adj", pid)
		_ = os.WriteFile(path, []byte(strconv.Itoa(c.spec.OOMScoreAdj)), 0)
	}
	return nil
}

// forkExec starts a program with a timer slack, which it inherits from the thread
// that starts it.
func forkExec(program string, arguments []string, slack time.Duration, attributes *syscall.ProcAttr) (pid int, err error) {
	if slack > 0 {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack.Nanoseconds()), 0, 0, 0); err != nil {
			return 0, fmt.Errorf("setting the timer slack: %w", err)
		}
		defer unix.Prctl(unix.PR_SET_TIMERSLACK, 0, 0, 0, 0) //nolint:errcheck // 0 is the thread's own again
	}
	return syscall.ForkExec(program, arguments, attributes)
}

// stop asks the process to end, and makes it once its time is up.
func (c *component) stop(now time.Time) {
	p := c.running
	switch {
	case p == nil:
	case !p.stopping:
		p.stopping, p.killAt = true, now.Add(c.patience())
		p.signal(unix.SIGTERM)
	case !now.Before(p.killAt):
		p.killAt = now.Add(time.Second)
		p.signal(unix.SIGKILL)
	}
}

// patience is how long the process has to end.
func (c *component) patience() time.Duration {
	switch {
	case c.outdated && c.spec.ChangeTimeout > 0:
		return c.spec.ChangeTimeout
	case c.spec.StopTimeout > 0:
		return c.spec.StopTimeout
	}
	return defaultStopTimeout
}

// signal reaches the process and no other: a child's number is not given away
// before the loop waited for it, an adopted process is held by a pidfd. An
// error means that it has ended, which the loop is about to learn.
func (p *process) signal(signal unix.Signal) {
	if p.adopted != nil {
		_ = p.adopted.signal(signal)
		return
	}
	_ = unix.Kill(p.pid, signal)
}

// ended takes note of the process's end.
func (c *component) ended(exit string, ok bool, now time.Time) {
	p := c.running
	c.running = nil
	if p.adopted != nil {
		p.adopted.close()
	}
	// What the process left behind in its session must not meet its successor.
	_ = unix.Kill(-p.pid, unix.SIGKILL)
	switch {
	case c.spec.Once && ok:
		c.done = p.identity
	case p.stopping:
		c.startAt, c.backoff = now, backoff{}
	default:
		c.died(exit, now.Sub(p.since), now)
	}
}

// died counts a death and puts the next start off.
func (c *component) died(exit string, ran time.Duration, now time.Time) {
	c.restarts++
	c.lastExit = exit
	c.startAt = now.Add(c.backoff.next(ran))
}

// leaveGate ends the looks at the gate.
func (c *component) leaveGate() {
	if c.closeGate != nil {
		c.closeGate()
		c.closeGate = nil
	}
	c.open, c.waiting = false, ""
}

// status is the component as it stands.
func (c *component) status() ComponentStatus {
	status := ComponentStatus{
		Name: c.spec.Name, Outdated: c.outdated || !c.unlisted.IsZero(), Waiting: c.waiting, Ended: c.identityEnded, Done: c.done != "", Restarts: c.restarts, LastExit: c.lastExit,
	}
	if c.running != nil {
		status.PID, status.StartTime = c.running.pid, c.running.startTime
	}
	return status
}

// describe says how a child ended.
func describe(status syscall.WaitStatus) (exit string, ok bool) {
	if status.Signaled() {
		return "signal: " + status.Signal().String(), false
	}
	return "exit status " + strconv.Itoa(status.ExitStatus()), status.ExitStatus() == 0
}

// adopt takes over a running process of the component.
func (c *component) adopt(running found, now time.Time) error {
	watch, err := newWatch(running.pid, running.startTime)
	if errors.Is(err, unix.ESRCH) {
		return nil // it has ended meanwhile
	}
	if err != nil {
		return fmt.Errorf("adopting %s: %w", c.spec.Name, err)
	}
	c.running = &process{pid: running.pid, startTime: running.startTime, since: now, identity: running.identity, adopted: &watch}
	return nil
}
