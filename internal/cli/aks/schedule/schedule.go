// Package schedule owns "berth aks schedule": when managed clusters stop and
// start by themselves.
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
	command.AddCommand(newAdd(s), newDelete(s), newList(s), newShow(s))
	return command
}

// columns are those of a table of schedules.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Name", Path: "name"},
		{Header: "Stop", Path: "properties.stop"},
		{Header: "Start", Path: "properties.start"},
		{Header: "TimeZone", Path: "properties.timeZone"},
		{Header: "State", Path: "properties.state"},
		{Header: "NextStop", Path: "properties.nextStop"},
		{Header: "NextStart", Path: "properties.nextStart"},
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
	what := "powerSchedules"
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
	stop, start, zone string
	disabled          bool
}

func newAdd(s *session.Session) *cobra.Command {
	var flags addFlags
	command := flags.bindOne(s, &cobra.Command{
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
	})
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
		Short: "Show a schedule: what is due next, what was done last, and what it waits for",
		Args:  cobra.NoArgs,
		Example: `  berth aks schedule show --resource-group demo --cluster-name demo --name office
  berth aks schedule show -g demo --cluster-name demo -n office --query properties.message --output tsv`,
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
		Short: "List the schedules of a managed cluster",
		Args:  cobra.NoArgs,
		Example: `  berth aks schedule list --resource-group demo --cluster-name demo --output table
  berth aks schedule list -g demo --cluster-name demo --query "[].properties.nextStop"`,
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
		Short: "Delete a schedule; the cluster stays as it is",
		Args:  cobra.NoArgs,
		Example: `  berth aks schedule delete --resource-group demo --cluster-name demo --name office
  berth aks schedule delete -g demo --cluster-name demo -n office --yes`,
		RunE: func(command *cobra.Command, _ []string) error {
			if !yes {
				if err := s.Confirm(command.Context(), "Delete the schedule "+t.name+" of cluster "+t.cluster+"?"); err != nil {
					return err
				}
			}
			return t.call(command.Context(), s, http.MethodDelete, nil, nil)
		},
	})
	argument.Yes(command, &yes)
	return command
}
