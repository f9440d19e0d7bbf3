package nodepool

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type deleteFlags struct {
	target
	ignoreBudgets bool
	queue         bool
	noWait        bool
}

func newDelete(s *session.Session) *cobra.Command {
	var flags deleteFlags
	command := &cobra.Command{
		Use:   "delete",
		Short: "Delete a node pool with its nodes",
		Args:  cobra.NoArgs,
		Example: `  berth aks nodepool delete --resource-group demo --cluster-name demo --name batch
  berth aks nodepool delete -g demo --cluster-name demo -n batch --ignore-pdb --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return remove(command.Context(), s, flags) },
	}
	flags.bind(s, command)
	ignoreBudgets(command, &flags.ignoreBudgets)
	bindQueue(command, &flags.queue)
	argument.NoWait(command, &flags.noWait)
	command.Flags().BoolP("yes", "y", false, "accepted for scripts; nothing is asked here, as in az")
	return command
}

func remove(ctx context.Context, s *session.Session, flags deleteFlags) error {
	pools, err := s.AgentPools()
	if err != nil {
		return err
	}
	// A delete of what is not there succeeds; az says that it is not there.
	if _, err := pools.Get(ctx, flags.group, flags.cluster, flags.name, nil); err != nil {
		return err
	}
	poller, err := pools.BeginDelete(queueing(ctx, flags.queue), flags.group, flags.cluster, flags.name,
		&armcontainerservice.AgentPoolsClientBeginDeleteOptions{IgnorePodDisruptionBudget: &flags.ignoreBudgets})
	if err != nil || flags.noWait {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{What: "Deleting node pool " + flags.name, Look: flags.look()})
	return err
}
