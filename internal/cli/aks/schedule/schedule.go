// Package schedule owns "berth aks schedule": when managed clusters stop and
// start by themselves.
package schedule

import (
	"context"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/clusterresource"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth aks schedule".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "schedule",
		Short: "Stop and start managed clusters at set times",
		Long: `Stop and start managed clusters at set times. Times are five fields of cron (minute, hour,
day of the month, month, day of the week) on the clocks of a time zone. A time that came
while the service was down is made up for, the latest one alone; one that comes while an
operation runs on the cluster waits for its end, and "berth aks schedule show" says so.`,
		Example: `  berth aks schedule add --resource-group demo --cluster-name demo --name office --stop "0 20 * * 1-5" --start "0 7 * * 1-5" --time-zone Europe/Berlin
  berth aks schedule list -g demo --cluster-name demo --output table`,
	}
	command.AddCommand(newAdd(s), kind().Delete(s, deleteText()), kind().List(s, listText()), kind().Show(s, showText()))
	return command
}

// kind is the schedules that the commands work on.
func kind() clusterresource.Kind {
	return clusterresource.Kind{
		Collection: "powerSchedules", Noun: "schedule", Name: argument.ScheduleName,
		Columns: output.Columns{Columns: []output.Column{
			{Header: "Name", Path: "name"},
			{Header: "Stop", Path: "properties.stop"},
			{Header: "Start", Path: "properties.start"},
			{Header: "TimeZone", Path: "properties.timeZone"},
			{Header: "State", Path: "properties.state"},
			{Header: "NextStop", Path: "properties.nextStop"},
			{Header: "NextStart", Path: "properties.nextStart"},
		}},
	}
}

type addFlags struct {
	clusterresource.Target
	stop, start, zone string
	disabled          bool
}

func newAdd(s *session.Session) *cobra.Command {
	var flags addFlags
	command := kind().Bind(s, &cobra.Command{
		Use:   "add",
		Short: "Add a schedule to a managed cluster, or replace the one of that name",
		Long: `Add a schedule to a managed cluster, or replace the one of that name. It counts from now
on: nothing that would have been due before is made up for. --stop or --start can be left
out. Where the clocks are set forth, what is due in the hour left out happens right after;
where they are set back, what is due in the hour that comes twice happens the first time.`,
		Args: cobra.NoArgs,
		Example: `  berth aks schedule add --resource-group demo --cluster-name demo --name office --stop "0 20 * * 1-5" --start "0 7 * * 1-5" --time-zone Europe/Berlin
  berth aks schedule add -g demo --cluster-name demo -n nightly --stop @daily
  berth aks schedule add -g demo --cluster-name demo -n nightly --stop @daily --disabled`,
		RunE: func(command *cobra.Command, _ []string) error { return add(command.Context(), s, flags) },
	}, &flags.Target)
	command.Flags().StringVar(&flags.stop, "stop", "", "when to stop, as in \"0 20 * * 1-5\"")
	command.Flags().StringVar(&flags.start, "start", "", "when to start, as in \"0 7 * * 1-5\"")
	command.Flags().StringVar(&flags.zone, "time-zone", "UTC", "time zone whose clocks count, as in Europe/Berlin")
	command.Flags().BoolVar(&flags.disabled, "disabled", false, "keep the schedule and do nothing")
	command.MarkFlagsOneRequired("stop", "start")
	return command
}

func add(ctx context.Context, s *session.Session, flags addFlags) error {
	properties := map[string]any{"timeZone": flags.zone, "enabled": !flags.disabled}
	for name, expression := range map[string]string{"stop": flags.stop, "start": flags.start} {
		if expression != "" {
			properties[name] = expression
		}
	}
	return kind().Put(ctx, s, flags.Target, properties)
}

func showText() clusterresource.Text {
	return clusterresource.Text{
		Short: "Show a schedule: what is due next, what was done last, and what it waits for",
		Example: `  berth aks schedule show --resource-group demo --cluster-name demo --name office
  berth aks schedule show -g demo --cluster-name demo -n office --query properties.message --output tsv`,
	}
}

func listText() clusterresource.Text {
	return clusterresource.Text{
		Short: "List the schedules of a managed cluster",
		Example: `  berth aks schedule list --resource-group demo --cluster-name demo --output table
  berth aks schedule list -g demo --cluster-name demo --query "[].properties.nextStop"`,
	}
}

func deleteText() clusterresource.Text {
	return clusterresource.Text{
		Short: "Delete a schedule; the cluster stays as it is",
		Example: `  berth aks schedule delete --resource-group demo --cluster-name demo --name office
  berth aks schedule delete -g demo --cluster-name demo -n office --yes`,
	}
}
