package maintenanceconfiguration

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/session"
)

// writeFlags are az's flags of add and update.
type writeFlags struct {
	target
	configFile string
	weekday    string
	startHour  int32

	scheduleType                             string
	intervalDays, intervalWeeks, intervalMon int32
	dayOfWeek, weekIndex                     string
	dayOfMonth                               int32
	startDate, startTime, utcOffset          string
	duration                                 int32
}

func newAdd(s *session.Session) *cobra.Command {
	var flags writeFlags
	return flags.bindWrite(s, &cobra.Command{
		Use:   "add",
		Short: "Add a maintenance configuration to a managed cluster, or replace it",
		Args:  cobra.NoArgs,
		Example: `  berth aks maintenanceconfiguration add --resource-group demo --cluster-name demo --name default --weekday Monday --start-hour 1
  berth aks maintenanceconfiguration add -g demo --cluster-name demo -n aksManagedAutoUpgradeSchedule --schedule-type Daily --interval-days 2 --start-time 00:30 --duration 4
  berth aks maintenanceconfiguration add -g demo --cluster-name demo -n aksManagedAutoUpgradeSchedule --schedule-type RelativeMonthly --interval-months 1 --week-index Last --day-of-week Sunday --start-time 02:00 --duration 8 --utc-offset -05:00
  berth aks maintenanceconfiguration add -g demo --cluster-name demo -n default --config-file windows.json`,
		RunE: func(command *cobra.Command, _ []string) error { return write(command, s, flags, false) },
	})
}

func newUpdate(s *session.Session) *cobra.Command {
	var flags writeFlags
	return flags.bindWrite(s, &cobra.Command{
		Use:   "update",
		Short: "Replace a maintenance configuration of a managed cluster",
		Args:  cobra.NoArgs,
		Example: `  berth aks maintenanceconfiguration update --resource-group demo --cluster-name demo --name default --weekday Sunday --start-hour 3
  berth aks maintenanceconfiguration update -g demo --cluster-name demo -n aksManagedAutoUpgradeSchedule --schedule-type AbsoluteMonthly --interval-months 1 --day-of-month 15 --start-time 20:00 --duration 6`,
		RunE: func(command *cobra.Command, _ []string) error { return write(command, s, flags, true) },
	})
}

func (f *writeFlags) bindWrite(s *session.Session, command *cobra.Command) *cobra.Command {
	f.bind(s, command)
	days := []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}
	own := command.Flags()
	own.StringVar(&f.configFile, "config-file", "", "file with the configuration as JSON, in place of the other flags")
	argument.Choice(command, &f.weekday, "weekday", "day of the week with --start-hour, for the configuration default", days...)
	own.Int32Var(&f.startHour, "start-hour", 0, "hour of the day in UTC, 0 to 23, in which maintenance may begin")
	argument.Choice(command, &f.scheduleType, "schedule-type", "how the maintenance window comes back", "Daily", "Weekly", "AbsoluteMonthly", "RelativeMonthly")
	own.Int32Var(&f.intervalDays, "interval-days", 0, "days from one window to the next, of a Daily schedule")
	own.Int32Var(&f.intervalWeeks, "interval-weeks", 0, "weeks from one window to the next, of a Weekly schedule")
	own.Int32Var(&f.intervalMon, "interval-months", 0, "months from one window to the next, of a monthly schedule")
	argument.Choice(command, &f.dayOfWeek, "day-of-week", "day of the week, of a Weekly or RelativeMonthly schedule", days...)
	own.Int32Var(&f.dayOfMonth, "day-of-month", 0, "day of the month, of an AbsoluteMonthly schedule")
	argument.Choice(command, &f.weekIndex, "week-index", "which such day of the month, of a RelativeMonthly schedule", "First", "Second", "Third", "Fourth", "Last")
	own.Int32Var(&f.duration, "duration", 0, "hours that the window lasts, 4 to 24")
	own.StringVar(&f.utcOffset, "utc-offset", "", "offset from UTC of the times given here, such as +05:30 or -07:00")
	own.StringVar(&f.startDate, "start-date", "", "first day on which there may be a window, such as 2026-12-24; today if left out")
	own.StringVar(&f.startTime, "start-time", "", "when the window begins, such as 22:00")
	for _, other := range []string{"weekday", "schedule-type"} {
		command.MarkFlagsMutuallyExclusive("config-file", other)
	}
	command.MarkFlagsMutuallyExclusive("weekday", "schedule-type")
	command.MarkFlagsOneRequired("config-file", "weekday", "schedule-type")
	command.MarkFlagsRequiredTogether("weekday", "start-hour")
	return command
}

// write sends the configuration that the flags describe.
func write(command *cobra.Command, s *session.Session, flags writeFlags, mustExist bool) error {
	configuration, err := flags.read(command.Flags().Changed)
	if err != nil {
		return err
	}
	return send(command.Context(), s, flags.target, configuration, mustExist)
}

func send(ctx context.Context, s *session.Session, t target, configuration armcontainerservice.MaintenanceConfiguration, mustExist bool) error {
	client, err := s.MaintenanceConfigurations()
	if err != nil {
		return err
	}
	if mustExist {
		if _, err := client.Get(ctx, t.group, t.cluster, t.name, nil); err != nil {
			return err
		}
	}
	written, err := client.CreateOrUpdate(ctx, t.group, t.cluster, t.name, configuration, nil)
	if err != nil {
		return err
	}
	return s.PrintResource(written.MaintenanceConfiguration, columns())
}

// read makes the configuration. What was not given is not sent, so that the
// service says what is missing.
func (f writeFlags) read(given func(string) bool) (armcontainerservice.MaintenanceConfiguration, error) {
	switch {
	case f.configFile != "":
		return readFile(f.configFile)
	case f.weekday != "":
		day := armcontainerservice.WeekDay(f.weekday)
		return armcontainerservice.MaintenanceConfiguration{Properties: &armcontainerservice.MaintenanceConfigurationProperties{
			TimeInWeek: []*armcontainerservice.TimeInWeek{{Day: &day, HourSlots: []*int32{&f.startHour}}},
		}}, nil
	}
	number := func(flag string, value *int32) *int32 {
		if !given(flag) {
			return nil
		}
		return value
	}
	text := func(value *string) *string {
		if *value == "" {
			return nil
		}
		return value
	}
	window := &armcontainerservice.MaintenanceWindow{
		DurationHours: number("duration", &f.duration), StartTime: text(&f.startTime), UTCOffset: text(&f.utcOffset), Schedule: f.schedule(number),
	}
	if f.startDate != "" {
		date, err := time.Parse(time.DateOnly, f.startDate)
		if err != nil {
			return armcontainerservice.MaintenanceConfiguration{}, failure.Usage("--start-date %q is not a day such as 2026-12-24", f.startDate)
		}
		window.StartDate = &date
	}
	return armcontainerservice.MaintenanceConfiguration{Properties: &armcontainerservice.MaintenanceConfigurationProperties{MaintenanceWindow: window}}, nil
}

func (f writeFlags) schedule(number func(string, *int32) *int32) *armcontainerservice.Schedule {
	day, week := armcontainerservice.WeekDay(f.dayOfWeek), armcontainerservice.Type(f.weekIndex)
	var weekday *armcontainerservice.WeekDay
	if f.dayOfWeek != "" {
		weekday = &day
	}
	switch f.scheduleType {
	case "Daily":
		return &armcontainerservice.Schedule{Daily: &armcontainerservice.DailySchedule{IntervalDays: number("interval-days", &f.intervalDays)}}
	case "Weekly":
		return &armcontainerservice.Schedule{Weekly: &armcontainerservice.WeeklySchedule{IntervalWeeks: number("interval-weeks", &f.intervalWeeks), DayOfWeek: weekday}}
	case "AbsoluteMonthly":
		return &armcontainerservice.Schedule{AbsoluteMonthly: &armcontainerservice.AbsoluteMonthlySchedule{
			IntervalMonths: number("interval-months", &f.intervalMon), DayOfMonth: number("day-of-month", &f.dayOfMonth),
		}}
	}
	relative := &armcontainerservice.RelativeMonthlySchedule{IntervalMonths: number("interval-months", &f.intervalMon), DayOfWeek: weekday}
	if f.weekIndex != "" {
		relative.WeekIndex = &week
	}
	return &armcontainerservice.Schedule{RelativeMonthly: relative}
}

// readFile reads a configuration: its properties alone, as az has it, or below
// "properties", as the API has it. What the API does not have is refused here,
// because the library would leave it out.
func readFile(path string) (configuration armcontainerservice.MaintenanceConfiguration, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return configuration, failure.Usage("reading --config-file: %v", err)
	}
	var tree map[string]any
	if err := json.Unmarshal(content, &tree); err != nil {
		return configuration, failure.Usage("--config-file %s is not a JSON object: %v", path, err)
	}
	if _, whole := tree["properties"]; !whole {
		tree = map[string]any{"properties": tree}
	}
	whole, err := json.Marshal(tree)
	if err != nil {
		return configuration, err
	}
	if err := json.Unmarshal(whole, &configuration); err != nil {
		return configuration, failure.Usage("--config-file %s is no maintenance configuration: %v", path, err)
	}
	sent, err := json.Marshal(configuration)
	if err != nil {
		return configuration, err
	}
	var known map[string]any
	if err := json.Unmarshal(sent, &known); err != nil {
		return configuration, err
	}
	if lost := missing(tree, known, ""); lost != "" {
		return configuration, failure.Usage("--config-file %s has %q, which is no property of a maintenance configuration", path, lost[1:])
	}
	return configuration, nil
}

// missing is the path of something that one tree has and another has not, empty without.
func missing(tree, known any, path string) string {
	switch t := tree.(type) {
	case map[string]any:
		k, _ := known.(map[string]any)
		for name, value := range t {
			if _, there := k[name]; !there && value != nil {
				return path + "." + name
			}
			if lost := missing(value, k[name], path+"."+name); lost != "" {
				return lost
			}
		}
	case []any:
		k, _ := known.([]any)
		for i, value := range t {
			if i < len(k) {
				if lost := missing(value, k[i], fmt.Sprintf("%s[%d]", path, i)); lost != "" {
					return lost
				}
			}
		}
	}
	return ""
}
