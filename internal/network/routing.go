package network

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// HopType is where a user-defined route leads.
type HopType string

// The next hops of user-defined routes.
const (
	// HopAppliance is the machine of an address of the network, which sends on
	// what is not for itself.
	HopAppliance HopType = "VirtualAppliance"
	// HopLocal is the way that the network itself has.
	HopLocal HopType = "VnetLocal"
	// HopInternet is the way out of the network.
	HopInternet HopType = "Internet"
	// HopNone is a hole.
	HopNone HopType = "None"
)

// Route is a user-defined route of a subnet: it holds for what the machines of
// the subnet send. Of all routes, the network's own included, the longest prefix
// decides; of two alike the user's.
type Route struct {
	// Name is unique in its subnet.
	Name string
	// Prefix is where it leads to.
	Prefix netip.Prefix
	// Hop is what comes next.
	Hop HopType
	// Address is the appliance's.
	Address netip.Addr
}

// Decision is the route that a packet takes.
type Decision struct {
	// Route is the route; its name is empty for one of the network's own.
	Route Route
	// Attached says whether there is a machine that has the appliance's address.
	Attached bool
}

// Decide is the route that a packet from a subnet to an address takes.
func (n Network) Decide(from Subnet, to netip.Addr) Decision {
	best := Route{Prefix: everywhere(), Hop: HopInternet}
	for _, own := range n.Space() {
		if own.Contains(to) && own.Bits() > best.Prefix.Bits() {
			best = Route{Prefix: own, Hop: HopLocal}
		}
	}
	for _, r := range from.Routes {
		if r.Prefix.Contains(to) && r.Prefix.Bits() >= best.Prefix.Bits() {
			best = n.effective(r)
		}
	}
	_, attached := n.Appliance(best)
	return Decision{Route: best, Attached: attached}
}

// effective is a route as it works: one to the machine whose own the whole
// prefix is, as a cluster with kubenet has one for each node, is the network's own way.
func (n Network) effective(r Route) Route {
	if port, ok := n.Appliance(r); ok && (port.PodRange.IsValid() && contains(port.PodRange, r.Prefix) || r.Prefix.Bits() == 32 && port.Has(r.Prefix.Addr())) {
		r.Hop, r.Address = HopLocal, netip.Addr{}
	}
	return r
}

// Appliance is the port whose own address is a route's next hop.
func (n Network) Appliance(r Route) (Port, bool) {
	if r.Hop != HopAppliance {
		return Port{}, false
	}
	i := slices.IndexFunc(n.Ports, func(p Port) bool { return p.Address == r.Address })
	if i < 0 {
		return Port{}, false
	}
	return n.Ports[i], true
}

// EffectiveRoutes are the subnet's user-defined routes as they work.
func (n Network) EffectiveRoutes(s Subnet) []Route {
	var all []Route
	for _, r := range s.Routes {
		all = append(all, n.effective(r))
	}
	return all
}

// Appliances are the ports that user-defined routes lead to: they may send what
// is not from themselves.
func (n Network) Appliances() map[string]bool {
	found := map[string]bool{}
	for _, subnet := range n.Subnets {
		for _, r := range n.EffectiveRoutes(subnet) {
			if port, ok := n.Appliance(r); ok {
				found[port.ID] = true
			}
		}
	}
	return found
}

// CheckRoutes refuses routes that lead in a circle: from an appliance's own
// subnet back to itself, directly or by way of others. A machine has not to be
// attached for that: the subnet of the next hop's address counts.
func (n Network) CheckRoutes() error {
	var errs []error
	for _, subnet := range n.Subnets {
		for _, r := range subnet.Routes {
			if r.Hop != HopAppliance {
				continue
			}
			for _, to := range n.boundaries(r.Prefix) {
				if circle := n.circle(subnet, to); circle != "" {
					errs = append(errs, fmt.Errorf("the route %s of subnet %s leads in a circle: traffic to %s goes %s", r.Name, subnet.Name, to, circle))
					break
				}
			}
		}
	}
	return errors.Join(errs...)
}

// Span are the addresses from First to Last.
type Span struct {
	First, Last netip.Addr
}

// SpanOf are the addresses of a range.
func SpanOf(p netip.Prefix) Span {
	return Span{First: p.Masked().Addr(), Last: last(p)}
}

// Spans are the addresses of ranges, which are sorted and disjoint: one of those
// that follow one another.
func Spans(ranges []netip.Prefix) []Span {
	var out []Span
	for _, p := range ranges {
		s := SpanOf(p)
		if before := len(out) - 1; before >= 0 && out[before].Last.Next() == s.First {
			out[before].Last = s.Last
			continue
		}
		out = append(out, s)
	}
	return out
}

// ApplianceSpans are the addresses to which packets from a subnet go by way of
// an appliance that is attached, sorted and disjoint.
func (n Network) ApplianceSpans(from Subnet) []Span {
	var spans []Span
	starts := n.boundaries(everywhere())
	for i, start := range starts {
		decision := n.Decide(from, start)
		if decision.Route.Hop != HopAppliance || !decision.Attached {
			continue
		}
		end := last(everywhere())
		if i+1 < len(starts) {
			end = starts[i+1].Prev()
		}
		spans = append(spans, Span{First: start, Last: end})
	}
	return spans
}

// boundaries are the addresses inside a range at which any route's decision can
// change: to look at these is to look at all.
func (n Network) boundaries(within netip.Prefix) []netip.Addr {
	prefixes := append(n.Space(), within)
	for _, subnet := range n.Subnets {
		for _, r := range subnet.Routes {
			prefixes = append(prefixes, r.Prefix)
		}
	}
	var all []netip.Addr
	for _, p := range prefixes {
		for _, address := range []netip.Addr{p.Masked().Addr(), last(p).Next()} {
			if address.IsValid() && within.Contains(address) {
				all = append(all, address)
			}
		}
	}
	slices.SortFunc(all, netip.Addr.Compare)
	return slices.Compact(all)
}

// circle follows appliances from a subnet and tells the way if it comes back.
func (n Network) circle(from Subnet, to netip.Addr) string {
	var way []string
	seen := map[netip.Addr]bool{}
	for {
		route := n.Decide(from, to).Route
		if port, attached := n.Appliance(route); route.Hop != HopAppliance || route.Address == to || attached && port.Has(to) {
			return ""
		}
		way = append(way, fmt.Sprintf("by route %s to %s", cmp.Or(route.Name, route.Prefix.String()), route.Address))
		if seen[route.Address] {
			return strings.Join(way, ", ")
		}
		seen[route.Address] = true
		next, ok := n.SubnetOf(route.Address)
		if !ok {
			return ""
		}
		from = next
	}
}

// Validate says what no driver could make of a route.
func (r Route) Validate() error {
	if r.Name == "" || !canonical(r.Prefix) {
		return fmt.Errorf("route %q: %q is not a canonical IPv4 range", r.Name, r.Prefix)
	}
	switch r.Hop {
	case HopAppliance:
		if !r.Address.Is4() {
			return fmt.Errorf("route %s needs the IPv4 address of its virtual appliance, has %q", r.Name, r.Address)
		}
	case HopLocal, HopInternet, HopNone:
		if r.Address.IsValid() {
			return fmt.Errorf("route %s has the address %s, which only a virtual appliance has", r.Name, r.Address)
		}
	default:
		return fmt.Errorf("route %s: %q is not a next hop", r.Name, r.Hop)
	}
	return nil
}
