package network

import (
	"net/netip"
	"slices"
)

// Network is the whole desired state of one virtual network.
type Network struct {
	// ID is the network's incarnation.
	ID string
	// AddressSpace are the ranges that subnets lie in, disjoint. What of them is
	// not attached is a hole: nothing follows the way to the edge.
	AddressSpace []netip.Prefix
	// Subnets are disjoint parts of the address space.
	Subnets []Subnet
	// PodRanges are ranges outside of the address space that pods have their
	// addresses from; those of the ports lie in them.
	PodRanges []netip.Prefix
	// Outbounds are the ways out of the network, by which ports leave.
	Outbounds []Outbound
	// Ports are the machines that may be attached.
	Ports []Port
	// Frontends are the balanced addresses.
	Frontends []Frontend
}

// Subnet is a part of a network with a gateway, rules and routes of its own.
// Nodes of one subnet speak through the router, too, so its rules hold between them.
type Subnet struct {
	// Name is unique in the network.
	Name string
	// Range is its part of the address space; its first address is the gateway,
	// the first four and the last are no machine's.
	Range netip.Prefix
	// Rules are the security rules of both directions, Azure's default rules
	// included; see DefaultSecurityRules. None: everything passes.
	Rules []SecurityRule
	// Routes are the user-defined routes.
	Routes []Route
}

// Outbound is one way out of the network: the public addresses that what
// leaves by it has.
type Outbound struct {
	// ID is unique in the network: the incarnation of a cluster.
	ID string
	// Addresses are public, at least one; a node keeps to one of them.
	Addresses []netip.Addr
	// PortsPerNode is how many source ports of its address a node has for itself;
	// 0: all nodes share all. Nodes that find no free share take part in those of others.
	PortsPerNode int
	// Disabled says that nothing leaves but to the addresses of Reachable.
	Disabled bool
	// Reachable are public addresses that are reached even if Disabled: the
	// cluster's own API server, the service's front end and its DNS.
	Reachable []netip.Addr
}

// Port is the place of one machine.
type Port struct {
	// ID is the machine's incarnation.
	ID string
	// Subnet is the name of the subnet of Address.
	Subnet string
	// Address is the machine's address.
	Address netip.Addr
	// PodRange is routed to the machine; the zero Prefix if it has none.
	PodRange netip.Prefix
	// PodAddresses are addresses out of subnets that are routed to the machine,
	// too. The rules of the subnet that one lies in hold for it.
	PodAddresses []netip.Addr
	// Outbound is the ID of the way out that the machine and its pods take;
	// empty: none.
	Outbound string
}

// Subnet is the subnet of a name.
func (n Network) Subnet(name string) (Subnet, bool) {
	i := slices.IndexFunc(n.Subnets, func(s Subnet) bool { return s.Name == name })
	if i < 0 {
		return Subnet{}, false
	}
	return n.Subnets[i], true
}

// SubnetOf is the subnet that an address lies in.
func (n Network) SubnetOf(address netip.Addr) (Subnet, bool) {
	i := slices.IndexFunc(n.Subnets, func(s Subnet) bool { return s.Range.Contains(address) })
	if i < 0 {
		return Subnet{}, false
	}
	return n.Subnets[i], true
}

// Outbound is the way out of an ID.
func (n Network) Outbound(id string) (Outbound, bool) {
	i := slices.IndexFunc(n.Outbounds, func(o Outbound) bool { return o.ID == id })
	if i < 0 {
		return Outbound{}, false
	}
	return n.Outbounds[i], true
}

// PortOf is the port that an address is routed to.
func (n Network) PortOf(address netip.Addr) (Port, bool) {
	i := slices.IndexFunc(n.Ports, func(p Port) bool { return p.Has(address) })
	if i < 0 {
		return Port{}, false
	}
	return n.Ports[i], true
}

// Has says whether an address is routed to the port.
func (p Port) Has(address netip.Addr) bool {
	return p.Address == address || p.PodRange.IsValid() && p.PodRange.Contains(address) || slices.Contains(p.PodAddresses, address)
}

// Space are the ranges that are the network's own: its address space and the
// ranges of its pods.
func (n Network) Space() []netip.Prefix {
	return slices.Concat(n.AddressSpace, n.PodRanges)
}

// Private says whether an address is one of the network's own ranges.
func (n Network) Private(address netip.Addr) bool {
	return slices.ContainsFunc(n.Space(), func(p netip.Prefix) bool { return p.Contains(address) })
}

// Gateways are the router's own addresses in the network, one a subnet.
func (n Network) Gateways() []netip.Addr {
	var all []netip.Addr
	for _, subnet := range n.Subnets {
		all = append(all, Gateway(subnet.Range))
	}
	return all
}

// PublicAddresses are the addresses that the edge routes to the network, each
// once: the outbound ones first.
func (n Network) PublicAddresses() []netip.Addr {
	var all []netip.Addr
	for _, outbound := range n.Outbounds {
		all = append(all, outbound.Addresses...)
	}
	for _, frontend := range n.Frontends {
		if !frontend.Internal {
			all = append(all, frontend.Address)
		}
	}
	var unique []netip.Addr
	seen := map[netip.Addr]bool{}
	for _, address := range all {
		if !seen[address] {
			unique = append(unique, address)
		}
		seen[address] = true
	}
	return unique
}

// Clone is a copy that shares nothing with the original.
func (n Network) Clone() Network {
	n.AddressSpace, n.PodRanges = slices.Clone(n.AddressSpace), slices.Clone(n.PodRanges)
	n.Subnets, n.Outbounds, n.Ports, n.Frontends = slices.Clone(n.Subnets), slices.Clone(n.Outbounds), slices.Clone(n.Ports), slices.Clone(n.Frontends)
	for i := range n.Subnets {
		n.Subnets[i].Rules, n.Subnets[i].Routes = slices.Clone(n.Subnets[i].Rules), slices.Clone(n.Subnets[i].Routes)
	}
	for i := range n.Outbounds {
		n.Outbounds[i].Addresses, n.Outbounds[i].Reachable = slices.Clone(n.Outbounds[i].Addresses), slices.Clone(n.Outbounds[i].Reachable)
	}
	for i := range n.Ports {
		n.Ports[i].PodAddresses = slices.Clone(n.Ports[i].PodAddresses)
	}
	return n
}
