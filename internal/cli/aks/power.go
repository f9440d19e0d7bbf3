package aks

import (
	"context"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type powerFlags struct {
	target
	noWait bool
}

func (f *powerFlags) bind(s *session.Session, command *cobra.Command) *cobra.Command {
	argument.ResourceGroup(s, command, &f.group)
	argument.ClusterName(s, command, "name", &f.name)
	argument.NoWait(command, &f.noWait)
	return command
}

func newStop(s *session.Session) *cobra.Command {
	var flags powerFlags
	return flags.bind(s, &cobra.Command{
		Use:   "stop",
		Short: "Stop a managed cluster: its address, its data and its nodes' disks stay",
		Long: `Stop a managed cluster: its address, its data and its nodes' disks stay, and nothing runs.

Pods end as with a power cut of their nodes. A stopped cluster can only be started or deleted.`,
		Args: cobra.NoArgs,
		Example: `  berth aks stop --resource-group demo --name demo
  berth aks stop -g demo -n demo --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return stop(command.Context(), s, flags) },
	})
}

func stop(ctx context.Context, s *session.Session, flags powerFlags) error {
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	poller, err := clusters.BeginStop(ctx, flags.group, flags.name, nil)
	if err != nil || flags.noWait {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{What: "Stopping cluster " + flags.name, Look: flags.look()})
	return err
}

func newStart(s *session.Session) *cobra.Command {
	var flags powerFlags
	return flags.bind(s, &cobra.Command{
		Use:   "start",
		Short: "Start a managed cluster that is stopped",
		Args:  cobra.NoArgs,
		Example: `  berth aks start --resource-group demo --name demo
  berth aks start -g demo -n demo --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return start(command.Context(), s, flags) },
	})
}

func start(ctx context.Context, s *session.Session, flags powerFlags) error {
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	poller, err := clusters.BeginStart(ctx, flags.group, flags.name, nil)
	if err != nil || flags.noWait {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{What: "Starting cluster " + flags.name, Look: flags.look()})
	return err
}

func newOperationAbort(s *session.Session) *cobra.Command {
	var flags powerFlags
	return flags.bind(s, &cobra.Command{
		Use:   "operation-abort",
		Short: "Abort the running operation of a managed cluster",
		Long: `Abort the running operation of a managed cluster. What exists is kept; the next
update, start or stop goes on from there. A deletion cannot be aborted.`,
		Args: cobra.NoArgs,
		Example: `  berth aks operation-abort --resource-group demo --name demo
  berth aks operation-abort -g demo -n demo --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return abort(command.Context(), s, flags) },
	})
}

func abort(ctx context.Context, s *session.Session, flags powerFlags) error {
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	poller, err := clusters.BeginAbortLatestOperation(ctx, flags.group, flags.name, nil)
	if err != nil || flags.noWait {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{What: "Aborting the operation of cluster " + flags.name, Look: flags.look()})
	return err
}
