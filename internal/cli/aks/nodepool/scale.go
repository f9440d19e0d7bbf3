package nodepool

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/session"
)

type scaleFlags struct {
	target
	nodeCount     int32
	ignoreBudgets bool
	queue         bool
	noWait        bool
}

func newScale(s *session.Session) *cobra.Command {
	var flags scaleFlags
	command := &cobra.Command{
		Use:   "scale",
		Short: "Change the number of nodes of a node pool",
		Long: `Change the number of nodes of a node pool. Nodes that go are drained first; what a
PodDisruptionBudget holds up is named, and --ignore-pdb goes on regardless.`,
		Args: cobra.NoArgs,
		Example: `  berth aks nodepool scale --resource-group demo --cluster-name demo --name batch --node-count 2
  berth aks nodepool scale -g demo --cluster-name demo -n batch -c 0 --no-wait
  berth aks nodepool scale -g demo --cluster-name demo -n batch -c 5 --queue`,
		RunE: func(command *cobra.Command, _ []string) error { return scale(command.Context(), s, flags) },
	}
	flags.bind(s, command)
	argument.NodeCountRequired(command, &flags.nodeCount)
	ignoreBudgets(command, &flags.ignoreBudgets)
	bindQueue(command, &flags.queue)
	argument.NoWait(command, &flags.noWait)
	return command
}

func scale(ctx context.Context, s *session.Session, flags scaleFlags) error {
	return change{target: flags.target, what: "Scaling node pool " + flags.name, ignoreBudgets: flags.ignoreBudgets, queue: flags.queue, noWait: flags.noWait,
		edit: func(pool resource) error {
			properties := pool.section("")
			if properties["enableAutoScaling"] == true {
				return errors.New("the node pool is scaled by the cluster autoscaler: switch that off first")
			}
			properties["count"] = flags.nodeCount
			return nil
		}}.apply(ctx, s)
}
