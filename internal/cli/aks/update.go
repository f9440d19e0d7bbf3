package aks

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type updateFlags struct {
	target
	channel, nodeOSChannel string
	noWait                 bool
}

func newUpdate(s *session.Session) *cobra.Command {
	var flags updateFlags
	command := &cobra.Command{
		Use:   "update",
		Short: "Change the upgrade channels of a managed cluster",
		Long: `Change the upgrade channels of a managed cluster: to what it is upgraded by itself, in the
windows of its maintenance configurations. patch is the newest patch of its minor, stable
the newest patch of the minor before the newest, rapid the newest version, none nothing.
With the node OS upgrade channel NodeImage nodes of an older node image are renewed.`,
		Args: cobra.NoArgs,
		Example: `  berth aks update --resource-group demo --name demo --auto-upgrade-channel patch
  berth aks update -g demo -n demo --node-os-upgrade-channel NodeImage
  berth aks update -g demo -n demo --auto-upgrade-channel none --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return runUpdate(command.Context(), s, flags) },
	}
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	argument.Choice(command, &flags.channel, "auto-upgrade-channel", "what the cluster is upgraded to by itself", "none", "patch", "stable", "rapid")
	argument.Choice(command, &flags.nodeOSChannel, "node-os-upgrade-channel", "whether nodes get a new node image by themselves", "None", "NodeImage")
	command.MarkFlagsOneRequired("auto-upgrade-channel", "node-os-upgrade-channel")
	argument.NoWait(command, &flags.noWait)
	return command
}

func runUpdate(ctx context.Context, s *session.Session, flags updateFlags) error {
	clusters, err := s.ManagedClusters()
	if err != nil {
		return err
	}
	var poller *runtime.Poller[armcontainerservice.ManagedClustersClientCreateOrUpdateResponse]
	err = operation.RetryChanged(func() error {
		current, err := clusters.Get(ctx, flags.group, flags.name, nil)
		if err != nil {
			return err
		}
		cluster := current.ManagedCluster
		if cluster.Properties == nil {
			cluster.Properties = &armcontainerservice.ManagedClusterProperties{}
		}
		if cluster.Properties.AutoUpgradeProfile == nil {
			cluster.Properties.AutoUpgradeProfile = &armcontainerservice.ManagedClusterAutoUpgradeProfile{}
		}
		if channel := armcontainerservice.UpgradeChannel(flags.channel); channel != "" {
			cluster.Properties.AutoUpgradeProfile.UpgradeChannel = &channel
		}
		if channel := armcontainerservice.NodeOSUpgradeChannel(flags.nodeOSChannel); channel != "" {
			cluster.Properties.AutoUpgradeProfile.NodeOSUpgradeChannel = &channel
		}
		cluster.Properties.ServicePrincipalProfile = nil
		poller, err = clusters.BeginCreateOrUpdate(ctx, flags.group, flags.name, cluster,
			&armcontainerservice.ManagedClustersClientBeginCreateOrUpdateOptions{IfMatch: current.ETag})
		return err
	})
	if err != nil || flags.noWait {
		return err
	}
	result, err := operation.Wait(ctx, s, poller, operation.Words{What: "Updating cluster " + flags.name, Look: flags.look()})
	if err != nil {
		return err
	}
	return s.PrintResource(result.ManagedCluster, columns())
}
