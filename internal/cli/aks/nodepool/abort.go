package nodepool

import (
	"context"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type abortFlags struct {
	target
	noWait bool
}

func newOperationAbort(s *session.Session) *cobra.Command {
	var flags abortFlags
	command := &cobra.Command{
		Use:   "operation-abort",
		Short: "Abort the running operation of a node pool",
		Long: `Abort the operation of a node pool that was asked for last: one that is queued is taken
out of the queue, one that runs gives up. The nodes that exist are kept; the next update
of the pool goes on from there. A deletion that runs cannot be aborted.`,
		Args: cobra.NoArgs,
		Example: `  berth aks nodepool operation-abort --resource-group demo --cluster-name demo --nodepool-name batch
  berth aks nodepool operation-abort -g demo --cluster-name demo -n batch --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return abort(command.Context(), s, flags) },
	}
	flags.bind(s, command)
	argument.NoWait(command, &flags.noWait)
	return command
}

func abort(ctx context.Context, s *session.Session, flags abortFlags) error {
	pools, err := s.AgentPools()
	if err != nil {
		return err
	}
	poller, err := pools.BeginAbortLatestOperation(ctx, flags.group, flags.cluster, flags.name, nil)
	if err != nil || flags.noWait {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{What: "Aborting the operation of node pool " + flags.name, Look: flags.look()})
	return err
}
