package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain makes the test program a supervisor when a Handle starts it as one.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "run" {
		quick := defaults()
		quick.lookEvery, quick.rotateAt = 50*time.Millisecond, 64<<10
		quick.ports = filePorts{dir: filepath.Join(os.Args[2], portsDir)}
		if err := run(context.Background(), os.Args[2], quick); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// portsDir is where the ports of a supervisor under test are, below its directory.
const portsDir = "ports"

// newHandle is a handle on a fresh directory, in which nothing runs after the test.
func newHandle(t *testing.T) Handle {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	handle := Handle{Dir: t.TempDir(), Program: program}
	t.Cleanup(func() {
		eventually(t, 20*time.Second, func() error { return handle.Stop(context.Background()) })
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(handle.Dir, LogDir, "supervisor.log"))
			t.Logf("supervisor.log:\n%s", log)
		}
	})
	return handle
}

// shell is a component that runs a shell command.
func shell(name, command string) Component {
	return Component{Name: name, Command: []string{"/bin/sh", "-c", command}, Env: []string{"PATH=/usr/bin:/bin"}, StopTimeout: time.Second}
}

func sleeper(name string) Component { return shell(name, "exec sleep 1000") }

func ensure(t *testing.T, handle Handle, components ...Component) {
	t.Helper()
	if _, err := handle.Ensure(context.Background(), Spec{Components: components}); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, within time.Duration, condition func() error) {
	t.Helper()
	deadline := time.Now().Add(within)
	for {
		err := condition()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %v", within, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// observe waits until the supervisor says of a component what is wanted.
func observe(t *testing.T, handle Handle, name string, wanted func(ComponentStatus) bool) ComponentStatus {
	t.Helper()
	var got ComponentStatus
	eventually(t, 10*time.Second, func() error {
		status, _, err := handle.Status()
		if err != nil {
			return err
		}
		for _, got = range status.Components {
			if got.Name == name && wanted(got) {
				return nil
			}
		}
		return fmt.Errorf("component %s: got %+v", name, status.Components)
	})
	return got
}

func running(c ComponentStatus) bool { return alive(c.PID, c.StartTime) }

func TestADeadComponentRunsAgainWithinTwoSeconds(t *testing.T) {
	handle := newHandle(t)
	ensure(t, handle, sleeper("a"), sleeper("b"))
	b := observe(t, handle, "b", running)
	for range 4 {
		a := observe(t, handle, "a", running)
		died := time.Now()
		if err := unix.Kill(a.PID, unix.SIGKILL); err != nil {
			t.Fatal(err)
		}
		again := observe(t, handle, "a", func(c ComponentStatus) bool { return running(c) && c.PID != a.PID })
		if took := time.Since(died); took > 2*time.Second {
			t.Errorf("it ran again after %v", took)
		}
		if again.Restarts != a.Restarts+1 || again.LastExit != "signal: killed" {
			t.Errorf("status = %+v after one more death", again)
		}
	}
	if got := observe(t, handle, "b", running); got.PID != b.PID {
		t.Errorf("the other component changed from pid %d to %d", b.PID, got.PID)
	}
}

func TestBackOffDoublesToACapAndStartsOverAfterALongRun(t *testing.T) {
	var b backoff
	var got []time.Duration
	for range 9 {
		got = append(got, b.next(time.Second))
	}
	want := []time.Duration{100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000}
	for i := range want {
		want[i] *= time.Millisecond
	}
	if !slices.Equal(got, want) {
		t.Errorf("delays = %v, want %v", got, want)
	}
	if got := b.next(time.Minute); got != backoffFirst {
		t.Errorf("delay after a minute's run = %v", got)
	}
}

func TestASuccessorAdoptsWhatAKilledSupervisorLeft(t *testing.T) {
	handle := newHandle(t)
	ensure(t, handle, sleeper("a"), sleeper("b"))
	a, b := observe(t, handle, "a", running), observe(t, handle, "b", running)
	status, lives, err := handle.Status()
	if err != nil || !lives {
		t.Fatalf("Status() = %v, %v", lives, err)
	}
	if err := unix.Kill(status.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, func() error {
		if _, lives, err := handle.Status(); lives || err != nil {
			return fmt.Errorf("the supervisor lives: %w", err)
		}
		return nil
	})
	if running, err := handle.Running(); err != nil || !running {
		t.Errorf("Running() = %v, %v while components live", running, err)
	}
	// What was written about them is lost as well: the processes themselves tell.
	if err := os.Remove(filepath.Join(handle.Dir, StatusFile)); err != nil {
		t.Fatal(err)
	}
	changed := shell("b", "exec sleep 1001")
	ensure(t, handle, sleeper("a"), changed)
	if got := observe(t, handle, "a", running); got.PID != a.PID || got.Restarts != 0 {
		t.Errorf("a = %+v, want pid %d adopted", got, a.PID)
	}
	observe(t, handle, "b", func(c ComponentStatus) bool { return running(c) && c.PID != b.PID })
	if running(b) {
		t.Error("the component that changed meanwhile still runs as before")
	}
	died := time.Now()
	if err := unix.Kill(a.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	observe(t, handle, "a", func(c ComponentStatus) bool { return running(c) && c.PID != a.PID })
	if took := time.Since(died); took > 2*time.Second {
		t.Errorf("an adopted component ran again after %v", took)
	}
}

func TestComponentsStopInTheReverseOrderOneAfterTheOther(t *testing.T) {
	handle := newHandle(t)
	order := filepath.Join(t.TempDir(), "order")
	polite := func(name string) Component {
		return shell(name, fmt.Sprintf(`trap 'sleep 0.1; echo %s >>%s; exit 0' TERM; touch %s.%s; while :; do sleep 0.02; done`, name, order, order, name))
	}
	ensure(t, handle, polite("first"), polite("second"), polite("third"))
	for _, name := range []string{"first", "second", "third"} {
		eventually(t, 5*time.Second, func() error { _, err := os.Stat(order + "." + name); return err })
	}
	if err := handle.Stop(context.Background()); !errors.Is(err, ErrInProgress) {
		t.Fatalf("Stop() = %v, want ErrInProgress", err)
	}
	eventually(t, 10*time.Second, func() error { return handle.Stop(context.Background()) })
	got, err := os.ReadFile(order)
	if want := "third\nsecond\nfirst\n"; err != nil || string(got) != want {
		t.Errorf("stopped in order %q (%v), want %q", got, err, want)
	}
	if _, lives, _ := handle.Status(); lives {
		t.Error("the supervisor outlived its components")
	}
}

func TestSIGTERMToTheSupervisorStopsTheComponentsAndEnsureStartsThemAgain(t *testing.T) {
	handle := newHandle(t)
	ensure(t, handle, sleeper("a"))
	a := observe(t, handle, "a", running)
	status, _, err := handle.Status()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(status.PID, unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, func() error {
		if _, lives, err := handle.Status(); lives || err != nil || running(a) {
			return fmt.Errorf("supervisor lives: %v, component lives: %v, %w", lives, running(a), err)
		}
		return nil
	})
	ensure(t, handle, sleeper("a"))
	observe(t, handle, "a", running)
}

func TestAComponentThatIgnoresSIGTERMIsKilled(t *testing.T) {
	handle := newHandle(t)
	stubborn := shell("a", "trap '' TERM; touch ready; while :; do sleep 0.02; done")
	stubborn.Dir, stubborn.StopTimeout = handle.Dir, 200*time.Millisecond
	ensure(t, handle, stubborn)
	a := observe(t, handle, "a", running)
	eventually(t, 5*time.Second, func() error { _, err := os.Stat(filepath.Join(handle.Dir, "ready")); return err })
	ensure(t, handle)
	eventually(t, 5*time.Second, func() error {
		if running(a) {
			return errors.New("it still runs")
		}
		return nil
	})
}

func TestAComponentThatIsNoLongerListedGoesOnForItsTimeUnlessAllStop(t *testing.T) {
	handle := newHandle(t)
	brief, long := sleeper("brief"), sleeper("long")
	brief.Linger, long.Linger = 300*time.Millisecond, time.Hour
	ensure(t, handle, brief, long, sleeper("stays"))
	briefly, on := observe(t, handle, "brief", running), observe(t, handle, "long", running)
	left := time.Now()
	ensure(t, handle, sleeper("stays"))
	for running(briefly) {
		if time.Since(left) > 10*time.Second {
			t.Fatal("it never ended")
		}
		time.Sleep(10 * time.Millisecond)
	}
	if took := time.Since(left); took < brief.Linger {
		t.Errorf("it ended after %v", took)
	}
	if !running(on) {
		t.Error("what has an hour has ended")
	}
	ensure(t, handle, long, sleeper("stays"))
	if got := observe(t, handle, "long", running); got.PID != on.PID {
		t.Error("what is listed again was started again")
	}
	ensure(t, handle, sleeper("stays"))
	eventually(t, 5*time.Second, func() error { return handle.Stop(context.Background()) })
	if running(on) {
		t.Error("all stopped, and what lingered runs")
	}
}

func TestAComponentThatChangedHasItsOwnTimeToEnd(t *testing.T) {
	handle := newHandle(t)
	watched := filepath.Join(t.TempDir(), "watched")
	if err := os.WriteFile(watched, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	stubborn := shell("a", "trap '' TERM; touch ready; while :; do sleep 0.02; done")
	stubborn.Dir, stubborn.StopTimeout, stubborn.ChangeTimeout = handle.Dir, time.Hour, 100*time.Millisecond
	stubborn.RestartOnChange = []string{watched}
	ensure(t, handle, stubborn)
	before := observe(t, handle, "a", running)
	eventually(t, 5*time.Second, func() error { _, err := os.Stat(filepath.Join(handle.Dir, "ready")); return err })
	if err := os.WriteFile(watched, []byte("22"), 0o600); err != nil {
		t.Fatal(err)
	}
	observe(t, handle, "a", func(c ComponentStatus) bool { return running(c) && c.PID != before.PID })
	stubborn.StopTimeout = time.Millisecond // for the end of the test
	ensure(t, handle, stubborn)
}

func TestWhatADeadSupervisorLeftIsStopped(t *testing.T) {
	handle := newHandle(t)
	ensure(t, handle, sleeper("a"))
	a := observe(t, handle, "a", running)
	status, _, err := handle.Status()
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Kill(status.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 10*time.Second, func() error { return handle.Stop(context.Background()) })
	if running(a) {
		t.Error("Stop() = nil while a component runs")
	}
	if running, err := handle.Running(); err != nil || running {
		t.Errorf("Running() = %v, %v after all have stopped", running, err)
	}
}

func TestAChangeRestartsOnlyTheComponentThatItTouches(t *testing.T) {
	handle := newHandle(t)
	watched := filepath.Join(t.TempDir(), "watched")
	if err := os.WriteFile(watched, []byte("1"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := sleeper("c")
	c.RestartOnChange = []string{watched}
	ensure(t, handle, sleeper("a"), sleeper("b"), c)
	a, b, before := observe(t, handle, "a", running), observe(t, handle, "b", running), observe(t, handle, "c", running)

	patient := sleeper("b")
	patient.StopTimeout = 5 * time.Second // no concern of the running process
	ensure(t, handle, sleeper("new"), shell("a", "exec sleep 1001"), patient, c)
	observe(t, handle, "a", func(c ComponentStatus) bool { return running(c) && c.PID != a.PID })
	observe(t, handle, "new", running)

	if err := os.WriteFile(watched, []byte("22"), 0o600); err != nil {
		t.Fatal(err)
	}
	observe(t, handle, "c", func(c ComponentStatus) bool { return running(c) && c.PID != before.PID })
	if got := observe(t, handle, "b", running); got.PID != b.PID {
		t.Errorf("b, which nobody changed, went from pid %d to %d", b.PID, got.PID)
	}

	ensure(t, handle, patient)
	eventually(t, 5*time.Second, func() error {
		if status, _, err := handle.Status(); err != nil || len(status.Components) != 1 {
			return fmt.Errorf("components = %+v, %w", status.Components, err)
		}
		return nil
	})
}

func TestTimersAreLateOnlyWhereAComponentAllowsItAndFromItsNextStartOn(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("the slack of another process is told to root alone")
	}
	slack := func(pid int) string {
		read, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", pid))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(read))
	}
	handle := newHandle(t)
	late, punctual := sleeper("late"), sleeper("punctual")
	late.TimerSlack = 25 * time.Millisecond
	ensure(t, handle, late, punctual)
	if got := slack(observe(t, handle, "late", running).PID); got != "25000000" {
		t.Errorf("the component that allows it has a slack of %s ns, want 25 ms", got)
	}
	before := observe(t, handle, "punctual", running)
	if got, want := slack(before.PID), slack(os.Getpid()); got != want {
		t.Errorf("the other one has a slack of %s ns, want this process's %s", got, want)
	}
	punctual.TimerSlack = time.Millisecond
	ensure(t, handle, late, punctual, sleeper("next"))
	observe(t, handle, "next", running) // the new spec has been read
	if err := unix.Kill(before.PID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	again := observe(t, handle, "punctual", func(c ComponentStatus) bool { return running(c) && c.PID != before.PID })
	if again.Restarts != before.Restarts+1 || again.LastExit != "signal: killed" {
		t.Errorf("it restarted %d times, last for %q: a new slack alone is no reason", again.Restarts-before.Restarts, again.LastExit)
	}
	if got := slack(again.PID); got != "1000000" {
		t.Errorf("its next start has a slack of %s ns, want 1 ms", got)
	}
}

func TestOfTwoThatChangedTheSecondGoesOnUntilTheFirstRunsAnew(t *testing.T) {
	handle := newHandle(t)
	gate := filepath.Join(t.TempDir(), "gate")
	gated := func(duration string) Component {
		c := shell("server", "exec sleep "+duration)
		c.Gate = &Probe{File: gate}
		return c
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ensure(t, handle, gated("1000"), sleeper("client"))
	server, client := observe(t, handle, "server", running), observe(t, handle, "client", running)
	if err := os.Remove(gate); err != nil {
		t.Fatal(err)
	}
	ensure(t, handle, gated("1001"), shell("client", "exec sleep 1001"))
	observe(t, handle, "server", func(c ComponentStatus) bool { return c.PID == 0 && c.Waiting != "" })
	if got := observe(t, handle, "client", running); got.PID != client.PID {
		t.Errorf("the client was replaced while its server was away")
	}
	if err := os.WriteFile(gate, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	observe(t, handle, "server", func(c ComponentStatus) bool { return running(c) && c.PID != server.PID })
	observe(t, handle, "client", func(c ComponentStatus) bool { return running(c) && c.PID != client.PID })
}

func TestOnceComponentsEndBeforeTheNextOneStarts(t *testing.T) {
	handle := newHandle(t)
	dir := t.TempDir()
	once := shell("setup", fmt.Sprintf(`if [ -e %[1]s/tried ]; then sleep 0.1; touch %[1]s/done; else touch %[1]s/tried; exit 3; fi`, dir))
	once.Once = true
	ensure(t, handle, once, shell("a", fmt.Sprintf("test -e %[1]s/done && touch %[1]s/in-order; exec sleep 1000", dir)))
	observe(t, handle, "a", running)
	eventually(t, 5*time.Second, func() error { _, err := os.Stat(filepath.Join(dir, "in-order")); return err })
	setup := observe(t, handle, "setup", func(c ComponentStatus) bool { return c.Done })
	if setup.Restarts != 1 || setup.LastExit != "exit status 3" {
		t.Errorf("setup = %+v, want one failure and then done", setup)
	}
}

func TestLogsRotateUnderARunningComponent(t *testing.T) {
	handle := newHandle(t)
	ensure(t, handle, shell("a", `while :; do head -c 4096 /dev/zero | tr '\0' x; sleep 0.005; done`))
	log := logPath(handle.Dir, "a")
	eventually(t, 20*time.Second, func() error { _, err := os.Stat(numbered(log, 3)); return err })
	a := observe(t, handle, "a", running)
	if a.Restarts != 0 {
		t.Errorf("rotation restarted the component: %+v", a)
	}
	if _, err := os.Stat(numbered(log, 4)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("more than three old logs are kept: %v", err)
	}
	info, err := os.Stat(numbered(log, 1))
	if err != nil || info.Size() < 64<<10 || info.Mode().Perm() != 0o600 {
		t.Errorf("the newest old log = %v, %v", info, err)
	}
}

func TestASpecThatCannotBeReadChangesNothing(t *testing.T) {
	handle := newHandle(t)
	ensure(t, handle, sleeper("a"))
	a := observe(t, handle, "a", running)
	if err := os.WriteFile(filepath.Join(handle.Dir, SpecFile), []byte(`{"components":[{"name":"../x"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, 5*time.Second, func() error {
		log, err := os.ReadFile(logPath(handle.Dir, "supervisor"))
		if err != nil || !strings.Contains(string(log), "keeping the former one") {
			return fmt.Errorf("the log says nothing of it: %w", err)
		}
		return nil
	})
	if got := observe(t, handle, "a", running); got.PID != a.PID {
		t.Errorf("a went from pid %d to %d", a.PID, got.PID)
	}
}
