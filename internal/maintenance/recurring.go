package maintenance

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// The forms of times and dates.
const (
	DateForm = "2006-01-02"
	timeForm = "15:04"
)

// maxOffset is the largest offset that any place on earth has had for a while.
const maxOffset = 14 * time.Hour

// ParseOffset reads an offset from UTC: +05:30, -08:00.
func ParseOffset(text string) (*time.Location, error) {
	wrong := fmt.Errorf("the offset '%.20s' is not one from -14:00 to +14:00", text)
	if len(text) != len("+00:00") || text[0] != '+' && text[0] != '-' {
		return nil, wrong
	}
	clock, err := time.Parse(timeForm, text[1:])
	if err != nil {
		return nil, wrong
	}
	offset := clockOf(clock)
	if offset > maxOffset {
		return nil, wrong
	}
	if text[0] == '-' {
		offset = -offset
	}
	return time.FixedZone(text, int(offset.Seconds())), nil
}

// ParseTime reads a time of the day, as what has passed of it.
func ParseTime(text string) (time.Duration, error) {
	clock, err := time.Parse(timeForm, text)
	if err != nil || len(text) != len(timeForm) {
		return 0, fmt.Errorf("the time '%.20s' is not one from 00:00 to 23:59", text)
	}
	return clockOf(clock), nil
}

func clockOf(t time.Time) time.Duration {
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

// ParseDate reads a day, as its beginning at a place.
func ParseDate(text string, at *time.Location) (time.Time, error) {
	date, err := time.ParseInLocation(DateForm, text, at)
	if err != nil {
		return date, fmt.Errorf("the date '%.20s' is not a day of a calendar, such as 2026-01-31", text)
	}
	return date, nil
}

// ParseWeekday reads the name of a day of the week, in any case.
func ParseWeekday(text string) (time.Weekday, bool) {
	for weekday := time.Sunday; weekday <= time.Saturday; weekday++ {
		if strings.EqualFold(weekday.String(), text) {
			return weekday, true
		}
	}
	return 0, false
}

// Weeks are the names of the weeks of a month.
func Weeks() []string { return []string{"First", "Second", "Third", "Fourth", "Last"} }

// newRecurring makes a schedule of a window that comes back.
func newRecurring(w *v1alpha1.MaintenanceWindow) (*Schedule, error) {
	at, err := ParseOffset(w.UTCOffset)
	if err != nil {
		return nil, err
	}
	clock, err := ParseTime(w.StartTime)
	if err != nil {
		return nil, err
	}
	start, err := ParseDate(w.StartDate, at)
	if err != nil {
		return nil, err
	}
	dates, err := datesOf(w.Schedule, start)
	if err != nil {
		return nil, err
	}
	length := time.Duration(w.DurationHours) * time.Hour
	s := &Schedule{begins: func(after time.Time) iter.Seq[Window] {
		return func(yield func(Window) bool) {
			for date := range dates(after.Add(-length - day)) {
				if begin := date.Add(clock); !yield(Window{begin, begin.Add(length)}) {
					return
				}
			}
		}
	}}
	for _, span := range w.NotAllowedDates {
		first, err := ParseDate(span.Start, at)
		if err != nil {
			return nil, err
		}
		last, err := ParseDate(span.End, at)
		if err != nil {
			return nil, err
		}
		s.blocked = append(s.blocked, Window{first, last.Add(day)})
	}
	s.sort()
	return s, nil
}

// datesOf are the days of a schedule, from one on at or before a moment.
func datesOf(s v1alpha1.MaintenanceSchedule, start time.Time) (func(from time.Time) iter.Seq[time.Time], error) {
	switch {
	case s.Daily != nil && s.Daily.IntervalDays > 0:
		return everyDays(start, int(s.Daily.IntervalDays)), nil
	case s.Weekly != nil && s.Weekly.IntervalWeeks > 0:
		weekday, _ := ParseWeekday(string(s.Weekly.DayOfWeek))
		first := start.AddDate(0, 0, (int(weekday)-int(start.Weekday())+7)%7)
		return everyDays(first, 7*int(s.Weekly.IntervalWeeks)), nil
	case s.AbsoluteMonthly != nil && s.AbsoluteMonthly.IntervalMonths > 0:
		return everyMonths(start, int(s.AbsoluteMonthly.IntervalMonths), func(month time.Time) time.Time {
			last := month.AddDate(0, 1, -1)
			return month.AddDate(0, 0, min(int(s.AbsoluteMonthly.DayOfMonth), last.Day())-1)
		}), nil
	case s.RelativeMonthly != nil && s.RelativeMonthly.IntervalMonths > 0:
		weekday, _ := ParseWeekday(string(s.RelativeMonthly.DayOfWeek))
		week := slices.Index(Weeks(), s.RelativeMonthly.WeekIndex)
		return everyMonths(start, int(s.RelativeMonthly.IntervalMonths), func(month time.Time) time.Time {
			return dayOfWeek(month, week, weekday)
		}), nil
	}
	return nil, errors.New("the maintenance window has no schedule with an interval")
}

// everyDays are every so many days from the first on.
func everyDays(first time.Time, interval int) func(time.Time) iter.Seq[time.Time] {
	return func(from time.Time) iter.Seq[time.Time] {
		n := max(0, int(from.Sub(first)/day)/interval)
		return func(yield func(time.Time) bool) {
			for ; yield(first.AddDate(0, 0, n*interval)); n++ {
			}
		}
	}
}

// everyMonths are a day of every so many months; on picks it, given the
// first of the month. They count from the first such day not before start.
func everyMonths(start time.Time, interval int, on func(month time.Time) time.Time) func(time.Time) iter.Seq[time.Time] {
	first := time.Date(start.Year(), start.Month(), 1, 0, 0, 0, 0, start.Location())
	if on(first).Before(start) {
		first = first.AddDate(0, 1, 0)
	}
	return func(from time.Time) iter.Seq[time.Time] {
		from = from.In(start.Location())
		months := (from.Year()-first.Year())*12 + int(from.Month()) - int(first.Month())
		n := max(0, (months-1)/interval)
		return func(yield func(time.Time) bool) {
			for ; yield(on(first.AddDate(0, n*interval, 0))); n++ {
			}
		}
	}
}

// dayOfWeek is a weekday of a month: the first for week 0 to the fourth for 3,
// the last for any other.
func dayOfWeek(month time.Time, week int, weekday time.Weekday) time.Time {
	if week < 0 || week > 3 {
		last := month.AddDate(0, 1, -1)
		return last.AddDate(0, 0, -((int(last.Weekday()) - int(weekday) + 7) % 7))
	}
	return month.AddDate(0, 0, (int(weekday)-int(month.Weekday())+7)%7+7*week)
}
