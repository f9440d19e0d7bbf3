package schedule_test

import (
	"strings"
	"testing"
	"time"

	"berth.dev/berth/internal/schedule"
)

func parse(t *testing.T, expression, name string) schedule.Schedule {
	t.Helper()
	zone, err := schedule.Zone(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := schedule.Parse(expression, zone)
	if err != nil {
		t.Fatalf("%s: %v", expression, err)
	}
	return s
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	moment, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return moment
}

func TestWhatIsDueFollowsTheClockOnTheWall(t *testing.T) {
	for name, c := range map[string]struct {
		expression, zone, after string
		want                    []string
	}{
		"weekdays":                          {"0 20 * * 1-5", "Europe/Berlin", "2026-11-20T19:00:00Z", []string{"2026-11-23T19:00:00Z", "2026-11-24T19:00:00Z"}},
		"names":                             {"30 7 * * MON", "", "2026-11-21T00:00:00Z", []string{"2026-11-23T07:30:00Z"}},
		"a descriptor":                      {"@daily", "Asia/Kathmandu", "2026-11-21T00:00:00Z", []string{"2026-11-21T18:15:00Z"}},
		"the leap day":                      {"0 0 29 2 *", "", "2026-11-21T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"}},
		"over the change to summer":         {"0 20 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-28T19:00:00Z", "2026-03-29T18:00:00Z"}},
		"in the hour that is left out":      {"30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"}},
		"hourly over the hour left out":     {"0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", []string{"2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"}},
		"in the hour that comes twice":      {"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"}},
		"asked between the two hours":       {"30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", []string{"2026-10-26T01:30:00Z"}},
		"a change of half an hour":          {"15 2 * * *", "Australia/Lord_Howe", "2026-10-03T12:00:00Z", []string{"2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"}},
		"a day that a country left out":     {"0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", []string{"2011-12-30T10:00:00Z", "2012-12-29T22:00:00Z"}},
		"the southern change":               {"30 2 * * *", "America/Santiago", "2026-04-04T12:00:00Z", []string{"2026-04-05T06:30:00Z"}},
		"midnight that is left out":         {"0 0 * * *", "America/Santiago", "2026-09-05T12:00:00Z", []string{"2026-09-06T04:00:00Z", "2026-09-07T03:00:00Z"}},
		"both day fields: either of them":   {"0 0 13 * 5", "", "2026-11-12T23:00:00Z", []string{"2026-11-13T00:00:00Z", "2026-11-20T00:00:00Z"}},
		"exactly at the time: the one next": {"0 20 * * *", "", "2026-11-21T20:00:00Z", []string{"2026-11-22T20:00:00Z"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, next := parse(t, c.expression, c.zone), at(t, c.after)
			for _, want := range c.want {
				if next = s.Next(next); !next.Equal(at(t, want)) {
					t.Fatalf("due at %s, want %s", next.UTC().Format(time.RFC3339), want)
				}
			}
		})
	}
}

func TestTheLatestDueTimeIsFoundOverAnyPause(t *testing.T) {
	for name, c := range map[string]struct {
		expression, after, until, want string
	}{
		"none yet":              {"0 20 * * *", "2026-11-20T20:00:00Z", "2026-11-21T19:59:59Z", ""},
		"just now":              {"0 20 * * *", "2026-11-20T20:00:00Z", "2026-11-21T20:00:00Z", "2026-11-21T20:00:00Z"},
		"the last of many":      {"0 20 * * *", "2026-01-01T00:00:00Z", "2026-11-21T08:00:00Z", "2026-11-20T20:00:00Z"},
		"every minute, a year":  {"* * * * *", "2025-11-21T00:00:00Z", "2026-11-21T08:00:30Z", "2026-11-21T08:00:00Z"},
		"once in years":         {"0 0 29 2 *", "2020-03-01T00:00:00Z", "2027-11-21T08:00:00Z", "2024-02-29T00:00:00Z"},
		"a clock that ran back": {"0 20 * * *", "2026-11-21T20:00:00Z", "2026-11-20T08:00:00Z", ""},
	} {
		t.Run(name, func(t *testing.T) {
			last, found := parse(t, c.expression, "").Last(at(t, c.after), at(t, c.until))
			if found != (c.want != "") || found && !last.Equal(at(t, c.want)) {
				t.Errorf("found %t at %s, want %q", found, last.Format(time.RFC3339), c.want)
			}
		})
	}
}

func TestNextAndLastAgreeAtEveryChangeOfTheClocks(t *testing.T) {
	for _, zone := range []string{"Europe/Berlin", "America/Santiago", "Australia/Lord_Howe", "Africa/Casablanca"} {
		s := parse(t, "*/20 * * * *", zone)
		for moment := at(t, "2026-01-01T00:00:00Z"); moment.Year() == 2026; {
			next := s.Next(moment)
			if !next.After(moment) || next.Sub(moment) > 2*time.Hour {
				t.Fatalf("%s: due at %s after %s", zone, next, moment)
			}
			if last, found := s.Last(moment, next); !found || !last.Equal(next) {
				t.Fatalf("%s: the latest due until %s is %s", zone, next, last)
			}
			moment = next
		}
	}
}

func TestImpossibleSchedulesAndZonesAreRefused(t *testing.T) {
	for _, expression := range []string{
		"", " ", "0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6 *", "0 0 * *", "0 0 * * * *", "60 * * * *", "0 24 * * *", "0 0 0 * *",
		"@every 1h", "TZ=", "CRON_TZ=UTC 0 0 * * *", "TZ=0", "x", "0 0 * * 8", "5-1 * * * *", strings.Repeat("0,", 60) + "0 0 * * *",
	} {
		if _, err := schedule.Parse(expression, time.UTC); err == nil {
			t.Errorf("%q is taken", expression)
		}
	}
	for _, name := range []string{"Local", "local", "Mars/Olympus", "../../etc/passwd", "/etc/localtime", strings.Repeat("x", 200)} {
		if _, err := schedule.Zone(name); err == nil {
			t.Errorf("the zone %q is taken", name)
		}
	}
}

func FuzzParseNeverPanics(f *testing.F) {
	for _, seed := range []string{"0 0 * * *", "TZ=", "@daily", "*/0 * * * *", "0 0 31 2 *", "1-2-3 * * * *"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		s, err := schedule.Parse(expression, time.UTC)
		if err != nil {
			return
		}
		now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
		if next := s.Next(now); !next.After(now) {
			t.Errorf("%q is next due at %s", expression, next)
		}
	})
}
