package linux

import (
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"berth.dev/berth/internal/network"
)

// The source ports of an address that nodes share.
const (
	firstShared = 1024
	lastShared  = 1024 + 64000 - 1
)

// share is what one node translates to: an address and a part of its ports.
type share struct {
	address     netip.Addr
	first, last uint16
}

func (s share) chain() string { return fmt.Sprintf("as-%s-%d-%d", s.address, s.first, s.last) }

// shares gives every port that has a way out its share: the addresses in
// turn, then the parts of each. With more nodes than parts they begin again.
func shares(n network.Network) map[string]share {
	out := map[string]share{}
	for _, outbound := range n.Outbounds {
		parts, size := 1, lastShared-firstShared+1
		if outbound.PortsPerNode > 0 {
			parts, size = size/outbound.PortsPerNode, outbound.PortsPerNode
		}
		next := 0
		for _, port := range n.Ports {
			if port.Outbound != outbound.ID {
				continue
			}
			first := firstShared + next/len(outbound.Addresses)%parts*size
			out[port.ID] = share{address: outbound.Addresses[next%len(outbound.Addresses)], first: uint16(first), last: uint16(first + size - 1)}
			next++
		}
	}
	return out
}

// translations adds the map from a source address to the chain that gives it
// its share of an outbound address.
func (t *transaction) translations(n network.Network) *nftables.Set {
	made := map[string]bool{}
	all := shares(n)
	return t.verdictsBySource("translations", n, func(port network.Port) string {
		share, ok := all[port.ID]
		if !ok {
			return ""
		}
		name := share.chain()
		if !made[name] {
			t.rules(t.chain(name), rule(asShare(share)))
		}
		made[name] = true
		return name
	})
}

// asShare translates the source to an address and to one of a share's ports.
func asShare(s share) terms {
	const register2, register3 = 2, 3
	return terms{
		&expr.Immediate{Register: register1, Data: s.address.AsSlice()},
		&expr.Immediate{Register: register2, Data: binaryutil.BigEndian.PutUint16(s.first)},
		&expr.Immediate{Register: register3, Data: binaryutil.BigEndian.PutUint16(s.last)},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: uint32(nftables.TableFamilyIPv4), RegAddrMin: register1, RegProtoMin: register2, RegProtoMax: register3, Specified: true},
	}
}

// leaving adds the map from a source address to the chain that says whether
// it may leave. Sources without a way out are not in it.
func (t *transaction) leaving(n network.Network) *nftables.Set {
	for _, outbound := range n.Outbounds {
		chain := t.chain("leaving-" + outbound.ID)
		if !outbound.Disabled {
			t.rules(chain, rule(accept()))
			continue
		}
		var reachable []netip.Prefix
		for _, address := range outbound.Reachable {
			reachable = append(reachable, netip.PrefixFrom(address, 32))
		}
		if len(reachable) > 0 {
			t.rules(chain, rule(inRanges(target(), t.ranges(reachable)), accept()))
		}
		t.rules(chain, rule(drop()))
	}
	return t.verdictsBySource("leaving", n, func(port network.Port) string {
		if port.Outbound == "" {
			return ""
		}
		return "leaving-" + port.Outbound
	})
}

// verdictsBySource adds a map from every address of every port to a chain; an
// empty name leaves a port out.
func (t *transaction) verdictsBySource(name string, n network.Network, chain func(network.Port) string) *nftables.Set {
	verdicts := map[netip.Prefix]string{}
	for _, port := range n.Ports {
		name := chain(port)
		if name == "" {
			continue
		}
		verdicts[netip.PrefixFrom(port.Address, 32)] = name
		if port.PodRange.IsValid() {
			verdicts[port.PodRange] = name
		}
		for _, pod := range port.PodAddresses {
			verdicts[netip.PrefixFrom(pod, 32)] = name
		}
	}
	return t.verdicts(name, verdicts)
}
