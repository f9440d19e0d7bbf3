package containerservice

import (
	"fmt"
	"strings"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/naming"
)

// DefaultServiceCIDR is the service range of a cluster that asks for none, that of
// the public service.
const DefaultServiceCIDR = "10.0.0.0/16"

// The other defaults of a new cluster, those of the public service.
const (
	defaultPodCIDR   = "10.244.0.0/16"
	defaultVNetCIDR  = "10.224.0.0/12"
	defaultNodeCIDR  = "10.224.0.0/16"
	defaultOSDiskGB  = 128
	maxNodeGroupName = 80
)

// draft is a request on its way from body to desired state.
type draft struct {
	// ignoreBudgets deletes pods that a PodDisruptionBudget protects.
	ignoreBudgets bool
	// old is the cluster as it is, nil on create; next is as it shall be.
	old, next *containerservicev1alpha1.ManagedCluster
	body      *arm.Body
	fields    *arm.FieldErrors
	// apiVersion is that of the request: some defaults depend on it.
	apiVersion string
	// operationID is the id of the operation that the write starts; a fresh one if empty.
	operationID string
	// joined is the network that the cluster lives in, as it was read before it was
	// looked whether there is room; nil if it has one of its own.
	joined *networkv1.VirtualNetwork
}

// convertCluster makes the desired state out of a request: what it does not
// say stays as it is, or has its default on create.
func convertCluster(d *draft, request clusterRequest, id arm.ResourceID, location string) {
	if d.old == nil {
		d.next = newCluster(id, request, location)
	} else {
		d.next = d.old.DeepCopy()
		if d.next.Spec.PowerState == meta.PowerStopped { // its stop was aborted, or the write is refused
			d.next.Spec.PowerState = meta.PowerRunning
		}
	}
	spec := &d.next.Spec
	spec.Tags = request.Tags
	if disable := request.Properties.APIServerAccess.DisableRunCommand; disable != nil {
		spec.DisableRunCommand = *disable
	}
	convertAuthorized(d, request.Properties.APIServerAccess.AuthorizedIPRanges)
	convertVersion(d, request.Properties.KubernetesVersion)
	convertOverride(d, request.Properties.UpgradeSettings)
	convertChannel(d, request.Properties.AutoUpgradeProfile)
	convertNodeOSChannel(d, request.Properties.AutoUpgradeProfile)
	convertNetwork(d, request.Properties.NetworkProfile)
	convertOutbound(d, request.Properties.NetworkProfile.LoadBalancerProfile)
	seen := map[string]bool{}
	for i, pool := range request.Properties.AgentPoolProfiles {
		path := fmt.Sprintf("properties.agentPoolProfiles[%d].", i)
		if seen[pool.Name] {
			d.fields.Invalid(d.body.Path(path+"name"), "The agent pool name '%s' occurs more than once.", pool.Name)
			continue
		}
		seen[pool.Name] = true
		setPool(spec, convertPool(d, pool, path))
	}
}

// newCluster is a cluster as it is born: what is decided once.
func newCluster(id arm.ResourceID, request clusterRequest, location string) *containerservicev1alpha1.ManagedCluster {
	cluster := &containerservicev1alpha1.ManagedCluster{}
	cluster.Name = naming.Object(id.String())
	cluster.Finalizers = []string{containerservicev1alpha1.ManagedClusterFinalizer}
	cluster.Spec = containerservicev1alpha1.ManagedClusterSpec{
		SubscriptionID: strings.ToLower(id.SubscriptionID), ResourceGroup: id.ResourceGroup, Name: id.Name(),
		Location: location, Tier: "Free", IdentityType: "SystemAssigned",
		DNSPrefix: request.Properties.DNSPrefix, NodeResourceGroup: request.Properties.NodeResourceGroup,
		Network: containerservicev1alpha1.NetworkProfile{
			VNetCIDR: defaultVNetCIDR, NodeCIDR: defaultNodeCIDR, OutboundType: containerservicev1alpha1.OutboundTypeLoadBalancer,
		},
	}
	if cluster.Spec.DNSPrefix == "" {
		cluster.Spec.DNSPrefix = defaultDNSPrefix(id)
	}
	if cluster.Spec.NodeResourceGroup == "" {
		name := "MC_" + id.ResourceGroup + "_" + id.Name() + "_" + location
		cluster.Spec.NodeResourceGroup = strings.TrimRight(name[:min(len(name), maxNodeGroupName)], ".")
	}
	return cluster
}

// defaultDNSPrefix is the prefix that the public command line sends:
// {name[:10]}-{group[:16]}-{subscription[:6]}, letters, digits and dashes.
func defaultDNSPrefix(id arm.ResourceID) string {
	keep := func(s string, length int) string {
		s = strings.Map(func(c rune) rune {
			if c == '-' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
				return c
			}
			return -1
		}, s)
		return s[:min(len(s), length)]
	}
	name := keep(id.Name(), 10)
	if name == "" || name[0] < 'A' {
		name = "a" + name
	}
	return name + "-" + keep(id.ResourceGroup, 16) + "-" + keep(id.SubscriptionID, 6)
}

// setPool replaces the pool of the same name, or adds it.
func setPool(spec *containerservicev1alpha1.ManagedClusterSpec, pool containerservicev1alpha1.AgentPoolProfile) {
	for i := range spec.AgentPools {
		if spec.AgentPools[i].Name == pool.Name {
			spec.AgentPools[i] = pool
			return
		}
	}
	spec.AgentPools = append(spec.AgentPools, pool)
}

// convertPool makes the desired state of a pool, below a path of the body. The
// rules of its values are checked here too, where the path is at hand.
func convertPool(d *draft, request poolRequest, path string) containerservicev1alpha1.AgentPoolProfile {
	var old *containerservicev1alpha1.AgentPoolProfile
	if d.old != nil {
		old = d.old.AgentPool(request.Name)
	}
	pool := containerservicev1alpha1.AgentPoolProfile{
		Name: request.Name, Count: 1, VMSize: machine.DefaultSize, OSDiskSizeGB: defaultOSDiskGB, MaxPods: defaultMaxPods(d.next.Spec.Network),
		Mode: defaultMode(d.apiVersion), OrchestratorVersion: d.next.ServedVersion(),
	}
	if old != nil {
		old.DeepCopyInto(&pool)
	}
	if request.Count != nil {
		pool.Count = *request.Count
	}
	if request.VMSize != "" && !strings.EqualFold(request.VMSize, pool.VMSize) {
		pool.VMSize = request.VMSize
	}
	if request.OSDiskSizeGB != 0 { // 0 means the default, or as it is
		pool.OSDiskSizeGB = request.OSDiskSizeGB
	}
	if request.MaxPods != nil && *request.MaxPods != 0 {
		pool.MaxPods = *request.MaxPods
	}
	if request.Mode != "" {
		pool.Mode = request.Mode
	}
	p := poolDraft{draft: d, path: path, old: old, pool: &pool}
	p.subnets(request)
	if request.NodeLabels != nil {
		pool.NodeLabels = request.NodeLabels
	}
	if request.NodeTaints != nil {
		pool.NodeTaints = request.NodeTaints
	}
	if request.Tags != nil {
		pool.Tags = request.Tags
	}
	p.version(request.OrchestratorVersion)
	p.settings(request)
	p.nodeConfig(request)
	p.validate()
	if old != nil {
		p.validateChange()
	}
	return pool
}
