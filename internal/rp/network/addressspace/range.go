// Package addressspace is what the ranges of virtual networks and subnets have
// to be: canonical, disjoint, big enough, and none that belongs to others. It
// knows no request and stores nothing.
package addressspace

import (
	"fmt"
	"net/netip"
	"strings"
)

// The lengths that ranges may have, Azure's.
const (
	shortest       = 2
	longestNetwork = 29
	longestSubnet  = 29
)

// Problem is what is wrong with a range, with ARM's code for it.
type Problem struct {
	// Code is ARM's error code, Message says what is wrong and what to do.
	Code, Message string
	// Subnet is the index of the subnet at fault, -1 of the address space; Prefix
	// the index within the address space, -1 of all of it.
	Subnet, Prefix int
}

// Subnet is a subnet as rules see it.
type Subnet struct {
	Name, CIDR string
}

// Parse reads an IPv4 range in canonical notation. of names the resource.
func Parse(text, of string) (netip.Prefix, *Problem) {
	prefix, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return prefix, &Problem{Code: "InvalidAddressPrefixFormat",
			Message: fmt.Sprintf("Address prefix '%.100s' of %s is not formatted correctly. It should follow CIDR notation, for example 10.0.0.0/24.", text, of)}
	case !prefix.Addr().Is4():
		return prefix, &Problem{Code: "PropertyNotSupported",
			Message: fmt.Sprintf("Address prefix '%.100s' of %s is of IPv6, which is not built. Give a range of IPv4.", text, of)}
	case prefix != prefix.Masked() || prefix.String() != text:
		return prefix, &Problem{Code: "InvalidCIDRNotation",
			Message: fmt.Sprintf("The address prefix %.100s of %s has an invalid CIDR notation. For the given prefix length, the address prefix should be %s.", text, of, prefix.Masked())}
	}
	return prefix, nil
}

// Reserved are the ranges that no virtual network may have: what no host routes,
// and what each node talks to by itself.
func Reserved() map[string]string {
	return map[string]string{
		"0.0.0.0/8": "this network", "127.0.0.0/8": "loopback", "169.254.0.0/16": "link-local", "168.63.129.16/32": "the platform",
		"224.0.0.0/4": "multicast", "240.0.0.0/4": "reserved",
	}
}

// Check holds an address space with its subnets against all rules. taken are
// the public ranges of the hosts.
func Check(network string, space []string, subnets []Subnet, taken []netip.Prefix) []Problem {
	if len(space) == 0 {
		return []Problem{{Code: "InvalidRequestFormat", Subnet: -1, Prefix: -1,
			Message: fmt.Sprintf("The virtual network '%s' has no address space. Give at least one address prefix.", network)}}
	}
	ranges, problems := checkSpace(network, space, taken)
	return append(problems, checkSubnets(network, ranges, subnets)...)
}

func checkSpace(network string, space []string, taken []netip.Prefix) ([]netip.Prefix, []Problem) {
	var ranges []netip.Prefix
	var problems []Problem
	for i, text := range space {
		prefix, problem := Parse(text, "the virtual network '"+network+"'")
		if problem == nil {
			problem = checkRange(network, prefix, ranges, taken)
		}
		if problem != nil {
			problem.Subnet, problem.Prefix = -1, i
			problems = append(problems, *problem)
			continue
		}
		ranges = append(ranges, prefix)
	}
	return ranges, problems
}

func checkRange(network string, prefix netip.Prefix, others, taken []netip.Prefix) *Problem {
	if prefix.Bits() < shortest || prefix.Bits() > longestNetwork {
		return &Problem{Code: "InvalidAddressPrefix", Message: fmt.Sprintf(
			"The address prefix %s of the virtual network '%s' has an invalid length: it has to be between /%d and /%d.", prefix, network, shortest, longestNetwork)}
	}
	for text, what := range Reserved() {
		if netip.MustParsePrefix(text).Overlaps(prefix) {
			return &Problem{Code: "AddressPrefixReserved", Message: fmt.Sprintf(
				"The address prefix %s of the virtual network '%s' overlaps %s (%s), which no network may have. Choose a private range, for example of 10.0.0.0/8.", prefix, network, text, what)}
		}
	}
	for _, public := range taken {
		if public.Overlaps(prefix) {
			return &Problem{Code: "AddressPrefixReserved", Message: fmt.Sprintf(
				"The address prefix %s of the virtual network '%s' overlaps %s, the range of this service's public addresses. Choose another one.", prefix, network, public)}
		}
	}
	for _, other := range others {
		if other.Overlaps(prefix) {
			return &Problem{Code: "AddressPrefixesOverlap", Message: fmt.Sprintf(
				"The address prefixes %s and %s of the virtual network '%s' overlap. Remove one of them.", other, prefix, network)}
		}
	}
	return nil
}

func checkSubnets(network string, space []netip.Prefix, subnets []Subnet) []Problem {
	var ranges []netip.Prefix
	var names []string
	var problems []Problem
	for i, subnet := range subnets {
		prefix, problem := Parse(subnet.CIDR, "the subnet '"+subnet.Name+"'")
		if problem == nil {
			problem = checkSubnet(network, subnet.Name, prefix, space)
		}
		for j, other := range ranges {
			switch {
			case problem != nil:
			case strings.EqualFold(names[j], subnet.Name):
				problem = &Problem{Code: "InvalidRequestFormat", Message: fmt.Sprintf("The virtual network '%s' has two subnets of the name '%s'.", network, subnet.Name)}
			case other.Overlaps(prefix):
				problem = &Problem{Code: "NetcfgSubnetRangesOverlap", Message: fmt.Sprintf(
					"Subnet '%s' is not valid because its IP address range %s overlaps with that of the subnet '%s' (%s) in virtual network '%s'.", subnet.Name, prefix, names[j], other, network)}
			}
		}
		if problem != nil {
			problem.Subnet, problem.Prefix = i, -1
			problems = append(problems, *problem)
			continue
		}
		ranges, names = append(ranges, prefix), append(names, subnet.Name)
	}
	return problems
}

func checkSubnet(network, name string, prefix netip.Prefix, space []netip.Prefix) *Problem {
	if prefix.Bits() > longestSubnet {
		return &Problem{Code: "NetcfgInvalidSubnet", Message: fmt.Sprintf(
			"Subnet '%s' is not valid in virtual network '%s': %s is too small. The smallest subnet is a /%d, of whose 8 addresses the network keeps 5.", name, network, prefix, longestSubnet)}
	}
	for _, whole := range space {
		if whole.Bits() <= prefix.Bits() && whole.Contains(prefix.Addr()) {
			return nil
		}
	}
	return &Problem{Code: "NetcfgSubnetRangeOutsideVnet", Message: fmt.Sprintf(
		"Subnet '%s' is not valid because its IP address range %s is outside the IP address range of virtual network '%s'.", name, prefix, network)}
}
