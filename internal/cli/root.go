// Package cli is Berth's command line. This file lists the commands; the tree
// of folders below is the tree of commands. What the commands share lies in
// packages of its own: session (login and clients), argument (flags), output,
// operation and progress (waiting), failure (errors and exit codes).
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/ad"
	"berth.dev/berth/internal/cli/aks"
	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/group"
	"berth.dev/berth/internal/cli/monitor"
	"berth.dev/berth/internal/cli/network"
	"berth.dev/berth/internal/cli/release"
	"berth.dev/berth/internal/cli/role"
	"berth.dev/berth/internal/cli/service"
	"berth.dev/berth/internal/cli/session"
	"berth.dev/berth/internal/cli/version"
)

// Main runs a command line of the process and returns its exit code. A
// cancelled context is the user's Ctrl-C.
func Main(ctx context.Context, args []string) int {
	return Run(ctx, session.New(session.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}), args)
}

// NewRoot is the whole tree of commands.
func NewRoot(s *session.Session) *cobra.Command {
	root := &cobra.Command{
		Use:   "berth",
		Short: "Managed Kubernetes on your own machines, with the API of AKS",
		Example: `  berth up --detach
  berth group create --name demo
  berth aks create --resource-group demo --name demo --node-count 1
  berth aks get-credentials --resource-group demo --name demo`,
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	add(root, "For customers, with the names and flags of az:",
		group.NewCommand(s),
		aks.NewCommand(s),
		ad.NewCommand(s),
		role.NewCommand(s),
		monitor.NewCommand(s),
		network.NewCommand(s),
	)
	add(root, "For the operator:", append(service.Commands(), release.NewCommand())...)
	root.AddCommand(version.NewCommand(s, service.Version()))
	return root
}

// add adds commands under a title of the help.
func add(root *cobra.Command, title string, commands ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: title, Title: title})
	for _, command := range commands {
		command.GroupID = title
	}
	root.AddCommand(commands...)
}

// Run runs a command line in a session and returns the exit code.
func Run(ctx context.Context, s *session.Session, args []string) int {
	root := NewRoot(s)
	refuseUnknown(root)
	started := false
	onRun(root, func() { started = true })
	root.SetArgs(argument.Expand(root, args))
	command, err := root.ExecuteContextC(ctx)
	if err != nil && !started { // the command itself never ran: its line is wrong
		err = failure.Usage("%v\nSee '%s --help'.", err, command.CommandPath())
	}
	if err != nil {
		failure.Render(s.Err, err)
	}
	return failure.ExitCode(err)
}

// refuseUnknown makes commands that only hold others say so when one is
// mistyped; the library would show their help and report success.
func refuseUnknown(command *cobra.Command) {
	for _, child := range command.Commands() {
		refuseUnknown(child)
	}
	if !command.HasSubCommands() || command.Runnable() {
		return
	}
	command.Args = func(command *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		message := fmt.Sprintf("%q is not a command of '%s'", args[0], command.CommandPath())
		command.SuggestionsMinimumDistance = 2
		if similar := command.SuggestionsFor(args[0]); len(similar) > 0 {
			message += ": did you mean " + strings.Join(similar, " or ") + "?"
		}
		return errors.New(message)
	}
	command.RunE = func(command *cobra.Command, _ []string) error { return command.Help() }
}

// onRun calls hook before each command that runs.
func onRun(command *cobra.Command, hook func()) {
	if run := command.RunE; run != nil {
		command.RunE = func(command *cobra.Command, args []string) error {
			hook()
			return run(command, args)
		}
	}
	for _, child := range command.Commands() {
		onRun(child, hook)
	}
}
