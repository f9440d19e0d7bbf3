package aks

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
)

// createFlags are the flags of "berth aks create".
type createFlags struct {
	group             string
	name              string
	location          string
	kubernetesVersion string
	dnsNamePrefix     string
	network           networkFlags
	tier              string
	tags              map[string]*string
	nodepoolName      string
	nodepoolLabels    map[string]*string
	nodepoolTags      map[string]*string
	nodepoolTaints    []*string
	nodeCount         int32
	nodeVMSize        string
	nodeOSDiskSize    int32
	maxPods           int32
	zones             []*string
	noWait            bool
}

// cluster is the resource that the flags ask for. What the user left out is
// left to the service, but for what az fills in.
func (f createFlags) cluster(subscriptionID string) armcontainerservice.ManagedCluster {
	cluster := armcontainerservice.ManagedCluster{
		Location: &f.location,
		Identity: &armcontainerservice.ManagedClusterIdentity{Type: to.Ptr(armcontainerservice.ResourceIdentityTypeSystemAssigned)},
		Properties: &armcontainerservice.ManagedClusterProperties{
			DNSPrefix:         optional(f.dnsNamePrefix),
			KubernetesVersion: optional(f.kubernetesVersion),
			EnableRBAC:        to.Ptr(true),
			AgentPoolProfiles: []*armcontainerservice.ManagedClusterAgentPoolProfile{f.pool()},
			NetworkProfile:    f.network.profile(),
			NodeResourceGroup: optional(f.network.nodeResourceGroup),
		},
	}
	if f.dnsNamePrefix == "" {
		cluster.Properties.DNSPrefix = to.Ptr(defaultDNSPrefix(f.name, f.group, subscriptionID))
	}
	if len(f.tags) > 0 {
		cluster.Tags = f.tags
	}
	if f.tier != "" {
		tier := armcontainerservice.ManagedClusterSKUTier(strings.ToUpper(f.tier[:1]) + f.tier[1:])
		cluster.SKU = &armcontainerservice.ManagedClusterSKU{Name: to.Ptr(armcontainerservice.ManagedClusterSKUNameBase), Tier: &tier}
	}
	return cluster
}

// pool is the first node pool, which every cluster has.
func (f createFlags) pool() *armcontainerservice.ManagedClusterAgentPoolProfile {
	pool := &armcontainerservice.ManagedClusterAgentPoolProfile{
		Name:                &f.nodepoolName,
		Count:               &f.nodeCount,
		VMSize:              &f.nodeVMSize,
		Mode:                to.Ptr(armcontainerservice.AgentPoolModeSystem),
		OSType:              to.Ptr(armcontainerservice.OSTypeLinux),
		Type:                to.Ptr(armcontainerservice.AgentPoolTypeVirtualMachineScaleSets),
		OrchestratorVersion: optional(f.kubernetesVersion),
		NodeTaints:          f.nodepoolTaints,
		AvailabilityZones:   f.zones,
		VnetSubnetID:        optional(f.network.vnetSubnetID),
		PodSubnetID:         optional(f.network.podSubnetID),
	}
	if f.nodeOSDiskSize != 0 {
		pool.OSDiskSizeGB = &f.nodeOSDiskSize
	}
	if f.maxPods != 0 {
		pool.MaxPods = &f.maxPods
	}
	if len(f.nodepoolLabels) > 0 {
		pool.NodeLabels = f.nodepoolLabels
	}
	if len(f.nodepoolTags) > 0 {
		pool.Tags = f.nodepoolTags
	}
	return pool
}

// defaultDNSPrefix is the prefix that az makes: the beginnings of the names of
// cluster and group, and of the subscription's id, so that two people's "demo"
// differ.
func defaultDNSPrefix(name, group, subscriptionID string) string {
	unfit := regexp.MustCompile(`[^A-Za-z0-9-]`)
	namePart := first(unfit.ReplaceAllString(name, ""), 10)
	if namePart == "" || !unicode.IsLetter(rune(namePart[0])) {
		namePart = first("a"+namePart, 10)
	}
	return namePart + "-" + first(unfit.ReplaceAllString(group, ""), 16) + "-" + first(subscriptionID, 6)
}

func first(s string, n int) string { return s[:min(n, len(s))] }

// optional is nil for a text that was not given.
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
