package trace

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"berth.dev/berth/internal/network"
)

// secure asks the outbound rules of where a packet comes from and the inbound
// rules of where it goes to.
func (w *walk) secure(n network.Network, from *network.Port, to network.Port, source, target netip.Addr) (stopped bool) {
	if from != nil && w.outbound(n, *from, source) {
		return true
	}
	return w.ask(n, subnetOf(n, to, target), network.Inbound)
}

// outbound asks the rules of the subnet that a packet leaves.
func (w *walk) outbound(n network.Network, from network.Port, source netip.Addr) (stopped bool) {
	return w.ask(n, subnetOf(n, from, source), network.Outgoing)
}

// subnetOf is the subnet whose rules hold for an address of a port: the one
// that the address lies in if it is one of the port's pods, else the port's own.
func subnetOf(n network.Network, port network.Port, address netip.Addr) network.Subnet {
	if slices.Contains(port.PodAddresses, address) {
		if subnet, ok := n.SubnetOf(address); ok {
			return subnet
		}
	}
	subnet, _ := n.Subnet(port.Subnet)
	return subnet
}

// ask finds the first rule that matches.
func (w *walk) ask(n network.Network, subnet network.Subnet, direction network.Direction) (stopped bool) {
	where := fmt.Sprintf("network %s, subnet %s", n.ID, subnet.Name)
	if len(subnet.Rules) == 0 {
		return false
	}
	for _, rule := range subnet.RulesOf(direction) {
		if !w.matches(n, rule) {
			continue
		}
		says := "lets it through"
		if !rule.Allow {
			says = "drops it"
		}
		w.note(where, "security rule", "%s (priority %d, %s) %s", rule.Name, rule.Priority, cmp.Or(string(direction), "any"), says)
		return !rule.Allow
	}
	return false
}

func (w *walk) matches(n network.Network, rule network.SecurityRule) bool {
	target, port := w.packet.To, w.packet.Port
	if w.balanced {
		target, port = w.original.Addr(), w.original.Port()
	}
	if rule.Balanced && !w.balanced {
		return false
	}
	if rule.Protocol != "" && rule.Protocol != w.packet.Protocol {
		return false
	}
	in := func(peers network.Peers, address netip.Addr) bool {
		return slices.ContainsFunc(n.Resolve(peers), func(p netip.Prefix) bool { return p.Contains(address) })
	}
	if !in(rule.Sources, w.packet.From) || !in(rule.Destinations, target) {
		return false
	}
	if rule.Protocol == network.ProtocolICMP {
		return true
	}
	return w.covers(rule.SourcePorts, w.packet.SourcePort) && w.covers(rule.DestinationPorts, port)
}

// covers says whether a port is in ranges, of which none are all. ICMP has no ports.
func (w *walk) covers(ranges []network.PortRange, port uint16) bool {
	if len(ranges) == 0 {
		return true
	}
	return w.packet.Protocol != network.ProtocolICMP &&
		slices.ContainsFunc(ranges, func(r network.PortRange) bool { return r.First <= port && port <= r.Last })
}
