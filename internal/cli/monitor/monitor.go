// Package monitor owns "berth monitor": who asked for what, with az's own verbs
// and flags.
package monitor

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth monitor".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:     "monitor",
		Short:   "Look at what was asked for, and by whom",
		Example: `  berth monitor activity-log list --resource-group demo --output table`,
	}
	s.AddFlags(command)
	log := &cobra.Command{
		Use:     "activity-log",
		Short:   "The activity log: the begin and the end of operations",
		Example: `  berth monitor activity-log list --status Failed --offset 7d --output table`,
	}
	log.AddCommand(newList(s))
	command.AddCommand(log)
	return command
}

// selection is what of the log is wanted.
type selection struct {
	start, end, offset                                       string
	correlation, group, resource, provider, caller, statusIs string
	most                                                     int
}

// defaultEvents is how many events az lists unless it is told.
const defaultEvents = 50

func newList(s *session.Session) *cobra.Command {
	var of selection
	command := &cobra.Command{
		Use:   "list",
		Short: "List the begin and the end of operations, the newest first",
		Long: `List the begin and the end of operations, the newest first: what was asked for,
by whom, and how it ended. Operations are there from the moment when they are
accepted until 7 days after their end. The caller is the object id of a
principal (berth ad sp list), or auto-upgrade, node-image or powerSchedule for
what the service began by itself.`,
		Args: cobra.NoArgs,
		Example: `  berth monitor activity-log list --resource-group demo --output table
  berth monitor activity-log list --status Failed --offset 7d
  berth monitor activity-log list --correlation-id b5eac9d2-e829-4c9a-9efb-586d19417c5f`,
		RunE: func(command *cobra.Command, _ []string) error { return list(command.Context(), s, of) },
	}
	flags := command.Flags()
	flags.StringVar(&of.start, "start-time", "", "earliest time, e.g. 2026-01-31T08:00:00Z or 2026-01-31 (default: --offset before --end-time)")
	flags.StringVar(&of.end, "end-time", "", "latest time (default: now, or --offset after --start-time)")
	flags.StringVar(&of.offset, "offset", "6h", "length of the time, ##d##h")
	flags.IntVar(&of.most, "max-events", defaultEvents, "how many events at most")
	flags.StringVar(&of.correlation, "correlation-id", "", "id that ties an operation to its request")
	flags.StringVar(&of.resource, "resource-id", "", "id of a resource; what is nested in it is listed too")
	flags.StringVar(&of.provider, "namespace", "", "resource provider, e.g. Microsoft.ContainerService")
	flags.StringVar(&of.caller, "caller", "", "object id of the principal that asked")
	flags.StringVar(&of.statusIs, "status", "", "Accepted, Started, Succeeded, Failed or Canceled")
	argument.OptionalResourceGroup(s, command, &of.group)
	return command
}

func list(ctx context.Context, s *session.Session, of selection) error {
	filter, err := of.filter(time.Now())
	if err != nil {
		return err
	}
	client, err := s.Extension()
	if err != nil {
		return err
	}
	events, err := client.Activity(ctx, filter, of.most)
	if err != nil {
		return err
	}
	return s.Print(events, columns())
}

// columns are those of a table of events.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Time", Path: "eventTimestamp"},
		{Header: "Operation", Path: "operationName.localizedValue"},
		{Header: "Status", Path: "status.value"},
		{Header: "Caller", Path: "caller"},
		{Header: "Resource", Path: "resourceId"},
		{Header: "Reason", Path: "properties.statusCode"},
	}}
}

// filter is the $filter that selects it.
func (of selection) filter(now time.Time) (string, error) {
	if of.most < 1 {
		return "", failure.Usage("--max-events has to be at least 1")
	}
	since, until, err := of.bounds(now)
	if err != nil {
		return "", err
	}
	terms := []string{"eventTimestamp ge " + since.UTC().Format(time.RFC3339Nano), "eventTimestamp le " + until.UTC().Format(time.RFC3339Nano)}
	for _, term := range []struct{ name, value string }{
		{"correlationId", of.correlation}, {"resourceGroupName", of.group}, {"resourceId", of.resource},
		{"resourceProvider", of.provider}, {"caller", of.caller}, {"status", of.statusIs},
	} {
		if term.value != "" {
			terms = append(terms, fmt.Sprintf("%s eq '%s'", term.name, strings.ReplaceAll(term.value, "'", "''")))
		}
	}
	return strings.Join(terms, " and "), nil
}

// bounds are the earliest and the latest time.
func (of selection) bounds(now time.Time) (since, until time.Time, err error) {
	offset, err := length(of.offset)
	if err != nil {
		return since, until, err
	}
	if since, err = moment("--start-time", of.start); err != nil {
		return since, until, err
	}
	if until, err = moment("--end-time", of.end); err != nil {
		return since, until, err
	}
	switch {
	case since.IsZero() && until.IsZero():
		return now.Add(-offset), now, nil
	case since.IsZero():
		return until.Add(-offset), until, nil
	case until.IsZero():
		return since, since.Add(offset), nil
	}
	return since, until, nil
}

// length reads ##d##h.
func length(text string) (time.Duration, error) {
	match := regexp.MustCompile(`^(?:(\d{1,4})d)?(?:(\d{1,5})h)?$`).FindStringSubmatch(text)
	if match == nil || text == "" {
		return 0, failure.Usage("--offset %q is no length of time such as 6h, 7d or 1d12h", text)
	}
	days, _ := strconv.Atoi("0" + match[1]) // digits, by the expression
	hours, _ := strconv.Atoi("0" + match[2])
	return time.Duration(days)*24*time.Hour + time.Duration(hours)*time.Hour, nil
}

// moment reads a time, one without a zone as UTC.
func moment(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02 15:04", time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, failure.Usage("%s %q is no time such as 2026-01-31T08:00:00Z or 2026-01-31", flag, text)
}
