package nodepool

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/operation"
	"berth.dev/berth/internal/cli/session"
)

// defaultNodeCount is az's.
const defaultNodeCount = 3

type addFlags struct {
	target
	kubernetesVersion string
	mode              string
	nodeCount         int32
	nodeVMSize        string
	nodeOSDiskSize    int32
	maxPods           int32
	labels            map[string]*string
	taints            []*string
	tags              map[string]*string
	noWait            bool
}

func newAdd(s *session.Session) *cobra.Command {
	flags := addFlags{mode: "User", labels: map[string]*string{}, tags: map[string]*string{}}
	command := &cobra.Command{
		Use:   "add",
		Short: "Add a node pool to a managed cluster",
		Args:  cobra.NoArgs,
		Example: `  berth aks nodepool add --resource-group demo --cluster-name demo --name batch --node-count 1
  berth aks nodepool add -g demo --cluster-name demo -n gold -s Standard_D4s_v5 --labels tier=gold --node-taints gold=only:NoSchedule`,
		RunE: func(command *cobra.Command, _ []string) error { return add(command.Context(), s, flags) },
	}
	flags.bind(s, command)
	argument.KubernetesVersion(s, command, &flags.kubernetesVersion)
	argument.NodeCount(command, &flags.nodeCount, defaultNodeCount)
	argument.NodeVMSize(command, &flags.nodeVMSize)
	argument.Choice(command, &flags.mode, "mode", "what the pool is for: User or System", "User", "System")
	argument.Pairs(command, flags.labels, "labels", "Kubernetes labels of the nodes, parted by blanks: key=value ...")
	argument.Words(command, &flags.taints, "node-taints", "Kubernetes taints of the nodes: key=value:effect, ...")
	argument.Pairs(command, flags.tags, "tags", "tags, parted by blanks: key[=value] ...")
	argument.NoWait(command, &flags.noWait)
	command.Flags().Int32Var(&flags.nodeOSDiskSize, "node-osdisk-size", 0, "size of each node's disk in GB (0: the service's default)")
	command.Flags().Int32VarP(&flags.maxPods, "max-pods", "m", 0, "pods on a node at most (0: the service's default)")
	return command
}

// pool is the resource that the flags ask for.
func (f addFlags) pool() armcontainerservice.AgentPool {
	properties := &armcontainerservice.ManagedClusterAgentPoolProfileProperties{
		Count:      &f.nodeCount,
		VMSize:     &f.nodeVMSize,
		Mode:       to.Ptr(armcontainerservice.AgentPoolMode(f.mode)),
		OSType:     to.Ptr(armcontainerservice.OSTypeLinux),
		Type:       to.Ptr(armcontainerservice.AgentPoolTypeVirtualMachineScaleSets),
		NodeTaints: f.taints,
	}
	if f.kubernetesVersion != "" {
		properties.OrchestratorVersion = &f.kubernetesVersion
	}
	if f.nodeOSDiskSize != 0 {
		properties.OSDiskSizeGB = &f.nodeOSDiskSize
	}
	if f.maxPods != 0 {
		properties.MaxPods = &f.maxPods
	}
	if len(f.labels) > 0 {
		properties.NodeLabels = f.labels
	}
	if len(f.tags) > 0 {
		properties.Tags = f.tags
	}
	return armcontainerservice.AgentPool{Properties: properties}
}

func add(ctx context.Context, s *session.Session, flags addFlags) error {
	pools, err := s.AgentPools()
	if err != nil {
		return err
	}
	if err := mustBeNew(ctx, pools, flags.target); err != nil {
		return err
	}
	poller, err := pools.BeginCreateOrUpdate(ctx, flags.group, flags.cluster, flags.name, flags.pool(), nil)
	if err != nil || flags.noWait {
		return err
	}
	result, err := operation.Wait(ctx, s, poller, operation.Words{What: "Adding node pool " + flags.name, Look: flags.look()})
	if err != nil {
		return err
	}
	return s.PrintResource(result.AgentPool, columns())
}

// mustBeNew refuses to add what is there, as az does.
func mustBeNew(ctx context.Context, pools *armcontainerservice.AgentPoolsClient, t target) error {
	_, err := pools.Get(ctx, t.group, t.cluster, t.name, nil)
	var response *azcore.ResponseError
	switch {
	case err == nil:
		return fmt.Errorf("the node pool %q exists already: choose another name; see what there is with `berth aks nodepool list`", t.name)
	case errors.As(err, &response) && response.StatusCode == http.StatusNotFound:
		return nil // the request itself says if it is the cluster that is missing
	default:
		return err
	}
}
