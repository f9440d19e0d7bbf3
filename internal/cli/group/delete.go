package group

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type deleteFlags struct {
	name   string
	yes    bool
	noWait bool
}

func newDelete(s *session.Session) *cobra.Command {
	var flags deleteFlags
	command := &cobra.Command{
		Use:   "delete",
		Short: "Delete a resource group with everything in it",
		Args:  cobra.NoArgs,
		Example: `  berth group delete --name demo
  berth group delete -n demo --yes --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error { return remove(command.Context(), s, flags) },
	}
	argument.GroupName(s, command, &flags.name)
	argument.Yes(command, &flags.yes)
	argument.NoWait(command, &flags.noWait)
	return command
}

func remove(ctx context.Context, s *session.Session, flags deleteFlags) error {
	client, err := s.ResourceGroups()
	if err != nil {
		return err
	}
	if !flags.yes {
		question := fmt.Sprintf("Delete the resource group %s with everything in it?", flags.name)
		if err := s.Confirm(ctx, question); err != nil {
			return err
		}
	}
	poller, err := client.BeginDelete(ctx, flags.name, nil)
	if err != nil || flags.noWait {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{
		What: "Deleting resource group " + flags.name,
		Look: "berth group show --name " + flags.name,
	})
	return err
}
