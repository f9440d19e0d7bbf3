// Package service has the commands of an operator: they start and stop the
// service, say how it stands and hand out what reaches it. They work on this
// host, as root, without the service's API; all but login.
package service

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"k8s.io/utils/clock"

	"berth.dev/berth/internal/app"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/progress"
	"berth.dev/berth/internal/cli/session"
)

// Commands are the operator's commands.
func Commands() []*cobra.Command {
	return []*cobra.Command{
		newUpCommand(), newRestartCommand(), newDownCommand(), newStatusCommand(),
		newCloudCommand(), newLoginCommand(), newAdminCommand(), newSupportCommand(),
	}
}

// Version is the version of this build.
func Version() string { return app.BuildVersion() }

// addHome adds the only flag that finds an install.
func addHome(command *cobra.Command, o *app.Options) {
	command.Flags().StringVar(&o.Home, "home", "", "directory of the install's state (default BERTH_HOME, or /var/lib/berth)")
}

// installed are the options of an existing install: what is stored in its
// home, and the defaults.
func installed(command *cobra.Command) (app.Options, error) {
	var o app.Options
	flags := newFlagSet()
	o.BindFlags(flags)
	if given := command.Flags().Lookup("home"); given != nil && given.Changed {
		if err := flags.Set("home", given.Value.String()); err != nil {
			return o, err
		}
	}
	return o, o.Complete(flags)
}

// addOutput adds the flag that says how to print.
func addOutput(command *cobra.Command, format *output.Format) {
	command.Flags().VarP(format, "output", "o", "how to print: json, jsonc, table, tsv, yaml or none")
}

// teller tells what goes on to the person at the terminal: on a terminal in
// one line that is redrawn, else in a line for each step. done takes the line
// off again.
func teller(w io.Writer, what string) (tell func(string), done func()) {
	if width := session.New(session.Streams{Err: w}).Width; width > 0 {
		line := progress.New(w, width, clock.RealClock{}, what)
		return func(message string) { line.Report("", message) }, line.Clear
	}
	var steps app.Steps
	return func(message string) {
		if steps.Worth(message) {
			fmt.Fprintln(w, message)
		}
	}, func() {}
}

// requireRoot refuses early what would fail late without root.
func requireRoot(command *cobra.Command) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("%s works on this host's install and needs root: run sudo %s", command.CommandPath(), command.CommandPath())
	}
	return nil
}
