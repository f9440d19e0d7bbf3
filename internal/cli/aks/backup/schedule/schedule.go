// Package schedule owns "berth aks backup schedule": when backups of managed
// clusters are taken by themselves, and which of them are kept.
package schedule

import (
	"context"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
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
	command.AddCommand(newAdd(s), newDelete(s), newList(s), newShow(s))
	return command
}

// columns are those of a table of schedules.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Name", Path: "name"},
		{Header: "Schedule", Path: "properties.schedule"},
		{Header: "TimeZone", Path: "properties.timeZone"},
		{Header: "KeepCount", Path: "properties.keepCount"},
		{Header: "KeepDays", Path: "properties.keepDays"},
		{Header: "State", Path: "properties.state"},
		{Header: "NextBackup", Path: "properties.nextBackup"},
		{Header: "LastGood", Path: "properties.lastGoodBackup.due"},
	}}
}

// target names the schedule that a command works on.
type target struct {
	group, cluster, name string
}

// bind adds the flags that name a cluster.
func (t *target) bind(s *session.Session, command *cobra.Command) *cobra.Command {
	argument.ResourceGroup(s, command, &t.group)
	argument.ClusterName(s, command, "cluster-name", &t.cluster)
	return command
}

// bindOne adds those that name a schedule.
func (t *target) bindOne(s *session.Session, command *cobra.Command) *cobra.Command {
	argument.ScheduleName(command, &t.name)
	return t.bind(s, command)
}

// call sends a request for schedules and decodes the answer, where there is to be one.
func (t target) call(ctx context.Context, s *session.Session, method string, body, into any) error {
	extension, err := s.Extension()
	if err != nil {
		return err
	}
	what := "backupSchedules"
	if t.name != "" {
		what += "/" + url.PathEscape(t.name)
	}
	response, err := extension.Do(ctx, method, extension.Cluster(t.group, t.cluster, what), body)
	if err != nil || into == nil {
		return err
	}
	return runtime.UnmarshalAsJSON(response, into)
}

type addFlags struct {
	target
	schedule, zone      string
	keepCount, keepDays int32
	disabled            bool
}

func newAdd(s *session.Session) *cobra.Command {
	var flags addFlags
	command := flags.bindOne(s, &cobra.Command{
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
	})
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
	var made map[string]any
	if err := flags.call(ctx, s, http.MethodPut, map[string]any{"properties": properties}, &made); err != nil {
		return err
	}
	return s.Print(made, columns())
}

func newShow(s *session.Session) *cobra.Command {
	var t target
	return t.bindOne(s, &cobra.Command{
		Use:   "show",
		Short: "Show a backup schedule: what is due next, which backup was the last good one, and what went wrong",
		Args:  cobra.NoArgs,
		Example: `  berth aks backup schedule show --resource-group demo --cluster-name demo --name nightly
  berth aks backup schedule show -g demo --cluster-name demo -n nightly --query properties.message --output tsv`,
		RunE: func(command *cobra.Command, _ []string) error {
			var found map[string]any
			if err := t.call(command.Context(), s, http.MethodGet, nil, &found); err != nil {
				return err
			}
			return s.Print(found, columns())
		},
	})
}

func newList(s *session.Session) *cobra.Command {
	var t target
	return t.bind(s, &cobra.Command{
		Use:   "list",
		Short: "List the backup schedules of a managed cluster",
		Args:  cobra.NoArgs,
		Example: `  berth aks backup schedule list --resource-group demo --cluster-name demo --output table
  berth aks backup schedule list -g demo --cluster-name demo --query "[].properties.lastGoodBackup.id"`,
		RunE: func(command *cobra.Command, _ []string) error {
			var page struct { // a cluster has fewer than a page holds
				Value []map[string]any `json:"value"`
			}
			if err := t.call(command.Context(), s, http.MethodGet, nil, &page); err != nil {
				return err
			}
			return s.Print(page.Value, columns())
		},
	})
}

func newDelete(s *session.Session) *cobra.Command {
	var t target
	var yes bool
	command := t.bindOne(s, &cobra.Command{
		Use:   "delete",
		Short: "Delete a backup schedule; its backups stay",
		Args:  cobra.NoArgs,
		Example: `  berth aks backup schedule delete --resource-group demo --cluster-name demo --name nightly
  berth aks backup schedule delete -g demo --cluster-name demo -n nightly --yes`,
		RunE: func(command *cobra.Command, _ []string) error {
			if !yes {
				if err := s.Confirm(command.Context(), "Delete the backup schedule "+t.name+" of cluster "+t.cluster+"?"); err != nil {
					return err
				}
			}
			return t.call(command.Context(), s, http.MethodDelete, nil, nil)
		},
	})
	argument.Yes(command, &yes)
	return command
}
