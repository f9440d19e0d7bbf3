package linux

import (
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// A security rule is asked about a new connection by one of two views: as the
// packet is, or as the client sent it where a balancer has translated it.
const (
	asItIs = ""
	asSent = "balanced-"
)

// writeSecurity asks the outbound rules of the subnet that a new connection
// comes from, and then the inbound rules of the subnet that it goes to, before it
// goes onward. A chain that allows returns, one that does not drops. What the router
// itself sends, which are probes, meets the inbound rules only.
func (f *Fabric) writeSecurity(t *transaction, forward, onward *nftables.Chain, n network.Network) {
	output := t.hook("output", nftables.ChainTypeFilter, nftables.ChainHookOutput, *nftables.ChainPriorityFilter, nftables.ChainPolicyAccept)
	t.rules(output, rule(state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept()))
	sent := t.chain("as-sent")
	t.rules(forward, rule(translated(), jump(expr.VerdictGoto, sent.Name)))
	for _, view := range []string{asSent, asItIs} {
		for _, subnet := range n.Subnets {
			f.writeRules(t, n, subnet, network.Outgoing, view)
			f.writeRules(t, n, subnet, network.Inbound, view)
		}
		out := t.verdictsByLink(view+"out", f.securityChains(t, n, network.Outgoing, view))
		in := t.verdictsByLink(view+"in", f.securityChains(t, n, network.Inbound, view))
		chain := forward
		if view == asSent {
			chain = sent
		} else {
			t.rules(output, rule(byLink(expr.MetaKeyOIFNAME, in)))
		}
		t.rules(chain, rule(byLink(expr.MetaKeyIIFNAME, out)), rule(byLink(expr.MetaKeyOIFNAME, in)), rule(jump(expr.VerdictGoto, onward.Name)))
	}
}

// byLink goes where a map says for the link that a packet comes in or goes out by.
func byLink(key expr.MetaKey, chains *nftables.Set) terms {
	return goTo(&expr.Meta{Key: key, Register: register1}, chains)
}

func chainOf(subnet network.Subnet, direction network.Direction, view string) string {
	if direction == network.Inbound {
		return view + "to-" + subnet.Name
	}
	return view + "from-" + subnet.Name
}

// securityChains says for the link of every port which chain has its rules. A
// port whose pods have addresses of other subnets has one that tells them apart.
func (f *Fabric) securityChains(t *transaction, n network.Network, direction network.Direction, view string) map[string]string {
	chains := map[string]string{}
	load := source()
	if direction == network.Inbound {
		load = target()
	}
	for _, port := range n.Ports {
		subnet, _ := n.Subnet(port.Subnet)
		name := chainOf(subnet, direction, view)
		if others := podSubnets(n, port); len(others) > 0 {
			chain := t.chain(view + string(direction) + "-" + port.ID)
			for _, other := range others {
				t.rules(chain, rule(inPrefix(load, other.Range), jump(expr.VerdictGoto, chainOf(other, direction, view))))
			}
			t.rules(chain, rule(jump(expr.VerdictGoto, name)))
			name = chain.Name
		}
		chains[f.names.portLink(port.ID)] = name
	}
	return chains
}

// podSubnets are the subnets other than its own that a port's pods are in.
func podSubnets(n network.Network, port network.Port) []network.Subnet {
	var others []network.Subnet
	for _, subnet := range n.Subnets {
		if subnet.Name == port.Subnet {
			continue
		}
		for _, pod := range port.PodAddresses {
			if subnet.Range.Contains(pod) {
				others = append(others, subnet)
				break
			}
		}
	}
	return others
}

// writeRules writes a subnet's rules of one direction as one chain.
func (f *Fabric) writeRules(t *transaction, n network.Network, subnet network.Subnet, direction network.Direction, view string) {
	chain := t.chain(chainOf(subnet, direction, view))
	for _, r := range subnet.RulesOf(direction) {
		if r.Balanced && view == asItIs {
			continue
		}
		verdict := terms{&expr.Verdict{Kind: expr.VerdictDrop}}
		if r.Allow {
			verdict = terms{&expr.Verdict{Kind: expr.VerdictReturn}}
		}
		for _, match := range f.matches(t, n, r, view) {
			t.rules(chain, rule(match, t.count(ruleCounter(subnet, r)), verdict))
		}
	}
}

// matches are the conditions of a security rule, each of which is enough.
func (f *Fabric) matches(t *transaction, n network.Network, r network.SecurityRule, view string) []terms {
	var sources terms
	if ranges := n.Resolve(r.Sources); !slices.Contains(ranges, defaultRoute()) {
		sources = inRanges(source(), t.ranges(ranges))
	}
	var addresses []terms
	for _, destination := range destined(t, n.Resolve(r.Destinations), view) {
		addresses = append(addresses, rule(sources, destination))
	}
	toPort := destinationPort()
	if view == asSent {
		toPort = originally(expr.CtKeyPROTODST)
	}
	protocols := map[string][]byte{network.ProtocolTCP: {unix.IPPROTO_TCP}, network.ProtocolUDP: {unix.IPPROTO_UDP}, network.ProtocolICMP: {unix.IPPROTO_ICMP}}[r.Protocol]
	var ports terms
	if len(r.SourcePorts) > 0 {
		ports = append(ports, inRanges(sourcePort(), t.ports(r.SourcePorts))...)
	}
	if len(r.DestinationPorts) > 0 {
		ports = append(ports, inRanges(toPort, t.ports(r.DestinationPorts))...)
	}
	if len(protocols) == 0 && len(ports) == 0 {
		return addresses
	}
	if len(protocols) == 0 {
		protocols = []byte{unix.IPPROTO_TCP, unix.IPPROTO_UDP}
	}
	if r.Protocol == network.ProtocolICMP {
		ports = nil // it has none
	}
	var out []terms
	for _, number := range protocols {
		for _, each := range addresses {
			out = append(out, rule(protocol(number), each, ports))
		}
	}
	return out
}

// maxCompared is how many spans a client's destination is compared with before a
// set is asked about it: a group's 1000 rules still fit into one transaction.
const maxCompared = 4

// destined matches where a packet goes, or where its client sent it, in ways each
// of which is enough. The latter is compared with a few spans one at a time: nft(8),
// up to 1.0.6 at least, aborts where it is to list that a set is asked about it.
func destined(t *transaction, ranges []netip.Prefix, view string) []terms {
	if slices.Contains(ranges, defaultRoute()) {
		return []terms{nil}
	}
	if view == asItIs {
		return []terms{inRanges(target(), t.ranges(ranges))}
	}
	spans := network.Spans(ranges)
	if len(spans) > maxCompared {
		return []terms{inRanges(originally(expr.CtKeyDST), t.ranges(ranges))}
	}
	var out []terms
	for _, span := range spans {
		out = append(out, terms{originally(expr.CtKeyDST), inSpan(span)})
	}
	return out
}

// inSpan matches a loaded address in a span.
func inSpan(span network.Span) expr.Any {
	if span.First == span.Last {
		return &expr.Cmp{Op: expr.CmpOpEq, Register: register1, Data: span.First.AsSlice()}
	}
	return &expr.Range{Op: expr.CmpOpEq, Register: register1, FromData: span.First.AsSlice(), ToData: span.Last.AsSlice()}
}

// inPrefix matches a loaded address in a range.
func inPrefix(load expr.Any, p netip.Prefix) terms {
	network := ipNet(p)
	return terms{
		load,
		&expr.Bitwise{SourceRegister: register1, DestRegister: register1, Len: 4, Mask: network.Mask, Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register1, Data: network.IP},
	}
}

func jump(kind expr.VerdictKind, chain string) terms {
	return terms{&expr.Verdict{Kind: kind, Chain: chain}}
}

// originally loads what a connection had before a balancer translated it.
func originally(key expr.CtKey) expr.Any {
	return &expr.Ct{Key: key, Register: register1, Direction: 0}
}

func sourcePort() expr.Any {
	return &expr.Payload{DestRegister: register1, Base: expr.PayloadBaseTransportHeader, Offset: 0, Len: 2}
}

func destinationPort() expr.Any {
	return &expr.Payload{DestRegister: register1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2}
}
