package service

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/app"
)

func newSupportCommand() *cobra.Command {
	command := &cobra.Command{Use: "support", Short: "What to send along with a question", Args: cobra.NoArgs}
	command.AddCommand(newDumpCommand())
	return command
}

func newDumpCommand() *cobra.Command {
	var o app.Options
	var file string
	command := &cobra.Command{
		Use:   "dump",
		Short: "Gather logs, objects and the state of the host in one file, without secrets",
		Long: `Gather what helps to find out what went wrong: logs, the objects of the
management API, what runs inside nodes, status, preflight, and links, routes and rules of the install's
network namespaces. Secrets are left out, and what looks like a key, a token or
the first principal's secret is blotted out of the logs. Names of clusters and
addresses are in it.`,
		Example: `  berth support dump
  berth support dump -f /tmp/berth.tar.gz`,
		Args: cobra.NoArgs,
		RunE: func(command *cobra.Command, _ []string) (err error) {
			if err := requireRoot(command); err != nil {
				return err
			}
			o, err := installed(command)
			if err != nil {
				return err
			}
			if file == "" {
				file = "berth-support-" + time.Now().UTC().Format("20060102-150405") + ".tar.gz"
			}
			target, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
			if err != nil {
				return fmt.Errorf("writing the dump: %w", err)
			}
			defer func() { err = errors.Join(err, target.Close()) }()
			if err := app.Dump(command.Context(), o, target); err != nil {
				return err
			}
			_, err = fmt.Fprintln(command.OutOrStdout(), file)
			return err
		},
	}
	addHome(command, &o)
	command.Flags().StringVarP(&file, "file", "f", "", "file to write (default berth-support-<time>.tar.gz)")
	return command
}
