package aks

import (
	"context"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type updateFlags struct {
	target
	channel, nodeOSChannel, authorized string
	// authorizes says that authorized was given, if only as an empty text.
	authorizes, noWait bool
	force              forceFlags
}

const authorizedFlag = "api-server-authorized-ip-ranges"

// authorize leaves the API server to ranges, or opens it if there are none.
func authorize(properties *armcontainerservice.ManagedClusterProperties, list string) {
	if properties.APIServerAccessProfile == nil {
		properties.APIServerAccessProfile = &armcontainerservice.ManagedClusterAPIServerAccessProfile{}
	}
	ranges := []*string{} // an empty list is sent, too
	for text := range strings.SplitSeq(list, ",") {
		if text = strings.TrimSpace(text); text != "" {
			ranges = append(ranges, &text)
		}
	}
	properties.APIServerAccessProfile.AuthorizedIPRanges = ranges
}

func newUpdate(s *session.Session) *cobra.Command {
	var flags updateFlags
	command := &cobra.Command{
		Use:   "update",
		Short: "Change a managed cluster's upgrade channels, what holds upgrades up, and who reaches its API server",
		Long: `Change the upgrade channels of a managed cluster: to what it is upgraded by itself, in the
windows of its maintenance configurations. patch is the newest patch of its minor, stable
the newest patch of the minor before the newest, rapid the newest version, none nothing.
With the node OS upgrade channel NodeImage nodes of an older node image are renewed.

With --enable-force-upgrade upgrades pass over what preflight finds, until a time; those
that began before it go on. --disable-force-upgrade takes that back.

--api-server-authorized-ip-ranges leaves the API server to ranges of addresses, the
cluster's own outbound addresses and the host; an empty text opens it to all.`,
		Args: cobra.NoArgs,
		Example: `  berth aks update --resource-group demo --name demo --auto-upgrade-channel patch
  berth aks update -g demo -n demo --node-os-upgrade-channel NodeImage
  berth aks update -g demo -n demo --auto-upgrade-channel none --no-wait
  berth aks update -g demo -n demo --enable-force-upgrade --upgrade-override-until 2027-01-31T12:00:00Z
  berth aks update -g demo -n demo --api-server-authorized-ip-ranges 203.0.113.0/24,198.51.100.7`,
		RunE: func(command *cobra.Command, _ []string) error {
			flags.authorizes = command.Flags().Changed(authorizedFlag)
			return runUpdate(command.Context(), s, flags)
		},
	}
	argument.ResourceGroup(s, command, &flags.group)
	argument.ClusterName(s, command, "name", &flags.name)
	argument.Choice(command, &flags.channel, "auto-upgrade-channel", "what the cluster is upgraded to by itself", "none", "patch", "stable", "rapid")
	argument.Choice(command, &flags.nodeOSChannel, "node-os-upgrade-channel", "whether nodes get a new node image by themselves", "None", "NodeImage")
	command.Flags().StringVar(&flags.authorized, authorizedFlag, "", "ranges and addresses that reach the API server, with commas between them")
	flags.force.add(command)
	command.MarkFlagsOneRequired("auto-upgrade-channel", "node-os-upgrade-channel", authorizedFlag, enableForceFlag, disableForceFlag, untilFlag)
	argument.NoWait(command, &flags.noWait)
	return command
}

func runUpdate(ctx context.Context, s *session.Session, flags updateFlags) error {
	override, err := flags.force.settings(s.Clock.Now())
	if err != nil {
		return err
	}
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
		if flags.authorizes {
			authorize(cluster.Properties, flags.authorized)
		}
		if override != nil {
			cluster.Properties.UpgradeSettings = override
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
