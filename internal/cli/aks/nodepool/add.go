package nodepool

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
	"berth.dev/berth/internal/cli/session"
)

// defaultNodeCount is az's.
const defaultNodeCount = 3

type addFlags struct {
	vnetSubnetID, podSubnetID string
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
	zones             []*string
	scaleDownMode     string
	kubeletConfig     string
	linuxOSConfig     string
	queue             bool
	noWait            bool
	replace           replaceFlags
}

func newAdd(s *session.Session) *cobra.Command {
	flags := &addFlags{mode: "User", labels: map[string]*string{}, tags: map[string]*string{}}
	command := &cobra.Command{
		Use:   "add",
		Short: "Add a node pool to a managed cluster",
		Args:  cobra.NoArgs,
		Example: `  berth aks nodepool add --resource-group demo --cluster-name demo --name batch --node-count 1
  berth aks nodepool add -g demo --cluster-name demo -n gold -s Standard_D4s_v5 --labels tier=gold --node-taints gold=only:NoSchedule
  berth aks nodepool add -g demo --cluster-name demo -n spread --zones 1 2 3 --kubelet-config kubelet.json --max-surge 1`,
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
	argument.Words(command, &flags.zones, "zones", "failure domains that the nodes are spread over, parted by blanks: 1 2 3")
	bindScaleDownMode(command, &flags.scaleDownMode)
	flags.replace.bind(command)
	command.Flags().StringVar(&flags.kubeletConfig, "kubelet-config", "", "file with settings of the kubelet, as JSON: {\"podMaxPids\": 500}")
	command.Flags().StringVar(&flags.linuxOSConfig, "linux-os-config", "", "file with settings of the operating system, as JSON: {\"sysctls\": {\"netCoreSomaxconn\": 8192}}")
	bindQueue(command, &flags.queue)
	argument.NoWait(command, &flags.noWait)
	command.Flags().Int32Var(&flags.nodeOSDiskSize, "node-osdisk-size", 0, "size of each node's disk in GB (0: the service's default)")
	command.Flags().Int32VarP(&flags.maxPods, "max-pods", "m", 0, "pods on a node at most (0: the service's default)")
	command.Flags().StringVar(&flags.vnetSubnetID, "vnet-subnet-id", "", "id of the subnet of the nodes, in a cluster whose pools name subnets")
	command.Flags().StringVar(&flags.podSubnetID, "pod-subnet-id", "", "id of the subnet of the pods, of the same virtual network")
	return command
}

// pool is the resource that the flags ask for.
func (f *addFlags) pool() (resource, error) {
	properties := &armcontainerservice.ManagedClusterAgentPoolProfileProperties{
		Count:      &f.nodeCount,
		VMSize:     &f.nodeVMSize,
		Mode:       to.Ptr(armcontainerservice.AgentPoolMode(f.mode)),
		OSType:     to.Ptr(armcontainerservice.OSTypeLinux),
		Type:       to.Ptr(armcontainerservice.AgentPoolTypeVirtualMachineScaleSets),
		NodeTaints: f.taints, AvailabilityZones: f.zones,
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
	if f.vnetSubnetID != "" {
		properties.VnetSubnetID = &f.vnetSubnetID
	}
	if f.podSubnetID != "" {
		properties.PodSubnetID = &f.podSubnetID
	}
	if f.scaleDownMode != "" {
		properties.ScaleDownMode = to.Ptr(armcontainerservice.ScaleDownMode(f.scaleDownMode))
	}
	if len(f.labels) > 0 {
		properties.NodeLabels = f.labels
	}
	if len(f.tags) > 0 {
		properties.Tags = f.tags
	}
	content, err := json.Marshal(armcontainerservice.AgentPool{Properties: properties})
	if err != nil {
		return nil, err
	}
	pool := resource{}
	if err := json.Unmarshal(content, &pool); err != nil {
		return nil, err
	}
	f.replace.edit(pool)
	for property, file := range map[string]string{"kubeletConfig": f.kubeletConfig, "linuxOSConfig": f.linuxOSConfig} {
		if file == "" {
			continue
		}
		if pool.section("")[property], err = settings(file); err != nil {
			return nil, err
		}
	}
	return pool, nil
}

// settings reads a file of settings, whose names and values the service judges.
func settings(file string) (map[string]any, error) {
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var settings map[string]any
	if err := json.Unmarshal(content, &settings); err != nil {
		return nil, fmt.Errorf("reading %s: it is no JSON object: %w", file, err)
	}
	return settings, nil
}

func add(ctx context.Context, s *session.Session, flags *addFlags) error {
	pools, err := s.AgentPools()
	if err != nil {
		return err
	}
	if err := mustBeNew(ctx, pools, flags.target); err != nil {
		return err
	}
	body, err := flags.pool()
	if err != nil {
		return err
	}
	pool, err := open(s, flags.target)
	if err != nil {
		return err
	}
	response, err := pool.send(queueing(ctx, flags.queue), call{method: http.MethodPut, body: body})
	if err != nil || flags.noWait {
		return err
	}
	return change{target: flags.target, what: "Adding node pool " + flags.name}.finish(ctx, s, pool, response)
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
