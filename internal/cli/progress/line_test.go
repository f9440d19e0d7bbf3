package progress

import (
	"strings"
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

func TestOnATerminalOneLineIsRedrawn(t *testing.T) {
	var out strings.Builder
	clock := clocktesting.NewFakePassiveClock(time.Unix(0, 0))
	line := New(&out, 80, clock, "Creating demo")
	step := func(d time.Duration) { clock.SetTime(clock.Now().Add(d)) }
	line.Report("ControlPlaneReady", "etcd starts")
	step(1250 * time.Millisecond)
	line.Tick()
	step(6 * time.Second)
	line.Report("NodesReady", "")
	line.Done("Succeeded")
	want := "\rCreating demo (0.0 s) ControlPlaneReady: etcd starts\x1b[K" +
		"\rCreating demo (1.2 s) ControlPlaneReady: etcd starts\x1b[K" +
		"\rCreating demo (7.2 s) NodesReady\x1b[K" +
		"\r\x1b[KCreating demo: Succeeded in 7.2 s\n"
	if out.String() != want {
		t.Errorf("wrote %q\nwant  %q", out.String(), want)
	}
}

func TestALineNeverWrapsAroundTheTerminal(t *testing.T) {
	var out strings.Builder
	line := New(&out, 40, clocktesting.NewFakePassiveClock(time.Unix(0, 0)), "Creating demo")
	line.Report("ControlPlaneReady", strings.Repeat("wörter ", 20))
	text := strings.TrimSuffix(strings.TrimPrefix(out.String(), "\r"), "\x1b[K")
	if n := len([]rune(text)); n != 39 || !strings.HasSuffix(text, "...") {
		t.Errorf("the line has %d characters: %q", n, text)
	}
}

func TestWithoutATerminalLinesAreFew(t *testing.T) {
	var out strings.Builder
	clock := clocktesting.NewFakePassiveClock(time.Unix(0, 0))
	line := New(&out, 0, clock, "Creating demo")
	line.Report("A", "one")
	for range 700 { // 70 s in which the same line is reported ten times a second
		clock.SetTime(clock.Now().Add(100 * time.Millisecond))
		line.Report("A", "one")
	}
	line.Report("A", "two")
	line.Report("A", "three") // too soon after the last line
	clock.SetTime(clock.Now().Add(time.Second))
	line.Tick()
	line.Done("Failed")
	want := "Creating demo (0.0 s) A: one\nCreating demo (30.0 s) A: one\nCreating demo (1 min 0 s) A: one\n" +
		"Creating demo (1 min 10 s) A: two\nCreating demo (1 min 11 s) A: three\nCreating demo: Failed in 1 min 11 s\n"
	if out.String() != want {
		t.Errorf("wrote\n%s\nwant\n%s", out.String(), want)
	}
}

func TestMessagesCannotDriveTheTerminal(t *testing.T) {
	var out strings.Builder
	line := New(&out, 0, clocktesting.NewFakePassiveClock(time.Unix(0, 0)), "Creating \x1b[2Jdemo")
	line.Report("A", "red\x1b[31m\r\nnext\x07line")
	if got := out.String(); strings.ContainsAny(got, "\x1b\x07\r") || strings.Count(got, "\n") != 1 {
		t.Errorf("wrote %q", got)
	}
}

func TestDurationsAreWrittenForPeople(t *testing.T) {
	tests := map[time.Duration]string{
		0: "0.0 s", 7349 * time.Millisecond: "7.3 s", 59999 * time.Millisecond: "59.9 s",
		125 * time.Second: "2 min 5 s", 3*time.Hour + 2*time.Minute: "3 h 2 min",
	}
	for d, want := range tests {
		if got := Elapsed(d); got != want {
			t.Errorf("Elapsed(%v) = %q, want %q", d, got, want)
		}
	}
}
