package aks

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type deleteFlags struct {
	target
	yes    bool
	noWait bool
}

func newDelete(s *session.Session) *cobra.Command {
	var flags deleteFlags
	command := &cobra.Command{
		Use:   "delete",
		Short: "Delete a managed cluster with everything that runs on it",
		Args:  cobra.NoArgs,
		Example: `  berth aks delete --resource-group demo --name demo
  berth aks delete -g demo -n demo --yes --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return remove(command.Context(), s, flags) },
	}
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	argument.Yes(command, &flags.yes)
	argument.NoWait(command, &flags.noWait)
	return command
}

func remove(ctx context.Context, s *session.Session, flags deleteFlags) error {
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	if !flags.yes {
		question := fmt.Sprintf("Delete the cluster %s with everything that runs on it?", flags.name)
		if err := s.Confirm(ctx, question); err != nil {
			return err
		}
	}
	poller, err := clusters.BeginDelete(ctx, flags.group, flags.name, nil)
	if err != nil || flags.noWait {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{
		What: "Deleting cluster " + flags.name,
		Look: flags.look(),
	})
	return err
}
