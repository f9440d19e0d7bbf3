// Package schedule owns "berth aks backup schedule": when backups of managed
// clusters are taken by themselves, and which of them are kept.
package schedule

import (
	"context"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/clusterresource"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth aks backup schedule".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "schedule",
		Short: "Back managed clusters up at set times",
		Long: `Back managed clusters up at set times, and keep the latest. Times are five fields of cron
(minute, hour, day of the month, month, day of the week) on the clocks of a time zone. A
time that came while the service was down or the cluster was stopped is made up for, the
latest one alone. The last good backup is never deleted, whatever its age.`,
		Example: `  berth aks backup schedule add --resource-group demo --cluster-name demo --name nightly --schedule "0 3 * * *" --time-zone Europe/Berlin --keep-count 14
  berth aks backup schedule list -g demo --cluster-name demo --output table`,
	}
	command.AddCommand(newAdd(s), kind().Delete(s, deleteText()), kind().List(s, listText()), kind().Show(s, showText()))
	return command
}

// kind is the schedules that the commands work on.
func kind() clusterresource.Kind {
	return clusterresource.Kind{
		Collection: "backupSchedules", Noun: "backup schedule", Name: argument.ScheduleName,
		Columns: output.Columns{Columns: []output.Column{
			{Header: "Name", Path: "name"},
			{Header: "Schedule", Path: "properties.schedule"},
			{Header: "TimeZone", Path: "properties.timeZone"},
			{Header: "KeepCount", Path: "properties.keepCount"},
			{Header: "KeepDays", Path: "properties.keepDays"},
			{Header: "State", Path: "properties.state"},
			{Header: "NextBackup", Path: "properties.nextBackup"},
			{Header: "LastGood", Path: "properties.lastGoodBackup.due"},
		}},
	}
}

type addFlags struct {
	clusterresource.Target
	schedule, zone      string
	keepCount, keepDays int32
	disabled            bool
}

func newAdd(s *session.Session) *cobra.Command {
	var flags addFlags
	command := kind().Bind(s, &cobra.Command{
		Use:   "add",
		Short: "Add a backup schedule to a managed cluster, or replace the one of that name",
		Long: `Add a backup schedule to a managed cluster, or replace the one of that name. New times
count from now on: nothing that would have been due before is made up for. The backups
are named after the cluster, the schedule and the time in UTC. What the schedule took before
stays its own; what a deleted schedule of the name took is left alone.`,
		Args: cobra.NoArgs,
		Example: `  berth aks backup schedule add --resource-group demo --cluster-name demo --name nightly --schedule "0 3 * * *" --time-zone Europe/Berlin --keep-count 14
  berth aks backup schedule add -g demo --cluster-name demo -n weekly --schedule @weekly --keep-count 50 --keep-days 90
  berth aks backup schedule add -g demo --cluster-name demo -n nightly --schedule "0 3 * * *" --disabled`,
		RunE: func(command *cobra.Command, _ []string) error { return add(command.Context(), s, flags) },
	}, &flags.Target)
	command.Flags().StringVar(&flags.schedule, "schedule", "", "when to take a backup, as in \"0 3 * * *\"")
	argument.Require(command, "schedule")
	command.Flags().StringVar(&flags.zone, "time-zone", "UTC", "time zone whose clocks count, as in Europe/Berlin")
	command.Flags().Int32Var(&flags.keepCount, "keep-count", 7, "how many good backups to keep, up to 50")
	command.Flags().Int32Var(&flags.keepDays, "keep-days", 0, "for how many days to keep them at most; 0 is for ever")
	command.Flags().BoolVar(&flags.disabled, "disabled", false, "keep the schedule and its backups and do nothing")
	return command
}

func add(ctx context.Context, s *session.Session, flags addFlags) error {
	properties := map[string]any{
		"schedule": flags.schedule, "timeZone": flags.zone, "enabled": !flags.disabled, "keepCount": flags.keepCount, "keepDays": flags.keepDays,
	}
	return kind().Put(ctx, s, flags.Target, properties)
}

func showText() clusterresource.Text {
	return clusterresource.Text{
		Short: "Show a backup schedule: what is due next, which backup was the last good one, and what went wrong",
		Example: `  berth aks backup schedule show --resource-group demo --cluster-name demo --name nightly
  berth aks backup schedule show -g demo --cluster-name demo -n nightly --query properties.message --output tsv`,
	}
}

func listText() clusterresource.Text {
	return clusterresource.Text{
		Short: "List the backup schedules of a managed cluster",
		Example: `  berth aks backup schedule list --resource-group demo --cluster-name demo --output table
  berth aks backup schedule list -g demo --cluster-name demo --query "[].properties.lastGoodBackup.id"`,
	}
}

func deleteText() clusterresource.Text {
	return clusterresource.Text{
		Short: "Delete a backup schedule; its backups stay",
		Example: `  berth aks backup schedule delete --resource-group demo --cluster-name demo --name nightly
  berth aks backup schedule delete -g demo --cluster-name demo -n nightly --yes`,
	}
}
