package nodepool

import (
	"context"
	"errors"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type scaleFlags struct {
	target
	nodeCount int32
	noWait    bool
}

func newScale(s *session.Session) *cobra.Command {
	var flags scaleFlags
	command := &cobra.Command{
		Use:   "scale",
		Short: "Change the number of nodes of a node pool",
		Args:  cobra.NoArgs,
		Example: `  berth aks nodepool scale --resource-group demo --cluster-name demo --name batch --node-count 2
  berth aks nodepool scale -g demo --cluster-name demo -n batch -c 0 --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return scale(command.Context(), s, flags) },
	}
	flags.bind(s, command)
	argument.NodeCountRequired(command, &flags.nodeCount)
	argument.NoWait(command, &flags.noWait)
	return command
}

func scale(ctx context.Context, s *session.Session, flags scaleFlags) error {
	pools, err := s.AgentPools()
	if err != nil {
		return err
	}
	var poller *runtime.Poller[armcontainerservice.AgentPoolsClientCreateOrUpdateResponse]
	err = operation.RetryChanged(func() error {
		poller, err = beginScale(ctx, pools, flags)
		return err
	})
	if err != nil || flags.noWait {
		return err
	}
	result, err := operation.Wait(ctx, s, poller, operation.Words{What: "Scaling node pool " + flags.name, Look: flags.look()})
	if err != nil {
		return err
	}
	return s.PrintResource(result.AgentPool, columns())
}

// beginScale sends back the pool that it read with another count, as az does,
// but only if nobody has changed it meanwhile.
func beginScale(ctx context.Context, pools *armcontainerservice.AgentPoolsClient, flags scaleFlags) (
	*runtime.Poller[armcontainerservice.AgentPoolsClientCreateOrUpdateResponse], error) {
	current, err := pools.Get(ctx, flags.group, flags.cluster, flags.name, nil)
	if err != nil {
		return nil, err
	}
	if current.Properties == nil {
		return nil, errors.New("the service's answer holds no node pool")
	}
	if current.Properties.EnableAutoScaling != nil && *current.Properties.EnableAutoScaling {
		return nil, errors.New("the node pool is scaled by the cluster autoscaler: switch that off first")
	}
	current.Properties.Count = &flags.nodeCount
	return pools.BeginCreateOrUpdate(ctx, flags.group, flags.cluster, flags.name, current.AgentPool,
		&armcontainerservice.AgentPoolsClientBeginCreateOrUpdateOptions{IfMatch: current.Properties.ETag})
}
