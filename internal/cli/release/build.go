package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"berth.dev/berth/internal/release"
)

func newBuildCommand() *cobra.Command {
	format, install := outputTable, false
	command := &cobra.Command{
		Use:   "build [VERSION]",
		Short: "Build a Kubernetes version from source, the default if none is named",
		Long: `Build a Kubernetes version and everything that a cluster of it needs from source.

Only what the cache lacks is built. Ctrl-C keeps what is done; the same command
goes on from there. While another process builds the same, this one waits and
shows how far it is.`,
		Example: `  berth release build
  berth release build 1.36 --install-packages`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			ctx, stop := signal.NotifyContext(command.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			name := ""
			if len(arguments) > 0 {
				name = arguments[0]
			}
			version, ok := release.Resolve(name)
			if !ok {
				return fmt.Errorf("version %q is not in the catalog: see berth release list", name)
			}
			store, err := release.Open(release.Options{InstallPackages: install})
			if err != nil {
				return err
			}
			display := newDisplay(command.ErrOrStderr())
			built, err := store.Build(ctx, version.Version, display.show)
			display.end()
			if err != nil {
				return explain(err)
			}
			if format == outputJSON {
				return printJSON(command.OutOrStdout(), built)
			}
			fmt.Fprintf(command.OutOrStdout(), "Kubernetes %s is built in %s\n", built.Version, store.Dir())
			return nil
		},
	}
	command.Flags().VarP(&format, "output", "o", "output format: table or json")
	command.Flags().BoolVar(&install, "install-packages", false, "install Debian packages that the build lacks (needs root)")
	return command
}

// explain adds what the user can do.
func explain(err error) error {
	if errors.Is(err, context.Canceled) {
		return errors.New("interrupted; what is built is kept: the same command goes on from there")
	}
	if errors.Is(err, release.ErrMissingPackages) {
		return fmt.Errorf("%w (or pass --install-packages)", err)
	}
	return err
}

func newVerifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "verify [VERSION]",
		Short:   "Compare every file of a built version with its checksum",
		Example: `  berth release verify 1.35`,
		Args:    cobra.MaximumNArgs(1),
		RunE: func(command *cobra.Command, arguments []string) error {
			name := ""
			if len(arguments) > 0 {
				name = arguments[0]
			}
			store, err := release.Open(release.Options{})
			if err != nil {
				return err
			}
			if err := store.Verify(name); err != nil {
				return err
			}
			fmt.Fprintln(command.OutOrStdout(), "every file is as it was built")
			return nil
		},
	}
}

// display shows progress: on a terminal one line that changes, else a line for
// each step and every quarter of its packages.
type display struct {
	to       io.Writer
	terminal bool
	last     release.Progress
	quarter  int
}

func newDisplay(to io.Writer) *display {
	shown := &display{to: to}
	if file, ok := to.(*os.File); ok {
		shown.terminal = term.IsTerminal(int(file.Fd()))
	}
	return shown
}

func (d *display) show(progress release.Progress) {
	if d.terminal {
		if d.last.StepIndex != 0 && d.last.StepIndex != progress.StepIndex {
			fmt.Fprintln(d.to)
		}
		d.last = progress
		fmt.Fprintf(d.to, "\r\x1b[K%s", line(progress))
		return
	}
	quarter := 0
	if progress.Total > 0 {
		quarter = 4 * progress.Done / progress.Total
	}
	if d.last.StepIndex != progress.StepIndex || d.last.Waiting != progress.Waiting || quarter > d.quarter {
		fmt.Fprintln(d.to, line(progress))
	}
	d.last, d.quarter = progress, quarter
}

func (d *display) end() {
	if d.terminal && d.last.StepIndex != 0 {
		fmt.Fprintln(d.to)
	}
}

// line says in one line how far a build is.
func line(progress release.Progress) string {
	elapsed := time.Duration(progress.Elapsed * float64(time.Second)).Round(time.Second)
	text := fmt.Sprintf("[%d/%d] %s", progress.StepIndex, progress.Steps, progress.Step)
	if progress.Waiting {
		text += ": another process builds it, waiting"
	}
	if progress.Total > 0 {
		text += fmt.Sprintf("  %d of %d packages", progress.Done, progress.Total)
	}
	if progress.Detail != "" {
		text += ", " + progress.Detail
	}
	return fmt.Sprintf("%s  %s", text, elapsed)
}
