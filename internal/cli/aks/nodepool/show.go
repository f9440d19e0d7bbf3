package nodepool

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/session"
)

func newShow(s *session.Session) *cobra.Command {
	var t target
	command := &cobra.Command{
		Use:     "show",
		Short:   "Show a node pool",
		Args:    cobra.NoArgs,
		Example: `  berth aks nodepool show --resource-group demo --cluster-name demo --name nodepool1`,
		RunE: func(command *cobra.Command, _ []string) error {
			pools, err := s.AgentPools()
			if err != nil {
				return err
			}
			result, err := pools.Get(command.Context(), t.group, t.cluster, t.name, nil)
			if err != nil {
				return err
			}
			return s.PrintResource(result.AgentPool, columns())
		},
	}
	t.bind(s, command)
	return command
}

func newList(s *session.Session) *cobra.Command {
	var t target
	command := &cobra.Command{
		Use:   "list",
		Short: "List the node pools of a managed cluster",
		Args:  cobra.NoArgs,
		Example: `  berth aks nodepool list --resource-group demo --cluster-name demo --output table
  berth aks nodepool list -g demo --cluster-name demo --query "[].count"`,
		RunE: func(command *cobra.Command, _ []string) error {
			pools, err := list(command.Context(), s, t)
			if err != nil {
				return err
			}
			return s.PrintResource(pools, columns())
		},
	}
	argument.ResourceGroup(s, command, &t.group)
	argument.ClusterName(s, command, "cluster-name", &t.cluster)
	return command
}

func list(ctx context.Context, s *session.Session, t target) ([]*armcontainerservice.AgentPool, error) {
	client, err := s.AgentPools()
	if err != nil {
		return nil, err
	}
	pools := []*armcontainerservice.AgentPool{}
	for pager := client.NewListPager(t.group, t.cluster, nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		pools = append(pools, page.Value...)
	}
	return pools, nil
}
