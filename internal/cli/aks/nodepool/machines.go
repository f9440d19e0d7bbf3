package nodepool

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

type machinesFlags struct {
	target
	names         []*string
	ignoreBudgets bool
	queue         bool
	noWait        bool
}

func newDeleteMachines(s *session.Session) *cobra.Command {
	flags := &machinesFlags{}
	command := &cobra.Command{
		Use:   "delete-machines",
		Short: "Drain and delete nodes of a node pool by name",
		Long: `Drain and delete nodes of a node pool by their names, as kubectl get nodes shows them.
The count of the pool goes down by as many.`,
		Args: cobra.NoArgs,
		Example: `  berth aks nodepool delete-machines --resource-group demo --cluster-name demo --nodepool-name batch --machine-names aks-batch-12345678-vmss000001
  berth aks nodepool delete-machines -g demo --cluster-name demo -n batch --machine-names aks-batch-12345678-vmss000000 aks-batch-12345678-vmss000002 --ignore-pdb`,
		RunE: func(command *cobra.Command, _ []string) error { return deleteMachines(command.Context(), s, flags) },
	}
	flags.bind(s, command)
	argument.Words(command, &flags.names, "machine-names", "names of the nodes, parted by blanks")
	argument.Require(command, "machine-names")
	ignoreBudgets(command, &flags.ignoreBudgets)
	bindQueue(command, &flags.queue)
	argument.NoWait(command, &flags.noWait)
	return command
}

func deleteMachines(ctx context.Context, s *session.Session, flags *machinesFlags) error {
	pool, err := open(s, flags.target)
	if err != nil {
		return err
	}
	c := change{target: flags.target, what: fmt.Sprintf("Deleting %d nodes of node pool %s", len(flags.names), flags.name), ignoreBudgets: flags.ignoreBudgets}
	response, err := pool.send(queueing(ctx, flags.queue), call{method: http.MethodPost, action: "deleteMachines", query: c.query(), body: map[string]any{"machineNames": flags.names}})
	if err != nil || flags.noWait {
		return err
	}
	return c.wait(ctx, s, pool, response)
}

type rollbackFlags struct {
	target
	yes    bool
	queue  bool
	noWait bool
}

func newRollback(s *session.Session) *cobra.Command {
	flags := &rollbackFlags{}
	command := &cobra.Command{
		Use:   "rollback",
		Short: "Bring a node pool back to the Kubernetes version before its last upgrade",
		Long: `Bring a node pool back to the Kubernetes version that it had before its last upgrade. Its
nodes are replaced one after the other, as in an upgrade.`,
		Args:    cobra.NoArgs,
		Example: `  berth aks nodepool rollback --resource-group demo --cluster-name demo --name batch --yes`,
		RunE:    func(command *cobra.Command, _ []string) error { return rollBack(command.Context(), s, flags) },
	}
	flags.bind(s, command)
	argument.Yes(command, &flags.yes)
	bindQueue(command, &flags.queue)
	argument.NoWait(command, &flags.noWait)
	return command
}

func rollBack(ctx context.Context, s *session.Session, flags *rollbackFlags) error {
	if !flags.yes {
		if err := s.Confirm(ctx, fmt.Sprintf("Replace the nodes of %s by ones of the version before?", flags.name)); err != nil {
			return err
		}
	}
	extension, err := s.Extension()
	if err != nil {
		return err
	}
	path := extension.Cluster(flags.group, flags.cluster, runtime.JoinPaths("agentPools", url.PathEscape(flags.name), "rollback"))
	response, err := extension.Do(queueing(ctx, flags.queue), http.MethodPost, path, nil)
	if err != nil || flags.noWait {
		return err
	}
	poller, err := extension.Poller(response)
	if err != nil {
		return err
	}
	_, err = operation.Wait(ctx, s, poller, operation.Words{What: "Rolling back node pool " + flags.name, Look: flags.look()})
	return err
}
