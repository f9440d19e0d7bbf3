package network

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Direction is the way of a connection, seen from a subnet.
type Direction string

// The directions.
const (
	Inbound  Direction = "Inbound"
	Outgoing Direction = "Outbound"
)

// The protocols of security rules; the empty string is any.
const (
	ProtocolTCP  = "TCP"
	ProtocolUDP  = "UDP"
	ProtocolICMP = "ICMP"
)

// Tag stands for ranges that follow from the network itself: a service tag.
type Tag string

// The service tags.
const (
	// TagVirtualNetwork is the network's address space and the ranges of its pods.
	TagVirtualNetwork Tag = "VirtualNetwork"
	// TagLoadBalancer is where health probes and what a network sends to its own
	// frontends come from: the gateways, and the address that Azure has for it.
	TagLoadBalancer Tag = "AzureLoadBalancer"
	// TagInternet is everything that is not in TagVirtualNetwork.
	TagInternet Tag = "Internet"
)

// SecurityRule lets connections of one kind through, or does not. It holds for
// the first packet; what belongs to a connection that was let through passes.
//
// What a balancer sends is seen as the client sent it: by the frontend's
// address and port, as in AKS, whose balancers leave them as they are.
type SecurityRule struct {
	// Name is unique in its subnet.
	Name string
	// Priority orders the rules of a direction, each its own: the first that
	// matches decides.
	Priority int
	// Direction is Inbound or Outgoing.
	Direction Direction
	// Allow says whether what matches passes or is dropped.
	Allow bool
	// Protocol is one of the constants, or empty for any.
	Protocol string
	// Sources and Destinations are whom it holds for.
	Sources, Destinations Peers
	// SourcePorts and DestinationPorts are empty for all. Others hold for TCP
	// and UDP only.
	SourcePorts, DestinationPorts []PortRange
	// Balanced says that only what a balancer sends matches.
	Balanced bool
}

// Peers are addresses: the union of ranges and tags, everything if both are empty.
type Peers struct {
	Ranges []netip.Prefix
	Tags   []Tag
}

// PortRange are the ports from First to Last.
type PortRange struct {
	First, Last uint16
}

// loadBalancerAddress is the address of Azure's health probes.
func loadBalancerAddress() netip.Addr { return netip.AddrFrom4([4]byte{168, 63, 129, 16}) }

// everywhere is all of IPv4.
func everywhere() netip.Prefix { return netip.PrefixFrom(netip.IPv4Unspecified(), 0) }

// DefaultSecurityRules are the rules that every security group ends with, as
// Azure has them.
func DefaultSecurityRules() []SecurityRule {
	tag := func(tag Tag) Peers { return Peers{Tags: []Tag{tag}} }
	const first, last = 65000, 65500
	return []SecurityRule{
		{Name: "AllowVnetInBound", Priority: first, Direction: Inbound, Allow: true, Sources: tag(TagVirtualNetwork), Destinations: tag(TagVirtualNetwork)},
		{Name: "AllowAzureLoadBalancerInBound", Priority: first + 1, Direction: Inbound, Allow: true, Sources: tag(TagLoadBalancer)},
		{Name: "DenyAllInBound", Priority: last, Direction: Inbound},
		{Name: "AllowVnetOutBound", Priority: first, Direction: Outgoing, Allow: true, Sources: tag(TagVirtualNetwork), Destinations: tag(TagVirtualNetwork)},
		{Name: "AllowInternetOutBound", Priority: first + 1, Direction: Outgoing, Allow: true, Destinations: tag(TagInternet)},
		{Name: "DenyAllOutBound", Priority: last, Direction: Outgoing},
	}
}

// AllowBalanced is the rule by which what balancers send reaches the nodes of a
// cluster: it stands for those that AKS writes into the group of a cluster, one
// for each service.
func AllowBalanced() SecurityRule {
	const priority = 500
	return SecurityRule{Name: "k8s-azure-lb_allow_IPv4", Priority: priority, Direction: Inbound, Allow: true, Balanced: true}
}

// ParsePeers reads ranges, single addresses and tags; "*" is everything, as is
// 0.0.0.0/0. Tags are known regardless of case.
func ParsePeers(texts []string) (Peers, error) {
	var peers Peers
	for _, text := range texts {
		tag, known := parseTag(text)
		switch {
		case text == "*":
			return Peers{}, nil
		case known:
			peers.Tags = append(peers.Tags, tag)
		case strings.Contains(text, "/"):
			parsed, err := ParseRange(text)
			if err != nil {
				return Peers{}, err
			}
			peers.Ranges = append(peers.Ranges, parsed)
		default:
			address, err := netip.ParseAddr(text)
			if err != nil || !address.Is4() {
				return Peers{}, fmt.Errorf("%q is not an IPv4 address, a range, * or one of the tags %s, %s and %s", text, TagVirtualNetwork, TagLoadBalancer, TagInternet)
			}
			peers.Ranges = append(peers.Ranges, netip.PrefixFrom(address, 32))
		}
	}
	return peers, nil
}

func parseTag(text string) (Tag, bool) {
	for _, tag := range []Tag{TagVirtualNetwork, TagLoadBalancer, TagInternet} {
		if strings.EqualFold(text, string(tag)) {
			return tag, true
		}
	}
	return "", false
}

// ParsePortRanges reads ports such as 80 and ranges such as 8000-8999; "*" is all.
func ParsePortRanges(texts []string) ([]PortRange, error) {
	var ranges []PortRange
	for _, text := range texts {
		if text == "*" {
			return nil, nil
		}
		first, last, isRange := strings.Cut(text, "-")
		if !isRange {
			last = first
		}
		const decimal, bits = 10, 16
		from, fromErr := strconv.ParseUint(first, decimal, bits)
		to, toErr := strconv.ParseUint(last, decimal, bits)
		if fromErr != nil || toErr != nil || from > to {
			return nil, fmt.Errorf("%q is not a port, a range such as 8000-8999, or *", text)
		}
		ranges = append(ranges, PortRange{First: uint16(from), Last: uint16(to)})
	}
	return ranges, nil
}

// RulesOf are the subnet's rules of a direction in the order in which they are asked.
func (s Subnet) RulesOf(direction Direction) []SecurityRule {
	rules := slices.DeleteFunc(slices.Clone(s.Rules), func(r SecurityRule) bool { return r.Direction != direction })
	slices.SortStableFunc(rules, func(a, b SecurityRule) int { return cmp.Compare(a.Priority, b.Priority) })
	return rules
}

// Resolve are the ranges that peers are in this network, sorted and disjoint.
// The one range of all addresses stands for everything.
func (n Network) Resolve(peers Peers) []netip.Prefix {
	if len(peers.Ranges) == 0 && len(peers.Tags) == 0 {
		return []netip.Prefix{everywhere()}
	}
	all := slices.Clone(peers.Ranges)
	for _, tag := range peers.Tags {
		switch tag {
		case TagVirtualNetwork:
			all = append(all, n.Space()...)
		case TagLoadBalancer:
			for _, gateway := range append(n.Gateways(), loadBalancerAddress()) {
				all = append(all, netip.PrefixFrom(gateway, 32))
			}
		case TagInternet:
			all = append(all, complement(n.Space())...)
		}
	}
	return Disjoint(all)
}

// Disjoint drops the ranges that lie in others, and sorts the rest.
func Disjoint(ranges []netip.Prefix) []netip.Prefix {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	var out []netip.Prefix
	for _, p := range sorted {
		if len(out) == 0 || !out[len(out)-1].Overlaps(p) {
			out = append(out, p)
		}
	}
	return out
}

// complement are the ranges that make up what of IPv4 is in none of others.
func complement(others []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	var split func(p netip.Prefix)
	split = func(p netip.Prefix) {
		_, overlaps := firstOverlap(p, others)
		if !overlaps {
			out = append(out, p)
			return
		}
		if slices.ContainsFunc(others, func(o netip.Prefix) bool { return contains(o, p) }) {
			return
		}
		low := netip.PrefixFrom(p.Addr(), p.Bits()+1)
		split(low)
		split(after(low))
	}
	split(everywhere())
	return out
}

// Validate says what no driver could make of a rule.
func (r SecurityRule) Validate() error {
	var errs []error
	if r.Name == "" {
		errs = append(errs, errors.New("a security rule has no name"))
	}
	if r.Direction != Inbound && r.Direction != Outgoing {
		errs = append(errs, fmt.Errorf("security rule %s: %q is not a direction", r.Name, r.Direction))
	}
	if !slices.Contains([]string{"", ProtocolTCP, ProtocolUDP, ProtocolICMP}, r.Protocol) {
		errs = append(errs, fmt.Errorf("security rule %s: protocol %q is not %s, %s, %s or any", r.Name, r.Protocol, ProtocolTCP, ProtocolUDP, ProtocolICMP))
	}
	for _, p := range slices.Concat(r.Sources.Ranges, r.Destinations.Ranges) {
		if !canonical(p) {
			errs = append(errs, fmt.Errorf("security rule %s: %q is not a canonical IPv4 range", r.Name, p))
		}
	}
	for _, tag := range slices.Concat(r.Sources.Tags, r.Destinations.Tags) {
		if _, known := parseTag(string(tag)); !known {
			errs = append(errs, fmt.Errorf("security rule %s: service tag %q is not known", r.Name, tag))
		}
	}
	for _, p := range slices.Concat(r.SourcePorts, r.DestinationPorts) {
		if p.First > p.Last {
			errs = append(errs, fmt.Errorf("security rule %s: ports %d to %d are no range", r.Name, p.First, p.Last))
		}
	}
	return errors.Join(errs...)
}
