// Package trace says what becomes of a packet: hop by hop what lets it through
// or stops it. It evaluates the same desired state that a driver of
// network.Fabric programs, and asks no kernel; the Linux driver's tests compare
// it with what packets do. It must not know the management API or ARM.
//
// It speaks of the first packet of a connection. What the kernels of machines
// do, such as network policies inside a cluster, is not its to see.
package trace

import (
	"fmt"
	"net/netip"
	"slices"

	"berth.dev/berth/internal/network"
)

// World is all that a packet can meet on one host.
type World struct {
	// Public is the pool of public addresses.
	Public netip.Prefix
	// Host is the host's own address on its link to the edge.
	Host netip.Addr
	// Services are the addresses that the edge itself answers on.
	Services []netip.Addr
	// Endpoints are the control planes.
	Endpoints []network.Endpoint
	// Networks are the virtual networks.
	Networks []network.Network
	// Egress says that what the pool does not have is sent to the outside.
	Egress bool
}

// Packet is what is asked about.
type Packet struct {
	// Network is the ID of the virtual network that it is sent in; empty: outside
	// of all of them, where the source is the host's or an endpoint's.
	Network string
	// From is the source address.
	From netip.Addr
	// To is the destination address.
	To netip.Addr
	// Protocol is one of network's constants.
	Protocol string
	// Port is the destination port of TCP and UDP, and SourcePort the source port;
	// 0 is one that only a rule for all ports matches.
	Port, SourcePort uint16
}

// Verdict is what becomes of a packet.
type Verdict string

// The verdicts.
const (
	// Delivered says that it reaches the machine or process that has the address.
	Delivered Verdict = "Delivered"
	// Dropped says that nothing answers.
	Dropped Verdict = "Dropped"
	// Refused says that a router answers that nothing listens there.
	Refused Verdict = "Refused"
)

// Hop is one thing that decides about a packet, or changes it.
type Hop struct {
	// Where is the place, such as network alpha or edge.
	Where string
	// What is what decides there: a security rule, a route, a balancer.
	What string
	// Says is what it does, for people.
	Says string
}

// Result is the way of a packet.
type Result struct {
	Verdict Verdict
	Hops    []Hop
}

// walk is a packet under way.
type walk struct {
	world  World
	packet Packet
	hops   []Hop
	// original is the destination that the client had, where a balancer changed it.
	original   netip.AddrPort
	balanced   bool
	appliances int
}

// maxAppliances bounds the way through appliances; networks with circles are refused.
const maxAppliances = 8

// Run follows a packet.
func Run(world World, packet Packet) Result {
	w := &walk{world: world, packet: packet}
	var verdict Verdict
	if packet.Network == "" {
		verdict = w.edge("")
	} else if n, ok := w.network(packet.Network); ok {
		verdict = w.leavePort(n)
	} else {
		verdict = w.drop("host", "route", "there is no virtual network %s", packet.Network)
	}
	return Result{Verdict: verdict, Hops: w.hops}
}

func (w *walk) network(id string) (network.Network, bool) {
	i := slices.IndexFunc(w.world.Networks, func(n network.Network) bool { return n.ID == id })
	if i < 0 {
		return network.Network{}, false
	}
	return w.world.Networks[i], true
}

func (w *walk) note(where, what, says string, args ...any) {
	w.hops = append(w.hops, Hop{Where: where, What: what, Says: fmt.Sprintf(says, args...)})
}

func (w *walk) drop(where, what, says string, args ...any) Verdict {
	w.note(where, what, says, args...)
	return Dropped
}

func (w *walk) refuse(where, what, says string, args ...any) Verdict {
	w.note(where, what, says, args...)
	return Refused
}

func (w *walk) deliver(where, what, says string, args ...any) Verdict {
	w.note(where, what, says, args...)
	return Delivered
}

// edge routes a packet that is at the edge; from is the network it came out
// of, empty for none.
func (w *walk) edge(from string) Verdict {
	to := w.packet.To
	if slices.Contains(w.world.Services, to) {
		return w.deliver("edge", "address", "%s is answered at the edge itself", to)
	}
	if to == w.world.Host {
		return w.drop("host", "guard", "the host accepts nothing from the edge that it did not ask for")
	}
	for _, endpoint := range w.world.Endpoints {
		if endpoint.Address == to {
			return w.endpoint(endpoint)
		}
	}
	for _, n := range w.world.Networks {
		if !slices.Contains(n.PublicAddresses(), to) {
			continue
		}
		w.note("edge", "route", "%s belongs to network %s", to, n.ID)
		if n.ID == from {
			return w.drop("edge", "route", "what comes from network %s is not sent back to it", n.ID)
		}
		return w.enter(n)
	}
	switch {
	case w.world.Public.Contains(to):
		return w.drop("edge", "route", "nobody has the public address %s", to)
	case from != "" && w.world.Egress:
		return w.deliver("edge", "egress", "%s is outside; the host sends it on", to)
	case !w.world.Egress:
		return w.drop("edge", "egress", "%s is outside of the public range %s, and the service has no way out (berth up --egress)", to, w.world.Public)
	}
	return w.drop("edge", "route", "there is no way from the outside to the outside")
}

// endpoint asks the filter of a control plane.
func (w *walk) endpoint(endpoint network.Endpoint) Verdict {
	where := "control plane " + endpoint.ID
	if !endpoint.Admits(w.packet.From) && w.packet.From != w.world.Host && !slices.Contains(w.world.Services, w.packet.From) && w.packet.From != w.world.Public.Addr() {
		return w.drop(where, "authorizedIPRanges", "%s is in none of the authorized ranges", w.packet.From)
	}
	return w.deliver(where, "address", "%s is the control plane's", endpoint.Address)
}
