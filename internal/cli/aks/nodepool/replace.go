package nodepool

import (
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
)

// replaceFlags say how the nodes of a pool are replaced. Only those that were
// given are sent.
type replaceFlags struct {
	command        *cobra.Command
	maxSurge       string
	maxUnavailable string
	drainTimeout   int32
	nodeSoak       int32
	undrainable    string
}

func (f *replaceFlags) bind(command *cobra.Command) {
	f.command = command
	flags := command.Flags()
	flags.StringVar(&f.maxSurge, "max-surge", "", "nodes that come in addition while others are replaced: a number, or a percentage such as 33% (default 10%)")
	flags.StringVar(&f.maxUnavailable, "max-unavailable", "", "nodes that may be missing meanwhile: a number or a percentage (default 0)")
	flags.Int32Var(&f.drainTimeout, "drain-timeout", 0, "minutes that a node has to drain, 1 to 1440 (default 30)")
	flags.Int32Var(&f.nodeSoak, "node-soak-duration", 0, "minutes that a new node has to be ready before the next old one goes, 0 to 30")
	argument.Choice(command, &f.undrainable, "undrainable-node-behavior",
		"what becomes of a node that does not drain in time: Schedule lets it take pods again and stops there, Cordon goes on with the others", "Schedule", "Cordon")
}

// given says whether a flag was given.
func given(command *cobra.Command, name string) bool { return command.Flags().Changed(name) }

// edit puts the settings into a pool.
func (f *replaceFlags) edit(pool resource) {
	for flag, value := range map[string]struct {
		property string
		value    any
	}{
		"max-surge":                 {"maxSurge", f.maxSurge},
		"max-unavailable":           {"maxUnavailable", f.maxUnavailable},
		"drain-timeout":             {"drainTimeoutInMinutes", f.drainTimeout},
		"node-soak-duration":        {"nodeSoakDurationInMinutes", f.nodeSoak},
		"undrainable-node-behavior": {"undrainableNodeBehavior", f.undrainable},
	} {
		if given(f.command, flag) {
			pool.section("upgradeSettings")[value.property] = value.value
		}
	}
}

// ignoreBudgets adds --ignore-pdb.
func ignoreBudgets(command *cobra.Command, ignore *bool) {
	command.Flags().BoolVarP(ignore, "ignore-pdb", "i", false, "delete pods that a PodDisruptionBudget protects, instead of waiting for it")
}

// bindScaleDownMode adds --scale-down-mode.
func bindScaleDownMode(command *cobra.Command, mode *string) {
	argument.Choice(command, mode, "scale-down-mode",
		"what becomes of nodes that are too many: Delete, or Deallocate, which stops them and keeps their disks; a pool that grows starts them first", "Delete", "Deallocate")
}
