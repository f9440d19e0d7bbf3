package aks

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

func newShow(s *session.Session) *cobra.Command {
	var t target
	command := &cobra.Command{
		Use:   "show",
		Short: "Show a managed cluster",
		Args:  cobra.NoArgs,
		Example: `  berth aks show --resource-group demo --name demo
  berth aks show -g demo -n demo --query provisioningState --output tsv`,
		RunE: func(command *cobra.Command, _ []string) error {
			clusters, err := s.ManagedClusters()
			if err != nil {
				return err
			}
			result, err := clusters.Get(command.Context(), t.group, t.name, nil)
			if err != nil {
				return err
			}
			return s.PrintResource(result.ManagedCluster, columns())
		},
	}
	argument.ResourceGroup(s, command, &t.group)
	argument.ClusterName(s, command, "name", &t.name)
	return command
}

func newList(s *session.Session) *cobra.Command {
	var group string
	command := &cobra.Command{
		Use:   "list",
		Short: "List the managed clusters, of all groups or of one",
		Args:  cobra.NoArgs,
		Example: `  berth aks list --output table
  berth aks list --resource-group demo --query "[].{name: name, state: provisioningState}"`,
		RunE: func(command *cobra.Command, _ []string) error {
			clusters, err := list(command.Context(), s, group)
			if err != nil {
				return err
			}
			return s.PrintResource(clusters, columns())
		},
	}
	argument.OptionalResourceGroup(s, command, &group)
	return command
}

func list(ctx context.Context, s *session.Session, group string) ([]*armcontainerservice.ManagedCluster, error) {
	client, err := s.ManagedClusters()
	if err != nil {
		return nil, err
	}
	clusters := []*armcontainerservice.ManagedCluster{}
	if group != "" {
		for pager := client.NewListByResourceGroupPager(group, nil); pager.More(); {
			page, err := pager.NextPage(ctx)
			if err != nil {
				return nil, err
			}
			clusters = append(clusters, page.Value...)
		}
		return clusters, nil
	}
	for pager := client.NewListPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		clusters = append(clusters, page.Value...)
	}
	return clusters, nil
}

func newWait(s *session.Session) *cobra.Command {
	var t target
	var until *operation.Until
	command := &cobra.Command{
		Use:   "wait",
		Short: "Wait until a managed cluster is in a state",
		Args:  cobra.NoArgs,
		Example: `  berth aks wait --resource-group demo --name demo --created
  berth aks wait -g demo -n demo --deleted --timeout 60`,
		RunE: func(command *cobra.Command, _ []string) error {
			clusters, err := s.ManagedClusters()
			if err != nil {
				return err
			}
			return until.Wait(command.Context(), s, func(ctx context.Context) (string, error) {
				result, err := clusters.Get(ctx, t.group, t.name, nil)
				if err != nil || result.Properties == nil || result.Properties.ProvisioningState == nil {
					return "", err
				}
				return *result.Properties.ProvisioningState, nil
			})
		},
	}
	argument.ResourceGroup(s, command, &t.group)
	argument.ClusterName(s, command, "name", &t.name)
	until = operation.NewUntil(command)
	return command
}
