package aks

import (
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerservice/armcontainerservice/v6"
	"github.com/spf13/cobra"

	"berth.dev/berth/internal/cli/argument"
)

// networkFlags are the flags of "berth aks create" about the cluster's network.
type networkFlags struct {
	plugin, pluginMode                  string
	podCIDR, serviceCIDR, dnsServiceIP  string
	vnetSubnetID, podSubnetID           string
	outboundType                        string
	outboundCount, outboundPorts        int32
	outboundAddresses, outboundPrefixes string
	nodeResourceGroup                   string
}

func (f *networkFlags) bind(command *cobra.Command) {
	argument.Choice(command, &f.plugin, "network-plugin", "where pods have their addresses from: azure (a subnet, or with --network-plugin-mode overlay a range per node), kubenet (a range per node) or none (a plugin of one's own)", "azure", "kubenet", "none")
	argument.Choice(command, &f.pluginMode, "network-plugin-mode", "overlay: with the plugin azure, a range of pods per node", "overlay")
	argument.Choice(command, &f.outboundType, "outbound-type", "how traffic leaves: loadBalancer (with public addresses of the cluster's) or none (nothing does)", "loadBalancer", "none")
	own := command.Flags()
	own.StringVar(&f.podCIDR, "pod-cidr", "", "range of the pods' addresses, e.g. 10.244.0.0/16")
	own.StringVar(&f.serviceCIDR, "service-cidr", "", "range of the services' addresses, e.g. 10.0.0.0/16")
	own.StringVar(&f.dnsServiceIP, "dns-service-ip", "", "address of the cluster's DNS, inside --service-cidr")
	own.StringVar(&f.vnetSubnetID, "vnet-subnet-id", "", "id of the subnet of the nodes (default: one of a network that is made for the cluster)")
	own.StringVar(&f.podSubnetID, "pod-subnet-id", "", "id of the subnet of the pods, with --network-plugin azure (default: that of the nodes)")
	own.Int32Var(&f.outboundCount, "load-balancer-managed-outbound-ip-count", 0, "number of public addresses that traffic leaves with (0: the service's default)")
	own.StringVar(&f.outboundAddresses, "load-balancer-outbound-ips", "", "ids of public addresses that traffic leaves with, parted by commas")
	own.StringVar(&f.outboundPrefixes, "load-balancer-outbound-ip-prefixes", "", "ids of public prefixes that traffic leaves with, parted by commas")
	own.Int32Var(&f.outboundPorts, "load-balancer-outbound-ports", 0, "ports of its public address that each node has for itself (0: all share all)")
	own.StringVar(&f.nodeResourceGroup, "node-resource-group", "", "name of the new resource group of what the cluster makes (default: MC_<group>_<name>_<location>)")
}

// profile is nil where the user leaves all of it to the service.
func (f networkFlags) profile() *armcontainerservice.NetworkProfile {
	profile := &armcontainerservice.NetworkProfile{
		PodCidr: optional(f.podCIDR), ServiceCidr: optional(f.serviceCIDR), DNSServiceIP: optional(f.dnsServiceIP),
		LoadBalancerProfile: f.balancer(),
	}
	if f.plugin != "" {
		profile.NetworkPlugin = to.Ptr(armcontainerservice.NetworkPlugin(f.plugin))
	}
	if f.pluginMode != "" {
		profile.NetworkPluginMode = to.Ptr(armcontainerservice.NetworkPluginMode(f.pluginMode))
	}
	if f.outboundType != "" {
		profile.OutboundType = to.Ptr(armcontainerservice.OutboundType(f.outboundType))
	}
	if said := f.plugin + f.pluginMode + f.outboundType + f.podCIDR + f.serviceCIDR + f.dnsServiceIP; said == "" && profile.LoadBalancerProfile == nil {
		return nil
	}
	return profile
}

// balancer is the outbound side of the cluster's load balancer, nil if nothing is said of it.
func (f networkFlags) balancer() *armcontainerservice.ManagedClusterLoadBalancerProfile {
	balancer := &armcontainerservice.ManagedClusterLoadBalancerProfile{}
	if f.outboundCount != 0 {
		balancer.ManagedOutboundIPs = &armcontainerservice.ManagedClusterLoadBalancerProfileManagedOutboundIPs{Count: &f.outboundCount}
	}
	if ids := references(f.outboundAddresses); ids != nil {
		balancer.OutboundIPs = &armcontainerservice.ManagedClusterLoadBalancerProfileOutboundIPs{PublicIPs: ids}
	}
	if ids := references(f.outboundPrefixes); ids != nil {
		balancer.OutboundIPPrefixes = &armcontainerservice.ManagedClusterLoadBalancerProfileOutboundIPPrefixes{PublicIPPrefixes: ids}
	}
	if f.outboundPorts != 0 {
		balancer.AllocatedOutboundPorts = &f.outboundPorts
	}
	if balancer.ManagedOutboundIPs == nil && balancer.OutboundIPs == nil && balancer.OutboundIPPrefixes == nil && balancer.AllocatedOutboundPorts == nil {
		return nil
	}
	return balancer
}

func references(list string) (ids []*armcontainerservice.ResourceReference) {
	for _, id := range strings.FieldsFunc(list, func(c rune) bool { return c == ',' || c == ' ' }) {
		ids = append(ids, &armcontainerservice.ResourceReference{ID: &id})
	}
	return ids
}
