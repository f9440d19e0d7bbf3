package nodepool

import (
	"context"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

func newWait(s *session.Session) *cobra.Command {
	var t target
	var until *operation.Until
	command := &cobra.Command{
		Use:   "wait",
		Short: "Wait until a node pool is in a state",
		Args:  cobra.NoArgs,
		Example: `  berth aks nodepool wait --resource-group demo --cluster-name demo --name batch --created
  berth aks nodepool wait -g demo --cluster-name demo -n batch --deleted --timeout 600`,
		RunE: func(command *cobra.Command, _ []string) error {
			pools, err := s.AgentPools()
			if err != nil {
				return err
			}
			return until.Wait(command.Context(), s, func(ctx context.Context) (string, error) {
				result, err := pools.Get(ctx, t.group, t.cluster, t.name, nil)
				if err != nil || result.Properties == nil || result.Properties.ProvisioningState == nil {
					return "", err
				}
				return *result.Properties.ProvisioningState, nil
			})
		},
	}
	t.bind(s, command)
	until = operation.NewUntil(command)
	return command
}
