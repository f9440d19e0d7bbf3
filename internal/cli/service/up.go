package service

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"berth.dev/berth/internal/app"
	"berth.dev/berth/internal/home"
)

func newFlagSet() *pflag.FlagSet { return pflag.NewFlagSet("options", pflag.ContinueOnError) }

func newUpCommand() *cobra.Command {
	var o app.Options
	var detach bool
	command := &cobra.Command{
		Use:   "up",
		Short: "Start the service; with --detach in the background",
		Long: `Start the service. It makes the home directory, the management API, the first
tenant, subscription and service principal, and the edge of this host's
networks, and adopts whatever runs already. The first start builds the default
Kubernetes release from source, which takes a quarter of an hour; after that a
start takes seconds.

Every flag may be given in the environment instead (--dns-zone as
BERTH_DNS_ZONE), and is kept for the next start.`,
		Example: `  berth up --detach
  berth up --detach --home /srv/berth --public-url https://berth.example.com
  berth up`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := o.Complete(command.Flags()); err != nil {
				return err
			}
			if !detach {
				err := app.Run(command.Context(), o, command.ErrOrStderr())
				return explain(err)
			}
			tell, done := teller(command.ErrOrStderr(), "Starting the service")
			daemon, err := app.Start(command.Context(), o, tell)
			done()
			if err != nil {
				return explain(err)
			}
			return printReady(command.ErrOrStderr(), daemon)
		},
	}
	o.BindFlags(command.Flags())
	command.Flags().BoolVarP(&detach, "detach", "d", false, "run in the background, and return when it serves")
	return command
}

// explain adds what to do about an error that only an operator sees.
func explain(err error) error {
	if errors.Is(err, home.ErrLocked) {
		return fmt.Errorf("%w: berth status says which; berth restart or berth down stops it", err)
	}
	return err
}

func printReady(w io.Writer, daemon home.Daemon) error {
	_, err := fmt.Fprintf(w, "the service is ready (pid %d, %.1f s)\n  ARM        %s\n  from pods  %s\n  metrics    %s/metrics\n",
		daemon.PID, daemon.Ready.Sub(daemon.Started).Seconds(), daemon.ARMEndpoint, daemon.EdgeEndpoint, daemon.MetricsEndpoint)
	return err
}

func newRestartCommand() *cobra.Command {
	var o app.Options
	command := &cobra.Command{
		Use:   "restart",
		Short: "Restart the service alone; clusters do not notice",
		Long: `Stop the service and start it in the background with the options that it has,
but for those that are given, which are kept for the next start as those of
berth up are. Clusters go on meanwhile. If the host lacks what the service
needs, the running one is left alone.`,
		Example: `  berth restart
  berth restart --cpu-overcommit 16`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := requireRoot(command); err != nil {
				return err
			}
			if err := o.Complete(command.Flags()); err != nil {
				return err
			}
			tell, done := teller(command.ErrOrStderr(), "Restarting the service")
			daemon, err := app.Restart(command.Context(), o, tell)
			done()
			if errors.Is(err, home.ErrNotFound) {
				return fmt.Errorf("%w: berth up --detach makes one", err)
			}
			if err != nil {
				return explain(err)
			}
			return printReady(command.ErrOrStderr(), daemon)
		},
	}
	o.BindFlags(command.Flags())
	return command
}

func newDownCommand() *cobra.Command {
	var o app.Options
	var purge bool
	command := &cobra.Command{
		Use:   "down",
		Short: "Stop the service and every cluster; with --purge remove them for good",
		Long: `Stop the service, every machine, every control plane and the management API,
and remove the networks. The data stays: berth up brings everything back.

With --purge data and home go too, and nothing of this install is left on the
host. Built releases are a cache of their own and stay.`,
		Example: `  berth down
  berth down --purge`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) error {
			if err := requireRoot(command); err != nil {
				return err
			}
			dir, err := home.Dir(o.Home)
			if err != nil {
				return err
			}
			if err := down(command.Context(), dir, purge, command.ErrOrStderr()); err != nil {
				return explain(err)
			}
			return nil
		},
	}
	addHome(command, &o)
	command.Flags().BoolVar(&purge, "purge", false, "remove the data and the home directory too")
	return command
}

func down(ctx context.Context, dir string, purge bool, w io.Writer) error {
	tell, done := teller(w, "Taking the install down")
	defer done()
	if err := app.Down(ctx, app.DownOptions{Home: dir, Purge: purge}, tell); err != nil {
		return fmt.Errorf("taking the install down: %w (run the command again to go on)", err)
	}
	return nil
}
