package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"berth.dev/berth/internal/network"
)

// leavePort takes a packet from a machine of a network.
func (w *walk) leavePort(n network.Network) Verdict {
	where := "network " + n.ID
	port, ok := n.PortOf(w.packet.From)
	if !ok {
		return w.drop(where, "source check", "no machine has the address %s", w.packet.From)
	}
	w.note(where, "port", "%s sends from %s", port.ID, w.packet.From)
	return w.route(n, port)
}

// route sends a packet on that came in over a port's link.
func (w *walk) route(n network.Network, port network.Port) Verdict {
	where := "network " + n.ID
	subnet, _ := n.Subnet(port.Subnet)
	decision := n.Decide(subnet, w.packet.To)
	if decision.Route.Hop == network.HopAppliance && decision.Attached {
		return w.byAppliance(n, port, decision.Route)
	}
	if slices.Contains(n.Gateways(), w.packet.To) {
		if w.packet.Protocol == network.ProtocolICMP {
			return w.deliver(where, "address", "%s is a gateway", w.packet.To)
		}
		return w.drop(where, "guard", "%s is a gateway, which is no one's server", w.packet.To)
	}
	if verdict, done := w.balance(n); done {
		return verdict
	}
	if w.balanced {
		decision = n.Decide(subnet, w.packet.To)
	}
	w.noteRoute(where, decision)
	switch {
	case decision.Route.Hop == network.HopNone:
		return w.drop(where, "route", "it ends there")
	case decision.Route.Hop == network.HopAppliance:
		return w.drop(where, "route", "no machine has the address %s of the virtual appliance", decision.Route.Address)
	case decision.Route.Hop == network.HopInternet:
		return w.leave(n, port)
	case !n.Private(w.packet.To):
		return w.drop(where, "route", "%s is not in the virtual network", w.packet.To)
	}
	return w.reachPort(n, &port)
}

func (w *walk) noteRoute(where string, decision network.Decision) {
	r := decision.Route
	name := "the network's own route to " + r.Prefix.String()
	if r.Name != "" {
		name = fmt.Sprintf("the user-defined route %s to %s", r.Name, r.Prefix)
	}
	w.note(where, "route", "%s leads to %s", name, hopName(r))
}

func hopName(r network.Route) string {
	if r.Address.IsValid() {
		return fmt.Sprintf("%s %s", r.Hop, r.Address)
	}
	return string(r.Hop)
}

// byAppliance sends a packet to an appliance and follows it as it comes out
// again unchanged.
func (w *walk) byAppliance(n network.Network, port network.Port, r network.Route) Verdict {
	where := "network " + n.ID
	w.noteRoute(where, network.Decision{Route: r, Attached: true})
	appliance, _ := n.Appliance(r)
	if w.appliances++; w.appliances > maxAppliances {
		return w.drop(where, "route", "it goes in a circle")
	}
	if stopped := w.secure(n, &port, appliance, w.packet.From, r.Address); stopped {
		return Dropped
	}
	w.note(where, "appliance", "%s has it; what follows holds if it sends it on as it is", appliance.ID)
	return w.route(n, appliance)
}

// balance translates what is for a frontend of the network.
func (w *walk) balance(n network.Network) (verdict Verdict, done bool) {
	where := "network " + n.ID
	if w.packet.Protocol == network.ProtocolICMP || !slices.ContainsFunc(n.Frontends, func(f network.Frontend) bool { return f.Address == w.packet.To }) {
		return "", false
	}
	for _, frontend := range n.Frontends {
		i := slices.IndexFunc(frontend.Rules, func(r network.Rule) bool { return r.Protocol == w.packet.Protocol && r.Port == w.packet.Port })
		if frontend.Address != w.packet.To || i < 0 {
			continue
		}
		name := fmt.Sprintf("service %s, %s %s", frontend.Name, frontend.Address, strings.ToLower(w.packet.Protocol))
		if len(frontend.SourceRanges) > 0 && !slices.ContainsFunc(frontend.SourceRanges, func(p netip.Prefix) bool { return p.Contains(w.packet.From) }) {
			return w.drop(where, "balancer", "%s port %d: %s is in none of its loadBalancerSourceRanges", name, w.packet.Port, w.packet.From), true
		}
		rotation := n.Rotation(frontend)
		if len(rotation) == 0 {
			return w.refuse(where, "balancer", "%s port %d has no backend", name, w.packet.Port), true
		}
		nodePort := frontend.Rules[i].NodePort
		w.note(where, "balancer", "%s port %d goes to port %d of one of %d backends, such as %s", name, w.packet.Port, nodePort, len(rotation), rotation[0])
		w.balanced, w.original = true, netip.AddrPortFrom(w.packet.To, w.packet.Port)
		w.packet.To, w.packet.Port = rotation[0], nodePort
		return "", false
	}
	return w.refuse(where, "balancer", "no rule of %s is for %s port %d", w.packet.To, w.packet.Protocol, w.packet.Port), true
}

// reachPort delivers a packet to a machine of the network; from is the port it
// came in by, nil for the edge.
func (w *walk) reachPort(n network.Network, from *network.Port) Verdict {
	where := "network " + n.ID
	port, ok := n.PortOf(w.packet.To)
	if !ok {
		return w.drop(where, "route", "no machine has the address %s", w.packet.To)
	}
	if stopped := w.secure(n, from, port, w.packet.From, w.packet.To); stopped {
		return Dropped
	}
	return w.deliver(where, "port", "%s has the address %s", port.ID, w.packet.To)
}

// leave sends a packet out of the network.
func (w *walk) leave(n network.Network, port network.Port) Verdict {
	where := "network " + n.ID
	if stopped := w.outbound(n, port, w.packet.From); stopped {
		return Dropped
	}
	owner, ok := n.PortOf(w.packet.From)
	outbound, leaves := n.Outbound(owner.Outbound)
	switch {
	case !ok || !leaves:
		return w.drop(where, "outbound", "%s has no way out of the network", w.packet.From)
	case outbound.Disabled && !slices.Contains(outbound.Reachable, w.packet.To):
		return w.drop(where, "outbound", "the outbound type is none: nothing leaves but to the cluster's own API server and its DNS")
	}
	var addresses []string
	for _, address := range outbound.Addresses {
		addresses = append(addresses, address.String())
	}
	w.note(where, "outbound", "it leaves with an address of %s: %s", outbound.ID, strings.Join(addresses, ", "))
	w.packet.From, w.packet.SourcePort = outbound.Addresses[0], 0
	return w.edge(n.ID)
}

// enter takes a packet in from the edge.
func (w *walk) enter(n network.Network) Verdict {
	where := "network " + n.ID
	verdict, done := w.balance(n)
	switch {
	case done:
		return verdict
	case w.balanced:
		return w.reachPort(n, nil)
	case w.packet.Protocol == network.ProtocolICMP && w.packet.To == n.PublicAddresses()[0]:
		return w.deliver(where, "address", "%s is the router's own, which answers echo requests", w.packet.To)
	}
	return w.drop(where, "guard", "nothing but what a balancer has a rule for is let in at %s", w.packet.To)
}
