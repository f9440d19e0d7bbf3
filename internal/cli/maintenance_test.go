package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// maintained is a real front end with a cluster, and commands on its configurations.
func maintained(t *testing.T) (d *double, of func(command string, more ...string) []string) {
	t.Helper()
	d = newService(t)
	d.must("group", "create", "-n", "rg")
	d.must("aks", "create", "-g", "rg", "-n", "demo")
	return d, func(command string, more ...string) []string {
		return append([]string{"aks", "maintenanceconfiguration", command, "-g", "rg", "--cluster-name", "demo"}, more...)
	}
}

func TestAMaintenanceConfigurationsLifeFromTheCommandLine(t *testing.T) {
	d, of := maintained(t)
	const auto = "aksManagedAutoUpgradeSchedule"
	for _, c := range []struct {
		want      string
		arguments []string
	}{
		{`"hourSlots": [`, of("add", "-n", "default", "--weekday", "Monday", "--start-hour", "0")},
		{`"day": "Tuesday"`, of("update", "-n", "default", "--weekday", "tuesday", "--start-hour", "3")},
		{`"intervalDays": 2`, of("add", "-n", auto, "--schedule-type", "Daily", "--interval-days", "2", "--start-time", "00:30", "--duration", "4")},
		{`"dayOfWeek": "Friday"`, of("update", "-n", auto, "--schedule-type", "Weekly", "--interval-weeks", "1", "--day-of-week", "Friday", "--start-time", "22:00", "--duration", "8", "--utc-offset", "+01:00", "--start-date", "2026-12-04")},
		{`"dayOfMonth": 15`, of("update", "-n", auto, "--schedule-type", "AbsoluteMonthly", "--interval-months", "1", "--day-of-month", "15", "--start-time", "20:00")},
		{`"weekIndex": "Last"`, of("update", "-n", auto, "--schedule-type", "RelativeMonthly", "--interval-months", "3", "--week-index", "Last", "--day-of-week", "Sunday", "--start-time", "02:00", "--utc-offset", "-05:00")},
		{"2026-12-04", of("show", "-n", auto)},
		{"-05:00", of("list", "-o", "table")},
	} {
		if out := d.must(c.arguments...); !strings.Contains(out, c.want) {
			t.Errorf("%v printed %s; want %s", c.arguments, out, c.want)
		}
	}
	d.must(of("delete", "-n", auto)...)
	if got := d.must(of("list", "--query", "[].name", "-o", "tsv")...); got != "default\n" {
		t.Errorf("left are %q", got)
	}
	for _, command := range [][]string{of("show", "-n", auto), of("update", "-n", auto, "--schedule-type", "Daily", "--interval-days", "1", "--start-time", "01:00")} {
		if _, errs, code := d.run(command...); code != 3 || !strings.Contains(errs, "ResourceNotFound") {
			t.Errorf("%v: exit code %d: %s", command, code, errs)
		}
	}
}

func TestAConfigurationIsReadFromAFileInBothForms(t *testing.T) {
	d, of := maintained(t)
	file := filepath.Join(t.TempDir(), "windows.json")
	const parts = `"timeInWeek":[{"day":"Monday","hourSlots":[1,2]}],"notAllowedTime":[{"start":"2026-12-24T00:00:00Z","end":"2027-01-02T00:00:00Z"}]`
	for content, want := range map[string]string{
		`{` + parts + `}`:                  "",
		`{"properties":{` + parts + `}}`:   "",
		`{"timeInWeek":[{"hour_slots":1}]`: "not a JSON object",
		`{"timeInWeek":[{"day":"Monday","hourSlots":[1]},{"day":"Monday","hour_slots":[1]}]}`: "properties.timeInWeek[1].hour_slots",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		out, errs, code := d.run(of("add", "-n", "default", "--config-file", file)...)
		switch {
		case want == "" && (code != 0 || !strings.Contains(out, "2026-12-24")):
			t.Errorf("%s: exit code %d: %s", content, code, errs)
		case want != "" && (code != 2 || !strings.Contains(errs, want)):
			t.Errorf("%s: exit code %d: %s; want %s", content, code, errs, want)
		}
	}
}

func TestWhatIsMissingOfAWindowTheServiceSays(t *testing.T) {
	d, of := maintained(t)
	_, errs, code := d.run(of("add", "-n", "aksManagedAutoUpgradeSchedule", "--schedule-type", "Weekly", "--duration", "3")...)
	for _, target := range []string{"durationHours", "startTime", "schedule.weekly.intervalWeeks", "schedule.weekly.dayOfWeek"} {
		if code != 1 || !strings.Contains(errs, "properties.maintenanceWindow."+target) {
			t.Errorf("exit code %d, nothing of %s: %s", code, target, errs)
		}
	}
	for _, wrong := range [][]string{
		of("add", "-n", "default"), of("add", "-n", "default", "--weekday", "Monday"),
		of("add", "-n", "default", "--weekday", "Monday", "--start-hour", "1", "--schedule-type", "Daily"),
	} {
		if _, errs, code := d.run(wrong...); code != 2 {
			t.Errorf("%v: exit code %d: %s", wrong, code, errs)
		}
	}
}

func TestTheUpgradeChannelIsChangedFromTheCommandLine(t *testing.T) {
	d, _ := maintained(t)
	if got := d.must("aks", "update", "-g", "rg", "-n", "demo", "--auto-upgrade-channel", "stable", "--query", "autoUpgradeProfile.upgradeChannel", "-o", "tsv"); got != "stable\n" {
		t.Errorf("printed %q", got)
	}
	both := "[autoUpgradeProfile.upgradeChannel,autoUpgradeProfile.nodeOSUpgradeChannel]"
	if got := d.must("aks", "update", "-g", "rg", "-n", "demo", "--node-os-upgrade-channel", "NodeImage", "--query", both, "-o", "tsv"); strings.Join(strings.Fields(got), " ") != "stable NodeImage" {
		t.Errorf("the channels are %q", got)
	}
	if _, errs, code := d.run("aks", "update", "-g", "rg", "-n", "demo", "--node-os-upgrade-channel", "SecurityPatch"); code != 2 || !strings.Contains(errs, "NodeImage") {
		t.Errorf("exit code %d: %s", code, errs)
	}
	if _, errs, code := d.run("aks", "update", "-g", "rg", "-n", "demo", "--auto-upgrade-channel", "weekly"); code != 2 || !strings.Contains(errs, "rapid") {
		t.Errorf("exit code %d: %s", code, errs)
	}
}

func TestUpgradesAreForcedAndHeldUpAgainFromTheCommandLine(t *testing.T) {
	d, _ := maintained(t)
	override := func(flags ...string) string {
		update := append([]string{"aks", "update", "-g", "rg", "-n", "demo", "--query", "upgradeSettings.overrideSettings.[forceUpgrade, until]", "-o", "tsv"}, flags...)
		return strings.Join(strings.Fields(d.must(update...)), " ")
	}
	if got := override("--enable-force-upgrade", "--upgrade-override-until", "2047-01-31T13:00:00+01:00"); got != "true 2047-01-31T12:00:00Z" {
		t.Errorf("the override is %q", got)
	}
	if got := override("--auto-upgrade-channel", "stable"); got != "true 2047-01-31T12:00:00Z" {
		t.Errorf("another update left the override %q", got)
	}
	if got := override("--disable-force-upgrade"); strings.Contains(got, "true") || strings.Contains(got, "2047") {
		t.Errorf("the override that was taken back is %q", got)
	}
	before := time.Now()
	_, until, _ := strings.Cut(override("--enable-force-upgrade"), " ")
	if end, err := time.Parse(time.RFC3339, until); err != nil || end.Before(before.Add(71*time.Hour)) || end.After(time.Now().Add(73*time.Hour)) {
		t.Errorf("without a time the override ends at %q (%v)", until, err)
	}
	for _, wrong := range [][]string{
		{"--enable-force-upgrade", "--upgrade-override-until", "tomorrow"}, {"--upgrade-override-until", "2047-01-31T12:00:00Z"},
		{"--enable-force-upgrade", "--disable-force-upgrade"},
	} {
		if _, errs, code := d.run(append([]string{"aks", "update", "-g", "rg", "-n", "demo"}, wrong...)...); code != 2 {
			t.Errorf("%v: exit code %d: %s", wrong, code, errs)
		}
	}
}
