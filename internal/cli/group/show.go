package group

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

func newShow(s *session.Session) *cobra.Command {
	var name string
	command := &cobra.Command{
		Use:     "show",
		Short:   "Show a resource group",
		Args:    cobra.NoArgs,
		Example: `  berth group show --name demo`,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := s.ResourceGroups()
			if err != nil {
				return err
			}
			result, err := client.Get(command.Context(), name, nil)
			if err != nil {
				return err
			}
			return s.Print(result.ResourceGroup, columns())
		},
	}
	argument.GroupName(s, command, &name)
	return command
}

func newExists(s *session.Session) *cobra.Command {
	var name string
	command := &cobra.Command{
		Use:     "exists",
		Short:   "Say whether a resource group exists",
		Args:    cobra.NoArgs,
		Example: `  berth group exists --name demo`,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := s.ResourceGroups()
			if err != nil {
				return err
			}
			result, err := client.CheckExistence(command.Context(), name, nil)
			if err != nil {
				return err
			}
			return s.Print(result.Success, output.Columns{})
		},
	}
	argument.GroupName(s, command, &name)
	return command
}

func newList(s *session.Session) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the resource groups",
		Args:  cobra.NoArgs,
		Example: `  berth group list --output table
  berth group list --query "[].name" --output tsv`,
		RunE: func(command *cobra.Command, _ []string) error {
			groups, err := list(command.Context(), s)
			if err != nil {
				return err
			}
			return s.Print(groups, columns())
		},
	}
}

func list(ctx context.Context, s *session.Session) ([]*armresources.ResourceGroup, error) {
	client, err := s.ResourceGroups()
	if err != nil {
		return nil, err
	}
	groups := []*armresources.ResourceGroup{}
	for pager := client.NewListPager(nil); pager.More(); {
		page, err := pager.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		groups = append(groups, page.Value...)
	}
	return groups, nil
}
