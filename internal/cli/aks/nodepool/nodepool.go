// Package nodepool owns "berth aks nodepool": the node pools of a managed
// cluster, with az's own verbs and flags.
package nodepool

import (
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth aks nodepool".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "nodepool",
		Short: "Manage the node pools of a managed cluster",
		Example: `  berth aks nodepool add --resource-group demo --cluster-name demo --name batch --node-count 1
  berth aks nodepool list -g demo --cluster-name demo --output table`,
	}
	command.AddCommand(
		newAdd(s),
		newDelete(s),
		newDeleteMachines(s),
		newGetUpgrades(s),
		newList(s),
		newOperationAbort(s),
		newRollback(s),
		newScale(s),
		newShow(s),
		newStart(s),
		newStop(s),
		newUpdate(s),
		newUpgrade(s),
		newWait(s),
	)
	return command
}

// columns are az's columns of a table of node pools.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Name", Path: "name"},
		{Header: "OsType", Path: "osType"},
		{Header: "KubernetesVersion", Path: "orchestratorVersion"},
		{Header: "VmSize", Path: "vmSize"},
		{Header: "Count", Path: "count"},
		{Header: "MaxPods", Path: "maxPods"},
		{Header: "ProvisioningState", Path: "provisioningState"},
		{Header: "Mode", Path: "mode"},
	}}
}

// target names the node pool that a command works on.
type target struct {
	group   string
	cluster string
	name    string
}

func (t *target) bind(s *session.Session, command *cobra.Command) {
	argument.ResourceGroup(s, command, &t.group)
	argument.ClusterName(s, command, "cluster-name", &t.cluster)
	argument.PoolName(s, command, &t.name)
}

// look is the command that shows the pool.
func (t target) look() string {
	return "berth aks nodepool show --resource-group " + t.group + " --cluster-name " + t.cluster + " --name " + t.name
}
