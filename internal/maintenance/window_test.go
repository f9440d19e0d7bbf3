package maintenance

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// at reads a moment: 2026-11-21T08:00Z, or with an offset.
func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse("2006-01-02T15:04Z07:00", text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

// window is a maintenance window of four hours from 22:00 UTC on.
func window(start string, schedule v1alpha1.MaintenanceSchedule, change ...func(*v1alpha1.MaintenanceWindow)) v1alpha1.MaintenanceConfigurationSpec {
	w := &v1alpha1.MaintenanceWindow{Schedule: schedule, DurationHours: 4, UTCOffset: "+00:00", StartDate: start, StartTime: "22:00"}
	for _, c := range change {
		c(w)
	}
	return v1alpha1.MaintenanceConfigurationSpec{MaintenanceWindow: w}
}

func daily(n int32) v1alpha1.MaintenanceSchedule {
	return v1alpha1.MaintenanceSchedule{Daily: &v1alpha1.DailySchedule{IntervalDays: n}}
}

func weekly(n int32, day v1alpha1.Weekday) v1alpha1.MaintenanceSchedule {
	return v1alpha1.MaintenanceSchedule{Weekly: &v1alpha1.WeeklySchedule{IntervalWeeks: n, DayOfWeek: day}}
}

func onDate(n, date int32) v1alpha1.MaintenanceSchedule {
	return v1alpha1.MaintenanceSchedule{AbsoluteMonthly: &v1alpha1.AbsoluteMonthlySchedule{IntervalMonths: n, DayOfMonth: date}}
}

func onWeek(n int32, week string, day v1alpha1.Weekday) v1alpha1.MaintenanceSchedule {
	return v1alpha1.MaintenanceSchedule{RelativeMonthly: &v1alpha1.RelativeMonthlySchedule{IntervalMonths: n, WeekIndex: week, DayOfWeek: day}}
}

func offset(text, start string) func(*v1alpha1.MaintenanceWindow) {
	return func(w *v1alpha1.MaintenanceWindow) { w.UTCOffset, w.StartTime = text, start }
}

func lasting(hours int32) func(*v1alpha1.MaintenanceWindow) {
	return func(w *v1alpha1.MaintenanceWindow) { w.DurationHours = hours }
}

func not(first, last string) func(*v1alpha1.MaintenanceWindow) {
	return func(w *v1alpha1.MaintenanceWindow) {
		w.NotAllowedDates = append(w.NotAllowedDates, v1alpha1.DateSpan{Start: first, End: last})
	}
}

// hoursOf are hours of days of the week.
func hoursOf(entries ...v1alpha1.TimeInWeek) v1alpha1.MaintenanceConfigurationSpec {
	return v1alpha1.MaintenanceConfigurationSpec{TimeInWeek: entries}
}

func TestTheWindowOfAMomentOrTheNextIsFound(t *testing.T) {
	// 2026-11-21 is a Saturday.
	const today = "2026-11-21"
	early := func(hours ...int32) v1alpha1.TimeInWeek { return v1alpha1.TimeInWeek{Day: "Monday", HourSlots: hours} }
	late := v1alpha1.TimeInWeek{Day: "Sunday", HourSlots: []int32{22, 23}}
	for name, c := range map[string]struct {
		spec            v1alpha1.MaintenanceConfigurationSpec
		now, start, end string
	}{
		"before the first":                      {window(today, daily(1)), "2026-11-01T00:00Z", "2026-11-21T22:00Z", "2026-11-22T02:00Z"},
		"at its beginning":                      {window(today, daily(1)), "2026-11-21T22:00Z", "2026-11-21T22:00Z", "2026-11-22T02:00Z"},
		"across midnight":                       {window(today, daily(1)), "2026-11-22T01:59Z", "2026-11-21T22:00Z", "2026-11-22T02:00Z"},
		"at its end it is the next":             {window(today, daily(1)), "2026-11-22T02:00Z", "2026-11-22T22:00Z", "2026-11-23T02:00Z"},
		"every third day counts from the start": {window(today, daily(3)), "2026-11-22T02:00Z", "2026-11-24T22:00Z", "2026-11-25T02:00Z"},
		"years later it still does":             {window("2020-02-29", daily(7)), "2026-11-22T02:00Z", "2026-11-28T22:00Z", "2026-11-29T02:00Z"},
		"a whole day long":                      {window(today, daily(1), lasting(24)), "2026-11-22T21:59Z", "2026-11-21T22:00Z", "2026-11-22T22:00Z"},
		"east of Greenwich, the day before":     {window(today, daily(1), offset("+05:30", "01:00")), "2026-11-20T00:00Z", "2026-11-20T19:30Z", "2026-11-20T23:30Z"},
		"west of Greenwich, the day after":      {window(today, daily(1), offset("-08:00", "20:00")), "2026-11-20T00:00Z", "2026-11-22T04:00Z", "2026-11-22T08:00Z"},
		"offsets know no summer":                {window("2026-03-28", daily(1), offset("+01:00", "02:30")), "2026-03-29T00:00Z", "2026-03-29T01:30Z", "2026-03-29T05:30Z"},

		"a week that has begun":                   {window(today, weekly(1, "Friday")), "2026-11-21T00:00Z", "2026-11-27T22:00Z", "2026-11-28T02:00Z"},
		"on the very day":                         {window(today, weekly(1, "Saturday")), "2026-11-21T00:00Z", "2026-11-21T22:00Z", "2026-11-22T02:00Z"},
		"every second week":                       {window(today, weekly(2, "Saturday")), "2026-11-22T03:00Z", "2026-12-05T22:00Z", "2026-12-06T02:00Z"},
		"every fourth week over the year":         {window("2026-12-20", weekly(4, "Sunday")), "2026-12-21T03:00Z", "2027-01-17T22:00Z", "2027-01-18T02:00Z"},
		"a weekday is that of the offset's place": {window(today, weekly(1, "Sunday"), offset("+10:00", "05:00")), "2026-11-21T00:00Z", "2026-11-21T19:00Z", "2026-11-21T23:00Z"},

		"a date of the month":                     {window(today, onDate(1, 25)), "2026-11-21T00:00Z", "2026-11-25T22:00Z", "2026-11-26T02:00Z"},
		"a date that was begins next month":       {window(today, onDate(1, 20)), "2026-11-21T00:00Z", "2026-12-20T22:00Z", "2026-12-21T02:00Z"},
		"the interval counts from the first":      {window(today, onDate(3, 20)), "2026-12-22T00:00Z", "2027-03-20T22:00Z", "2027-03-21T02:00Z"},
		"the 31st of a short month is its last":   {window(today, onDate(1, 31)), "2026-11-21T00:00Z", "2026-11-30T22:00Z", "2026-12-01T02:00Z"},
		"the 31st in February":                    {window(today, onDate(1, 31)), "2027-02-10T00:00Z", "2027-02-28T22:00Z", "2027-03-01T02:00Z"},
		"the 30th in a leap year's February":      {window(today, onDate(1, 30)), "2028-02-10T00:00Z", "2028-02-29T22:00Z", "2028-03-01T02:00Z"},
		"and the 31st comes back after":           {window("2027-01-31", onDate(1, 31)), "2027-03-05T00:00Z", "2027-03-31T22:00Z", "2027-04-01T02:00Z"},
		"across the end of a month":               {window(today, onDate(1, 31)), "2026-12-01T01:00Z", "2026-11-30T22:00Z", "2026-12-01T02:00Z"},
		"every sixth month":                       {window("2026-08-31", onDate(6, 31)), "2026-09-01T03:00Z", "2027-02-28T22:00Z", "2027-03-01T02:00Z"},
		"the first of a weekday":                  {window(today, onWeek(1, "First", "Tuesday")), "2026-11-21T00:00Z", "2026-12-01T22:00Z", "2026-12-02T02:00Z"},
		"the fourth of a weekday":                 {window(today, onWeek(1, "Fourth", "Wednesday")), "2026-11-21T00:00Z", "2026-11-25T22:00Z", "2026-11-26T02:00Z"},
		"the last where there are four":           {window(today, onWeek(1, "Last", "Saturday")), "2026-11-22T03:00Z", "2026-11-28T22:00Z", "2026-11-29T02:00Z"},
		"the last where there are five":           {window(today, onWeek(1, "Last", "Monday")), "2026-11-21T00:00Z", "2026-11-30T22:00Z", "2026-12-01T02:00Z"},
		"the third of every second month":         {window("2026-11-01", onWeek(2, "Third", "Saturday")), "2026-11-22T03:00Z", "2027-01-16T22:00Z", "2027-01-17T02:00Z"},
		"days that are not allowed are left out":  {window(today, daily(1), offset("+00:00", "10:00"), not("2026-11-21", "2026-11-23")), "2026-11-21T00:00Z", "2026-11-24T10:00Z", "2026-11-24T14:00Z"},
		"what reaches into one is cut":            {window(today, daily(1), not("2026-11-22", "2026-11-22")), "2026-11-21T23:00Z", "2026-11-21T22:00Z", "2026-11-22T00:00Z"},
		"what reaches out of one begins after it": {window(today, daily(1), not("2026-11-21", "2026-11-21")), "2026-11-21T22:30Z", "2026-11-22T00:00Z", "2026-11-22T02:00Z"},
		"not allowed at the offset's place":       {window("2022-12-20", daily(1), offset("+02:00", "20:00"), not("2022-12-23", "2023-01-03")), "2022-12-22T21:00Z", "2022-12-22T18:00Z", "2022-12-22T22:00Z"},
		"and allowed after it":                    {window("2022-12-20", daily(1), offset("+02:00", "20:00"), not("2022-12-23", "2023-01-03")), "2022-12-22T22:00Z", "2023-01-04T18:00Z", "2023-01-04T22:00Z"},
		"spans that overlap, in any order":        {window(today, daily(1), not("2026-11-23", "2026-11-24"), not("2026-11-20", "2026-11-23")), "2026-11-21T00:00Z", "2026-11-25T00:00Z", "2026-11-25T02:00Z"},

		"hours that follow each other are one":   {hoursOf(early(1, 2)), "2026-11-21T00:00Z", "2026-11-23T01:00Z", "2026-11-23T03:00Z"},
		"over midnight and the week's end":       {hoursOf(early(0, 1), late), "2026-11-23T01:59Z", "2026-11-22T22:00Z", "2026-11-23T02:00Z"},
		"at the end of the hours":                {hoursOf(early(1, 2)), "2026-11-23T03:00Z", "2026-11-30T01:00Z", "2026-11-30T03:00Z"},
		"hours in two parts":                     {hoursOf(early(1, 5)), "2026-11-23T02:00Z", "2026-11-23T05:00Z", "2026-11-23T06:00Z"},
		"no hours allow every day":               {v1alpha1.MaintenanceConfigurationSpec{}, "2026-11-21T13:00Z", "2026-11-21T00:00Z", "2026-11-22T00:00Z"},
		"a day twice counts once":                {hoursOf(early(1), early(1, 2)), "2026-11-21T00:00Z", "2026-11-23T01:00Z", "2026-11-23T03:00Z"},
		"now, and seconds do not matter":         {window(today, daily(1), offset("+00:00", "00:00")), "2026-11-21T00:00+00:00", "2026-11-21T00:00Z", "2026-11-21T04:00Z"},
		"a moment at another place is a moment":  {window(today, daily(1)), "2026-11-22T06:59+05:00", "2026-11-21T22:00Z", "2026-11-22T02:00Z"},
		"the next of a rare window is found too": {window(today, onDate(6, 29), not("2027-01-01", "2027-12-31")), "2026-12-01T00:00Z", "2028-05-29T22:00Z", "2028-05-30T02:00Z"},
	} {
		t.Run(name, func(t *testing.T) {
			schedule, err := New(c.spec)
			if err != nil {
				t.Fatal(err)
			}
			now := at(t, c.now)
			got, found := schedule.Next(now)
			if !found || !got.Start.Equal(at(t, c.start)) || !got.End.Equal(at(t, c.end)) {
				t.Errorf("at %s: %s to %s (found: %t), want %s to %s", c.now, got.Start.UTC(), got.End.UTC(), found, c.start, c.end)
			}
			if inside := !now.Before(at(t, c.start)); got.Contains(now) != inside {
				t.Errorf("contains now: %t", got.Contains(now))
			}
		})
	}
}

func TestTimesThatAreNotAllowedAreTakenOffTheHours(t *testing.T) {
	spec := hoursOf(v1alpha1.TimeInWeek{Day: "Monday", HourSlots: []int32{1, 2, 3}})
	span := func(start, end string) v1alpha1.TimeSpan {
		return v1alpha1.TimeSpan{Start: metav1.NewTime(at(t, start)), End: metav1.NewTime(at(t, end))}
	}
	spec.NotAllowedTime = []v1alpha1.TimeSpan{span("2026-11-23T03:30Z", "2026-11-24T00:00Z"), span("2026-11-23T01:30Z", "2026-11-23T02:15Z")}
	schedule, err := New(spec)
	if err != nil {
		t.Fatal(err)
	}
	for now, want := range map[string][2]string{
		"2026-11-21T00:00Z": {"2026-11-23T01:00Z", "2026-11-23T01:30Z"},
		"2026-11-23T01:30Z": {"2026-11-23T02:15Z", "2026-11-23T03:30Z"},
		"2026-11-23T03:30Z": {"2026-11-30T01:00Z", "2026-11-30T04:00Z"},
	} {
		if got, _ := schedule.Next(at(t, now)); !got.Start.Equal(at(t, want[0])) || !got.End.Equal(at(t, want[1])) {
			t.Errorf("at %s: %s to %s, want %s", now, got.Start, got.End, want)
		}
	}
}

func TestAWindowThatNeverComesIsNotFound(t *testing.T) {
	schedule, err := New(window("2026-11-21", daily(1), not("2020-01-01", "2099-12-31")))
	if err != nil {
		t.Fatal(err)
	}
	if got, found := schedule.Next(at(t, "2026-11-21T00:00Z")); found {
		t.Errorf("found %v", got)
	}
}

func TestWithoutAConfigurationEveryMomentIsInAWindow(t *testing.T) {
	now := at(t, "2026-11-21T13:07Z")
	if got, found := Always().Next(now); !found || !got.Contains(now) || got.End.Sub(got.Start) != day {
		t.Errorf("%v, %t", got, found)
	}
}

func TestWhatAnOperatorWroteWrongByHandIsAnError(t *testing.T) {
	for name, change := range map[string]func(*v1alpha1.MaintenanceWindow){
		"an offset beyond the earth": offset("+15:00", "22:00"),
		"an offset of 60 minutes":    offset("+01:60", "22:00"),
		"no sign":                    offset("01:00", "22:00"),
		"no such hour":               offset("+01:00", "24:00"),
		"an hour of one digit":       offset("+01:00", "9:00"),
		"no such day":                func(w *v1alpha1.MaintenanceWindow) { w.StartDate = "2026-02-30" },
		"no such days":               not("2026-02-28", "2026-02-30"),
		"no schedule":                func(w *v1alpha1.MaintenanceWindow) { w.Schedule = v1alpha1.MaintenanceSchedule{} },
		"no interval":                func(w *v1alpha1.MaintenanceWindow) { w.Schedule = daily(0) },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := New(window("2026-11-21", daily(1), change)); err == nil {
				t.Error("accepted")
			}
		})
	}
}
