// Package maintenance owns when planned work may begin: windows, computed from a
// configuration and the time. It reads nothing itself.
package maintenance

import (
	"iter"
	"slices"
	"time"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// horizon is how far ahead a window is looked for: several times the longest
// interval, so that a window that does not come in it is not allowed for years.
const horizon = 3 * 366 * day

const day = 24 * time.Hour

// Window is a time in which work may begin.
type Window struct{ Start, End time.Time }

// Contains says whether a moment lies in the window; its end does not.
func (w Window) Contains(t time.Time) bool { return !t.Before(w.Start) && t.Before(w.End) }

// Schedule is a configuration that was found to be sound.
type Schedule struct {
	// begins are the windows in the order of their start, from one on that ends
	// after a moment or before it, without what is not allowed taken off.
	begins  func(after time.Time) iter.Seq[Window]
	blocked []Window
}

// Next is the window that a moment lies in, or else the next; false if none
// comes for years.
func (s *Schedule) Next(t time.Time) (Window, bool) {
	for w := range s.begins(t) {
		if w.Start.After(t.Add(horizon)) {
			break
		}
		for _, piece := range without(w, s.blocked) {
			if piece.End.After(t) {
				return piece, true
			}
		}
	}
	return Window{}, false
}

// without is a window without spans of time, which are in the order of their starts.
func without(w Window, spans []Window) (pieces []Window) {
	for _, span := range spans {
		if !span.End.After(w.Start) {
			continue
		}
		if !span.Start.Before(w.End) {
			break
		}
		if span.Start.After(w.Start) {
			pieces = append(pieces, Window{w.Start, span.Start})
		}
		w.Start = span.End
	}
	if w.Start.Before(w.End) {
		pieces = append(pieces, w)
	}
	return pieces
}

// New makes a schedule of a configuration. What it says of a wrong one is for
// an operator who wrote the object by hand; the front end tells a caller.
func New(spec v1alpha1.MaintenanceConfigurationSpec) (*Schedule, error) {
	if spec.MaintenanceWindow != nil {
		return newRecurring(spec.MaintenanceWindow)
	}
	s := &Schedule{begins: hours(spec.TimeInWeek)}
	for _, span := range spec.NotAllowedTime {
		s.blocked = append(s.blocked, Window{span.Start.Time, span.End.Time})
	}
	s.sort()
	return s, nil
}

func (s *Schedule) sort() {
	slices.SortFunc(s.blocked, func(a, b Window) int { return a.Start.Compare(b.Start) })
}

// hours are windows of hours of the week that follow each other. Where every
// hour is one, a day is a window.
func hours(week []v1alpha1.TimeInWeek) func(time.Time) iter.Seq[Window] {
	slots := map[int]bool{}
	for _, entry := range week {
		weekday, _ := ParseWeekday(string(entry.Day))
		for _, hour := range entry.HourSlots {
			slots[int(weekday)*24+int(hour)] = true
		}
	}
	if len(slots) == 0 || len(slots) == 7*24 {
		return days
	}
	allowed := func(t time.Time) bool { return slots[int(t.Weekday())*24+t.Hour()] }
	return func(after time.Time) iter.Seq[Window] {
		hour := after.UTC().Truncate(time.Hour)
		for allowed(hour) { // back to where the window began
			hour = hour.Add(-time.Hour)
		}
		return func(yield func(Window) bool) {
			for {
				for !allowed(hour) {
					hour = hour.Add(time.Hour)
				}
				w := Window{Start: hour}
				for allowed(hour) {
					hour = hour.Add(time.Hour)
				}
				if w.End = hour; !yield(w) {
					return
				}
			}
		}
	}
}

// days are the days, in UTC.
func days(after time.Time) iter.Seq[Window] {
	return func(yield func(Window) bool) {
		for start := after.UTC().Truncate(day); yield(Window{start, start.Add(day)}); start = start.Add(day) {
		}
	}
}

// Always is the schedule without a configuration: any day.
func Always() *Schedule { return &Schedule{begins: days} }
