// Package machine owns "berth aks machine": the machines of a node pool, with
// the verbs and flags that newer versions of az have.
package machine

import (
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/output"
	"berth.dev/berth/internal/cli/session"
)

// NewCommand is "berth aks machine".
func NewCommand(s *session.Session) *cobra.Command {
	command := &cobra.Command{
		Use:   "machine",
		Short: "Show the machines of a node pool",
		Long: `Show the machines of a node pool, with their addresses. A machine has the name of its
node. "berth aks nodepool delete-machines" deletes machines by name.`,
		Example: `  berth aks machine list --resource-group demo --cluster-name demo --nodepool-name nodepool1 --output table`,
	}
	command.AddCommand(newList(s), newShow(s))
	return command
}

// columns are az's columns of a table of machines.
func columns() output.Columns {
	return output.Columns{Columns: []output.Column{
		{Header: "Name", Path: "name"},
		{Header: "Ip", Path: "network.ipAddresses[0].ip"},
		{Header: "Family", Path: "network.ipAddresses[0].family"},
	}}
}

// target names the node pool that a command works on.
type target struct{ group, cluster, pool string }

func (t *target) bind(s *session.Session, command *cobra.Command) {
	argument.ResourceGroup(s, command, &t.group)
	argument.ClusterName(s, command, "cluster-name", &t.cluster)
	argument.OwnerPoolName(s, command, &t.pool)
}

func newList(s *session.Session) *cobra.Command {
	var t target
	command := &cobra.Command{
		Use:   "list",
		Short: "List the machines of a node pool",
		Args:  cobra.NoArgs,
		Example: `  berth aks machine list --resource-group demo --cluster-name demo --nodepool-name nodepool1 --output table
  berth aks machine list -g demo --cluster-name demo --nodepool-name nodepool1 --query "[].name" --output tsv`,
		RunE: func(command *cobra.Command, _ []string) error {
			machines, err := s.Machines()
			if err != nil {
				return err
			}
			found := []*armcontainerservice.Machine{}
			for pager := machines.NewListPager(t.group, t.cluster, t.pool, nil); pager.More(); {
				page, err := pager.NextPage(command.Context())
				if err != nil {
					return err
				}
				found = append(found, page.Value...)
			}
			return s.PrintResource(found, columns())
		},
	}
	t.bind(s, command)
	return command
}

func newShow(s *session.Session) *cobra.Command {
	var t target
	var name string
	command := &cobra.Command{
		Use:     "show",
		Short:   "Show a machine of a node pool",
		Args:    cobra.NoArgs,
		Example: `  berth aks machine show --resource-group demo --cluster-name demo --nodepool-name nodepool1 --machine-name aks-nodepool1-12345678-vmss000000`,
		RunE: func(command *cobra.Command, _ []string) error {
			machines, err := s.Machines()
			if err != nil {
				return err
			}
			found, err := machines.Get(command.Context(), t.group, t.cluster, t.pool, name, nil)
			if err != nil {
				return err
			}
			return s.PrintResource(found.Machine, columns())
		},
	}
	t.bind(s, command)
	command.Flags().StringVar(&name, "machine-name", "", "name of the machine, which is that of its node")
	argument.Require(command, "machine-name")
	return command
}
