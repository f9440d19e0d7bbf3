// Package schedule tells when something that comes back is due: five fields of
// cron, read on the clock of a time zone. It knows the zones itself, whatever
// the host has. It is pure: nothing here waits.
package schedule

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a host without its own names of zones

	"github.com/robfig/cron/v3"
)

// maxLength bounds an expression and the name of a zone.
const maxLength = 100

// maxShift is more than any clock is ever set forth or back at once.
const maxShift = 26 * time.Hour

// firstLook is how far back the latest due time is looked for at first.
const firstLook = time.Hour

// Schedule is when something is due. The zero value is never due.
type Schedule struct {
	wall cron.Schedule
	zone *time.Location
}

// Zone reads the name of a time zone, as in Europe/Berlin; empty is UTC. The
// host's own zone has no name here: it would mean something else elsewhere.
func Zone(name string) (*time.Location, error) {
	if len(name) > maxLength || strings.EqualFold(name, "Local") {
		return nil, fmt.Errorf("%.100q is not the name of a time zone: it is one as in Europe/Berlin or UTC", name)
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%.100q is not the name of a time zone: it is one as in Europe/Berlin or UTC", name)
	}
	return zone, nil
}

// Parse reads five fields: minute, hour, day of the month, month, day of the
// week (or @hourly, @daily, @weekly, @monthly, @yearly). It fails for what is
// never due, as on the 31 February.
func Parse(expression string, zone *time.Location) (Schedule, error) {
	if len(expression) > maxLength {
		return Schedule{}, fmt.Errorf("it is longer than %d characters", maxLength)
	}
	// A zone in the expression would be a second one, and an interval has no time of day.
	if strings.Contains(expression, "=") || strings.HasPrefix(strings.TrimSpace(expression), "@every") {
		return Schedule{}, errors.New("it is to have five fields: minute, hour, day of the month, month, day of the week")
	}
	parser := cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	wall, err := parser.Parse(strings.TrimSpace(expression))
	if err != nil {
		return Schedule{}, fmt.Errorf("reading the five fields minute, hour, day of the month, month, day of the week: %w", err)
	}
	if spec, is := wall.(*cron.SpecSchedule); is {
		spec.Location = time.UTC // which carries the time on the wall, not the moment
	}
	s := Schedule{wall: wall, zone: zone}
	if wall.Next(time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() { // what comes in leap years alone comes within the library's five
		return Schedule{}, errors.New("it is never due: no month has such a day")
	}
	return s, nil
}

// Next is the first moment after another at which the schedule is due; the zero
// time if there is none within five years. What falls into an hour that the
// clocks leave out is due when they have been set forth; what falls into one
// that comes twice is due the first time alone.
func (s Schedule) Next(after time.Time) time.Time {
	if s.wall == nil {
		return time.Time{}
	}
	// Whatever the wall showed before was due by then: a time is due when the wall first shows it, or a later one.
	for wall := s.wall.Next(onWall(after.In(s.zone))); !wall.IsZero(); wall = s.wall.Next(wall) {
		if moment := s.moment(wall); moment.After(after) {
			return moment
		}
	}
	return time.Time{}
}

// Last is the latest moment after one and not after another at which the
// schedule was due, if there is any.
func (s Schedule) Last(after, until time.Time) (last time.Time, found bool) {
	if s.wall == nil {
		return last, false
	}
	for look := firstLook; ; look *= 2 {
		from := until.Add(-look)
		if from.Before(after) {
			from = after
		}
		for next := s.Next(from); !next.IsZero() && !next.After(until); next = s.Next(next) {
			last, found = next, true
		}
		if found || !from.After(after) {
			return last, found
		}
	}
}

// onWall is what the clock on the wall shows, as if it were UTC.
func onWall(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// moment is when the clock on the wall first shows a time, or the first moment
// at which it shows a later one.
func (s Schedule) moment(wall time.Time) time.Time {
	// Each offset around the time gives a candidate; the earliest that the wall agrees with counts.
	var earliest, gap time.Time
	for _, around := range []time.Time{wall.Add(-maxShift), wall.Add(maxShift)} {
		_, offset := around.In(s.zone).Zone()
		candidate := wall.Add(-time.Duration(offset) * time.Second)
		if onWall(candidate.In(s.zone)).Equal(wall) && (earliest.IsZero() || candidate.Before(earliest)) {
			earliest = candidate
		}
		if gap.IsZero() {
			gap = candidate // by the offset before
		}
	}
	if !earliest.IsZero() {
		return earliest.In(s.zone)
	}
	if start, _ := gap.In(s.zone).ZoneBounds(); !start.IsZero() {
		return start // the clocks have just been set forth
	}
	return gap.In(s.zone)
}

// Earlier is the earlier of two times, of which a zero one does not count.
func Earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
