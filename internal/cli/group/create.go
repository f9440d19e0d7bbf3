package group

import (
	"context"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/resources/armresources"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/session"
)

type createFlags struct {
	name      string
	location  string
	managedBy string
	tags      map[string]*string
}

func newCreate(s *session.Session) *cobra.Command {
	flags := createFlags{tags: map[string]*string{}}
	command := &cobra.Command{
		Use:   "create",
		Short: "Create a resource group, or change the tags of one",
		Args:  cobra.NoArgs,
		Example: `  berth group create --name demo
  berth group create -n demo --tags team=web env=test`,
		RunE: func(command *cobra.Command, _ []string) error { return create(command.Context(), s, flags) },
	}
	argument.GroupName(s, command, &flags.name)
	argument.Location(s, command, &flags.location, "location of the group (default: that of the service)")
	argument.Pairs(command, flags.tags, "tags", "tags, parted by blanks: key[=value] ...")
	command.Flags().StringVar(&flags.managedBy, "managed-by", "", "id of the resource that manages this group")
	return command
}

func create(ctx context.Context, s *session.Session, flags createFlags) error {
	service, err := s.Cloud()
	if err != nil {
		return err
	}
	client, err := s.ResourceGroups()
	if err != nil {
		return err
	}
	group := armresources.ResourceGroup{Location: &flags.location, Tags: flags.tags}
	if flags.location == "" {
		group.Location = &service.Location
	}
	if flags.managedBy != "" {
		group.ManagedBy = to.Ptr(flags.managedBy)
	}
	if len(flags.tags) == 0 {
		group.Tags = nil
	}
	result, err := client.CreateOrUpdate(ctx, flags.name, group, nil)
	if err != nil {
		return err
	}
	return s.Print(result.ResourceGroup, columns())
}
