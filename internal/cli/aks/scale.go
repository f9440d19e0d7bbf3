package aks

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type scaleFlags struct {
	target
	nodeCount    int32
	nodepoolName string
	noWait       bool
}

func newScale(s *session.Session) *cobra.Command {
	var flags scaleFlags
	command := &cobra.Command{
		Use:   "scale",
		Short: "Change the number of nodes of a managed cluster's node pool",
		Args:  cobra.NoArgs,
		Example: `  berth aks scale --resource-group demo --name demo --node-count 2
  berth aks scale -g demo -n demo -c 0 --nodepool-name batch`,
		RunE: func(command *cobra.Command, _ []string) error { return scale(command.Context(), s, flags) },
	}
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	argument.NodeCountRequired(command, &flags.nodeCount)
	argument.NoWait(command, &flags.noWait)
	command.Flags().StringVar(&flags.nodepoolName, "nodepool-name", "", "name of the node pool, where there are several")
	argument.CompletePoolName(s, command, "nodepool-name")
	return command
}

func scale(ctx context.Context, s *session.Session, flags scaleFlags) error {
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	var poller *runtime.Poller[armcontainerservice.ManagedClustersClientCreateOrUpdateResponse]
	err = operation.RetryChanged(func() error {
		poller, err = beginScale(ctx, clusters, flags)
		return err
	})
	if err != nil || flags.noWait {
		return err
	}
	result, err := operation.Wait(ctx, s, poller, operation.Words{What: "Scaling cluster " + flags.name, Look: flags.look()})
	if err != nil {
		return err
	}
	return s.PrintResource(result.ManagedCluster, columns())
}

// beginScale sends back the cluster that it read with another count, as az
// does, but only if nobody has changed it meanwhile.
func beginScale(ctx context.Context, clusters *armcontainerservice.ManagedClustersClient, flags scaleFlags) (
	*runtime.Poller[armcontainerservice.ManagedClustersClientCreateOrUpdateResponse], error) {
	current, err := clusters.Get(ctx, flags.group, flags.name, nil)
	if err != nil {
		return nil, err
	}
	pool, err := findPool(current.ManagedCluster, flags.nodepoolName)
	if err != nil {
		return nil, err
	}
	pool.Count = &flags.nodeCount
	current.Properties.ServicePrincipalProfile = nil
	return clusters.BeginCreateOrUpdate(ctx, flags.group, flags.name, current.ManagedCluster,
		&armcontainerservice.ManagedClustersClientBeginCreateOrUpdateOptions{IfMatch: current.ETag})
}

// findPool finds the pool to scale: the named one, or the only one.
func findPool(cluster armcontainerservice.ManagedCluster, name string) (*armcontainerservice.ManagedClusterAgentPoolProfile, error) {
	if cluster.Properties == nil || len(cluster.Properties.AgentPoolProfiles) == 0 {
		return nil, errors.New("the cluster has no node pool: add one with `berth aks nodepool add`")
	}
	pools := cluster.Properties.AgentPoolProfiles
	if name == "" && len(pools) > 1 {
		return nil, failure.Usage("the cluster has several node pools: say which with --nodepool-name, or use `berth aks nodepool scale`")
	}
	for _, pool := range pools {
		if pool == nil || name != "" && (pool.Name == nil || !strings.EqualFold(*pool.Name, name)) {
			continue
		}
		if pool.EnableAutoScaling != nil && *pool.EnableAutoScaling {
			return nil, errors.New("the node pool is scaled by the cluster autoscaler: switch that off first")
		}
		return pool, nil
	}
	return nil, fmt.Errorf("the node pool %q was not found: see what there is with `berth aks nodepool list`", name)
}
