package v1alpha1

// DefaultSubnet is the name of the subnet of a network that was made for a
// cluster: AKS's name.
const DefaultSubnet = "aks-subnet"

// Current is the spec as this version writes it. Earlier versions made one
// network per cluster, named by the cluster's incarnation, with one subnet, one
// pod range and one outbound address; this is the one place that knows of it.
func (s VirtualNetworkSpec) Current() VirtualNetworkSpec {
	current := *s.DeepCopy()
	if s.NodeCIDR != "" && len(s.Subnets) == 0 {
		current.AddressSpace = []string{s.NodeCIDR}
		current.Subnets = []Subnet{{Name: DefaultSubnet, CIDR: s.NodeCIDR}}
	}
	if s.PodCIDR != "" && len(s.PodCIDRs) == 0 {
		current.PodCIDRs = []PodCIDR{{ClusterIncarnation: s.Incarnation, CIDR: s.PodCIDR}}
	}
	if s.OutboundAddress != "" && len(s.Outbounds) == 0 {
		current.Outbounds = []Outbound{{ClusterIncarnation: s.Incarnation, Addresses: []string{s.OutboundAddress}}}
	}
	for i := range current.Ports {
		if current.Ports[i].ClusterIncarnation == "" {
			current.Ports[i].ClusterIncarnation = s.Incarnation
		}
		if current.Ports[i].Subnet == "" && len(current.Subnets) > 0 {
			current.Ports[i].Subnet = current.Subnets[0].Name
		}
	}
	current.NodeCIDR, current.PodCIDR, current.OutboundAddress = "", "", ""
	return current
}
