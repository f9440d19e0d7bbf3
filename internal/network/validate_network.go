package network

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
)

// Validate says what no driver could make of a network.
func (n Network) Validate() error {
	if err := errors.Join(ValidateID(n.ID), n.validateRanges()); err != nil {
		return err
	}
	return errors.Join(n.validateSubnets(), n.validateOutbounds(), n.validatePorts(), n.validateFrontends(), n.CheckRoutes())
}

// validateRanges looks at what all the rest is measured by.
func (n Network) validateRanges() error {
	var errs []error
	var taken []netip.Prefix
	for _, p := range n.Space() {
		if !canonical(p) {
			errs = append(errs, fmt.Errorf("range %q is not a canonical IPv4 range", p))
			continue
		}
		if other, overlaps := firstOverlap(p, taken); overlaps {
			errs = append(errs, fmt.Errorf("range %s overlaps range %s", p, other))
		}
		taken = append(taken, p)
	}
	return errors.Join(errs...)
}

func (n Network) validateSubnets() error {
	var errs []error
	names := map[string]bool{}
	var taken []netip.Prefix
	for _, subnet := range n.Subnets {
		if subnet.Name == "" || names[subnet.Name] {
			errs = append(errs, fmt.Errorf("subnet name %q is empty or used twice", subnet.Name))
		}
		names[subnet.Name] = true
		if !canonical(subnet.Range) || !slices.ContainsFunc(n.AddressSpace, func(p netip.Prefix) bool { return contains(p, subnet.Range) }) {
			errs = append(errs, fmt.Errorf("subnet %s: %q is not a canonical range inside the address space", subnet.Name, subnet.Range))
			continue
		}
		if other, overlaps := firstOverlap(subnet.Range, taken); overlaps {
			errs = append(errs, fmt.Errorf("subnet %s: %s overlaps %s", subnet.Name, subnet.Range, other))
		}
		taken = append(taken, subnet.Range)
		errs = append(errs, subnet.validate())
	}
	return errors.Join(errs...)
}

// validate looks at a subnet's rules and routes.
func (s Subnet) validate() error {
	var errs []error
	type place struct {
		direction Direction
		priority  int
	}
	priorities := map[place]string{}
	for _, rule := range s.Rules {
		errs = append(errs, rule.Validate())
		at := place{rule.Direction, rule.Priority}
		if other, used := priorities[at]; used {
			errs = append(errs, fmt.Errorf("subnet %s: security rules %s and %s have the priority %d", s.Name, other, rule.Name, rule.Priority))
		}
		priorities[at] = rule.Name
	}
	prefixes := map[netip.Prefix]string{}
	for _, r := range s.Routes {
		errs = append(errs, r.Validate())
		if other, used := prefixes[r.Prefix]; used {
			errs = append(errs, fmt.Errorf("subnet %s: routes %s and %s lead to %s", s.Name, other, r.Name, r.Prefix))
		}
		prefixes[r.Prefix] = r.Name
	}
	return errors.Join(errs...)
}

// maxPortsPerNode is how many source ports an address has for translation.
const maxPortsPerNode = 64000

func (n Network) validateOutbounds() error {
	var errs []error
	ids, addresses := map[string]bool{}, map[netip.Addr]bool{}
	for _, outbound := range n.Outbounds {
		if outbound.ID == "" || ids[outbound.ID] {
			errs = append(errs, fmt.Errorf("outbound %q has no id or one that is used twice", outbound.ID))
		}
		ids[outbound.ID] = true
		if len(outbound.Addresses) == 0 {
			errs = append(errs, fmt.Errorf("outbound %s has no address", outbound.ID))
		}
		for _, address := range outbound.Addresses {
			if !address.Is4() || n.Private(address) || addresses[address] {
				errs = append(errs, fmt.Errorf("outbound %s: address %q is not a public IPv4 address or is used twice", outbound.ID, address))
			}
			addresses[address] = true
		}
		if outbound.PortsPerNode < 0 || outbound.PortsPerNode > maxPortsPerNode {
			errs = append(errs, fmt.Errorf("outbound %s: %d ports per node are not 0 to %d", outbound.ID, outbound.PortsPerNode, maxPortsPerNode))
		}
		for _, address := range outbound.Reachable {
			if !address.Is4() {
				errs = append(errs, fmt.Errorf("outbound %s: reachable address %q is not an IPv4 address", outbound.ID, address))
			}
		}
	}
	return errors.Join(errs...)
}

// Validate says what no driver could make of a port, whatever its network.
func (p Port) Validate() error {
	if err := ValidateID(p.ID); err != nil {
		return err
	}
	if !p.Address.Is4() {
		return fmt.Errorf("port %s needs an IPv4 address, has %q", p.ID, p.Address)
	}
	if p.PodRange.IsValid() && !canonical(p.PodRange) {
		return fmt.Errorf("port %s: pod range %q is not a canonical IPv4 range", p.ID, p.PodRange)
	}
	if i := slices.IndexFunc(p.PodAddresses, func(a netip.Addr) bool { return !a.Is4() }); i >= 0 {
		return fmt.Errorf("port %s: pod address %q is not an IPv4 address", p.ID, p.PodAddresses[i])
	}
	return nil
}

func (n Network) validatePorts() error {
	var errs []error
	ids, addresses := map[string]bool{}, map[netip.Addr]bool{}
	for _, gateway := range n.Gateways() {
		addresses[gateway] = true
	}
	var ranges []netip.Prefix
	for _, port := range n.Ports {
		if err := port.Validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		subnet, known := n.Subnet(port.Subnet)
		if ids[port.ID] || !known || !subnet.Range.Contains(port.Address) {
			errs = append(errs, fmt.Errorf("port %s: its id is used twice, or its address %s is not in its subnet %q", port.ID, port.Address, port.Subnet))
		}
		for _, address := range append([]netip.Addr{port.Address}, port.PodAddresses...) {
			if _, inSubnet := n.SubnetOf(address); addresses[address] || !inSubnet {
				errs = append(errs, fmt.Errorf("port %s: its address %s is used twice, is a gateway's, or is in no subnet", port.ID, address))
			}
			addresses[address] = true
		}
		if port.PodRange.IsValid() {
			_, used := firstOverlap(port.PodRange, ranges)
			if used || !slices.ContainsFunc(n.PodRanges, func(p netip.Prefix) bool { return contains(p, port.PodRange) }) {
				errs = append(errs, fmt.Errorf("port %s: its pod range %s is used twice or is in no pod range of the network", port.ID, port.PodRange))
			}
			ranges = append(ranges, port.PodRange)
		}
		if _, known := n.Outbound(port.Outbound); port.Outbound != "" && !known {
			errs = append(errs, fmt.Errorf("port %s: there is no outbound %q", port.ID, port.Outbound))
		}
		ids[port.ID] = true
	}
	return errors.Join(errs...)
}

// canonical says whether a range is one of IPv4 without bits beyond its length.
func canonical(p netip.Prefix) bool {
	return p.IsValid() && p.Addr().Is4() && p == p.Masked()
}
