package service

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/app"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/preflight"
)

func newStatusCommand() *cobra.Command {
	var o app.Options
	format := output.Table
	command := &cobra.Command{
		Use:   "status",
		Short: "Show whether the service runs, where it listens and what the host holds",
		Long: `Show whether the service runs, where it listens, what the host holds, what of it
is given out, and what the host lacks. The exit code is 0 while the service
runs, and 1 when it does not; the rest is shown all the same.`,
		Example: `  berth status
  berth status -o json`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			o, err := installed(command)
			if err != nil {
				return err
			}
			status, err := app.ReadStatus(command.Context(), o)
			if errors.Is(err, home.ErrNotFound) {
				return fmt.Errorf("%w: berth up --detach makes one", err)
			}
			if err != nil {
				return err
			}
			if err := printStatus(command.OutOrStdout(), format, status); err != nil {
				return err
			}
			if !status.Running {
				return fmt.Errorf("%w: berth up --detach starts it", app.ErrNotRunning)
			}
			return nil
		},
	}
	addHome(command, &o)
	addOutput(command, &format)
	return command
}

func printStatus(w io.Writer, format output.Format, status app.Status) error {
	if format != output.Table {
		return output.Printer{Out: w, Format: format, Query: &output.Query{}}.Print(status, output.Columns{})
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name, form string, args ...any) { fmt.Fprintf(table, "%s\t%s\n", name, fmt.Sprintf(form, args...)) }
	row("service", "%s", describeDaemon(status))
	row("install", "%s in %s", status.Instance, status.Home)
	row("version", "%s", status.Version)
	if status.Running {
		row("ARM", "%s", status.Endpoints.ARM)
		row("from pods", "%s", status.Endpoints.Edge)
		row("metrics", "%s/metrics", status.Endpoints.Metrics)
	}
	row("management", "%s", describeManagement(status.Management))
	if status.DNS != nil {
		row("DNS", "%s", describeDNS(*status.DNS))
	}
	if status.Management.Ready {
		row("clusters", "%d with %d nodes", status.Clusters, status.Nodes)
	}
	if h := status.Host; h != nil {
		row("CPUs", "%d, %d of %d given out", h.CPUs, h.CPUsGivenOut, h.CPUs*h.CPUOvercommit)
		row("memory", "%d MiB, %d of %d given out", h.MemoryMiB, h.MemoryMiBGivenOut, h.MemoryMiB*int64(h.MemoryOvercommit))
		row("isolation", "%s", h.Isolation)
		row("addresses", "%s", h.PublicRange)
	}
	for _, r := range status.Releases {
		row("Kubernetes", "%s", describeRelease(r))
	}
	if err := table.Flush(); err != nil || len(status.Preflight) == 0 {
		return err
	}
	if _, err := fmt.Fprintln(w, "\nWhat this host lacks:"); err != nil {
		return err
	}
	return preflight.Render(w, status.Preflight)
}

func describeDaemon(status app.Status) string {
	text := "not running"
	if status.Running {
		text = fmt.Sprintf("%s, pid %d, since %s", strings.ToLower(string(status.Phase)), status.PID, status.Started.Local().Format(time.DateTime))
	}
	if status.Message != "" {
		text += ": " + status.Message
	}
	return text
}

func describeManagement(m app.ManagementStatus) string {
	switch {
	case m.Ready:
		return m.Endpoint
	case m.Endpoint == "":
		return m.Message
	default:
		return m.Endpoint + " does not answer: " + m.Message
	}
}

func describeDNS(d app.DNSStatus) string {
	if d.Ready {
		return d.Zone + " on " + d.Address
	}
	return d.Zone + " on " + d.Address + " does not answer: " + d.Message
}

func describeRelease(r app.ReleaseStatus) string {
	text := r.Version
	if r.Default {
		text += " (default)"
	}
	if !r.Built {
		text += ", built on first need"
	}
	return text
}
