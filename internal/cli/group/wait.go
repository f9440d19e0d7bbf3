package group

import (
	"context"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

func newWait(s *session.Session) *cobra.Command {
	var name string
	var until *operation.Until
	command := &cobra.Command{
		Use:     "wait",
		Short:   "Wait until a resource group is in a state",
		Args:    cobra.NoArgs,
		Example: `  berth group wait --name demo --deleted`,
		RunE: func(command *cobra.Command, _ []string) error {
			client, err := s.ResourceGroups()
			if err != nil {
				return err
			}
			return until.Wait(command.Context(), s, func(ctx context.Context) (string, error) {
				result, err := client.Get(ctx, name, nil)
				if err != nil || result.Properties == nil || result.Properties.ProvisioningState == nil {
					return "", err
				}
				return *result.Properties.ProvisioningState, nil
			})
		},
	}
	argument.GroupName(s, command, &name)
	until = operation.NewUntil(command)
	return command
}
