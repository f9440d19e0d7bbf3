package property

import "berth.dev/berth/internal/arm"

// maxSpans is the most entries of a maintenance configuration's lists, those of
// hours excepted: enough for years of holidays.
const maxSpans = 200

// Maintenance is every property of a maintenance configuration.
func Maintenance() []arm.Property {
	const (
		p       = "properties."
		w       = p + "maintenanceWindow."
		s       = w + "schedule."
		moment  = `^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$`
		moments = "a moment such as 2026-12-24T00:00:00Z"
		date    = `^\d{4}-\d\d-\d\d$`
		dates   = "a day such as 2026-12-24"
	)
	weekday := func(path string) arm.Property {
		return acts(path, arm.String).OneOf("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
	}
	return []arm.Property{
		readOnly("id"), readOnly("name"), readOnly("type"), readOnly("systemData"),
		acts("properties", arm.Object),
		acts(p+"timeInWeek", arm.Array).AtMost(maxSpans), acts(p+"timeInWeek[]", arm.Object), weekday(p + "timeInWeek[].day"),
		acts(p+"timeInWeek[].hourSlots", arm.Array).AtMost(24), acts(p+"timeInWeek[].hourSlots[]", arm.Integer).Between(0, 23),
		acts(p+"notAllowedTime", arm.Array).AtMost(maxSpans), acts(p+"notAllowedTime[]", arm.Object),
		acts(p+"notAllowedTime[].start", arm.String).Like(moment, moments), acts(p+"notAllowedTime[].end", arm.String).Like(moment, moments),
		acts(p+"maintenanceWindow", arm.Object), acts(w+"schedule", arm.Object),
		acts(s+"daily", arm.Object), acts(s+"daily.intervalDays", arm.Integer).Between(1, 7),
		acts(s+"weekly", arm.Object), acts(s+"weekly.intervalWeeks", arm.Integer).Between(1, 4), weekday(s + "weekly.dayOfWeek"),
		acts(s+"absoluteMonthly", arm.Object), acts(s+"absoluteMonthly.intervalMonths", arm.Integer).Between(1, 6),
		acts(s+"absoluteMonthly.dayOfMonth", arm.Integer).Between(1, 31),
		acts(s+"relativeMonthly", arm.Object), acts(s+"relativeMonthly.intervalMonths", arm.Integer).Between(1, 6),
		acts(s+"relativeMonthly.weekIndex", arm.String).OneOf("First", "Second", "Third", "Fourth", "Last"), weekday(s + "relativeMonthly.dayOfWeek"),
		acts(w+"durationHours", arm.Integer).Between(4, 24),
		acts(w+"utcOffset", arm.String).Like(`^[-+]\d\d:\d\d$`, "an offset from UTC such as +05:30"),
		acts(w+"startDate", arm.String).Like(date, dates),
		acts(w+"startTime", arm.String).Like(`^\d\d:\d\d$`, "a time of the day such as 22:00"),
		acts(w+"notAllowedDates", arm.Array).AtMost(maxSpans), acts(w+"notAllowedDates[]", arm.Object),
		acts(w+"notAllowedDates[].start", arm.String).Like(date, dates), acts(w+"notAllowedDates[].end", arm.String).Like(date, dates),
	}
}
