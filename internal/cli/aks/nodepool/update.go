package nodepool

import (
	"context"

	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/session"
)

type updateFlags struct {
	target
	replaceFlags
	mode   string
	scale  string
	labels map[string]*string
	taints []*string
	tags   map[string]*string
	queue  bool
	noWait bool
}

func newUpdate(s *session.Session) *cobra.Command {
	flags := &updateFlags{labels: map[string]*string{}, taints: []*string{}, tags: map[string]*string{}}
	command := &cobra.Command{
		Use:   "update",
		Short: "Change labels, taints, mode, tags, the scale-down mode or the upgrade settings of a node pool",
		Long: `Change labels, taints, mode, tags, the scale-down mode or the upgrade settings of a node
pool. What a flag gives takes the place of all that was there; an empty text takes
everything away. Labels and taints reach the nodes that are there; what others put on a
node stays. The scale-down mode Delete also removes the nodes that are deallocated.`,
		Args: cobra.NoArgs,
		Example: `  berth aks nodepool update --resource-group demo --cluster-name demo --name batch --labels tier=gold team=a
  berth aks nodepool update -g demo --cluster-name demo -n batch --node-taints ""
  berth aks nodepool update -g demo --cluster-name demo -n batch --max-surge 33% --drain-timeout 10`,
		RunE: func(command *cobra.Command, _ []string) error { return update(command.Context(), s, flags) },
	}
	flags.target.bind(s, command)
	argument.Choice(command, &flags.mode, "mode", "what the pool is for: User or System", "User", "System")
	argument.Pairs(command, flags.labels, "labels", "Kubernetes labels of the nodes, parted by blanks: key=value ...")
	argument.Words(command, &flags.taints, "node-taints", "Kubernetes taints of the nodes: key=value:effect, ...")
	argument.Pairs(command, flags.tags, "tags", "tags, parted by blanks: key[=value] ...")
	bindScaleDownMode(command, &flags.scale)
	flags.replaceFlags.bind(command)
	bindQueue(command, &flags.queue)
	argument.NoWait(command, &flags.noWait)
	command.MarkFlagsOneRequired("mode", "labels", "node-taints", "tags", "scale-down-mode", "max-surge", "max-unavailable",
		"drain-timeout", "node-soak-duration", "undrainable-node-behavior")
	return command
}

func update(ctx context.Context, s *session.Session, flags *updateFlags) error {
	return change{target: flags.target, what: "Updating node pool " + flags.name, queue: flags.queue, noWait: flags.noWait, edit: func(pool resource) error {
		properties := pool.section("")
		for flag, value := range map[string]struct {
			property string
			value    any
		}{
			"mode": {"mode", flags.mode}, "scale-down-mode": {"scaleDownMode", flags.scale}, "labels": {"nodeLabels", flags.labels},
			"node-taints": {"nodeTaints", flags.taints}, "tags": {"tags", flags.tags},
		} {
			if given(flags.command, flag) {
				properties[value.property] = value.value
			}
		}
		flags.edit(pool)
		return nil
	}}.apply(ctx, s)
}

type powerFlags struct {
	target
	ignoreBudgets bool
	queue         bool
	noWait        bool
}

func (f *powerFlags) bind(s *session.Session, command *cobra.Command) *cobra.Command {
	f.target.bind(s, command)
	bindQueue(command, &f.queue)
	argument.NoWait(command, &f.noWait)
	return command
}

func newStop(s *session.Session) *cobra.Command {
	var flags powerFlags
	command := flags.bind(s, &cobra.Command{
		Use:   "stop",
		Short: "Stop a node pool: its nodes' disks stay",
		Long: `Stop a node pool: its nodes are drained and stopped, and their disks stay. What a
PodDisruptionBudget holds up is named, and --ignore-pdb goes on regardless.`,
		Args: cobra.NoArgs,
		Example: `  berth aks nodepool stop --resource-group demo --cluster-name demo --nodepool-name batch
  berth aks nodepool stop -g demo --cluster-name demo -n batch --ignore-pdb --no-wait`,
		RunE: func(command *cobra.Command, _ []string) error {
			return power(command.Context(), s, flags, "Stopping", "Stopped")
		},
	})
	ignoreBudgets(command, &flags.ignoreBudgets)
	return command
}

func newStart(s *session.Session) *cobra.Command {
	var flags powerFlags
	return flags.bind(s, &cobra.Command{
		Use:     "start",
		Short:   "Start a node pool that is stopped",
		Args:    cobra.NoArgs,
		Example: `  berth aks nodepool start --resource-group demo --cluster-name demo --nodepool-name batch`,
		RunE: func(command *cobra.Command, _ []string) error {
			return power(command.Context(), s, flags, "Starting", "Running")
		},
	})
}

// power writes the pool's power state, as az does.
func power(ctx context.Context, s *session.Session, flags powerFlags, doing, code string) error {
	return change{target: flags.target, what: doing + " node pool " + flags.name, ignoreBudgets: flags.ignoreBudgets, queue: flags.queue, noWait: flags.noWait, edit: func(pool resource) error {
		pool.section("powerState")["code"] = code
		return nil
	}}.apply(ctx, s)
}
