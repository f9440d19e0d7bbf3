// Package progress shows a person how something long goes: one line that is
// redrawn where there is a terminal, a few plain lines where there is none. It
// knows neither what is going on nor for how long it will.
package progress

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"k8s.io/utils/clock"
)

// How often plain lines come: changes at most every throttle, and a sign of
// life where nothing changes.
const (
	throttle  = time.Second
	heartbeat = 30 * time.Second
)

// Line is the progress of one thing. It is for one goroutine.
type Line struct {
	out   io.Writer
	width int
	clock clock.PassiveClock
	what  string
	start time.Time

	state   string
	shown   string
	shownAt time.Time
	drawn   bool
}

// New starts a line about what, e.g. "Creating demo". width is that of the
// terminal, 0 where there is none.
func New(out io.Writer, width int, clock clock.PassiveClock, what string) *Line {
	return &Line{out: out, width: width, clock: clock, what: clean(what), start: clock.Now()}
}

// Report says where the thing is and why it waits; both may be empty.
func (l *Line) Report(phase, message string) {
	switch {
	case message == "":
		l.state = clean(phase)
	case phase == "":
		l.state = clean(message)
	default:
		l.state = clean(phase + ": " + message)
	}
	l.Tick()
}

// Tick shows the time that has passed; call it a few times a second.
func (l *Line) Tick() {
	if l.width > 0 {
		l.draw()
		return
	}
	since := l.clock.Since(l.shownAt)
	if l.state != l.shown && since >= throttle || since >= heartbeat {
		fmt.Fprintln(l.out, l.text())
		l.shown, l.shownAt = l.state, l.clock.Now()
	}
}

// Done ends the line with how it went, e.g. "Succeeded".
func (l *Line) Done(outcome string) {
	l.Clear()
	fmt.Fprintf(l.out, "%s: %s in %s\n", l.what, outcome, Elapsed(l.clock.Since(l.start)))
}

// Clear takes the line off the terminal, so that something else can be written.
func (l *Line) Clear() {
	if l.drawn {
		fmt.Fprint(l.out, "\r\x1b[K")
		l.drawn = false
	}
}

func (l *Line) text() string {
	text := fmt.Sprintf("%s (%s)", l.what, Elapsed(l.clock.Since(l.start)))
	if l.state != "" {
		text += " " + l.state
	}
	return text
}

// draw writes the line over itself; one that is too long for the terminal is
// cut, because a wrapped line cannot be redrawn.
func (l *Line) draw() {
	text := []rune(l.text())
	if limit := l.width - 1; len(text) > limit {
		text = append(text[:limit-3], []rune("...")...)
	}
	fmt.Fprint(l.out, "\r"+string(text)+"\x1b[K")
	l.drawn = true
}

// Elapsed writes a duration for people: "7.3 s", "2 min 5 s".
func Elapsed(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1f s", d.Truncate(100*time.Millisecond).Seconds())
	}
	if d < time.Hour {
		return fmt.Sprintf("%d min %d s", int(d.Minutes()), int(d.Seconds())%60)
	}
	return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
}

// clean makes one line of a text from the service and takes out whatever would
// drive the terminal.
func clean(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }), " ")
}
