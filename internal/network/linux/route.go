package linux

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// route is one wanted route of the main table.
type route struct {
	to netip.Prefix
	// via is the next hop, reached over the link whatever the addresses on it;
	// the zero Addr is a destination on the link itself.
	via netip.Addr
	// source is the preferred source address, or zero.
	source netip.Addr
}

// defaultRoute leads everywhere.
func defaultRoute() netip.Prefix { return netip.PrefixFrom(netip.IPv4Unspecified(), 0) }

// routes lists the IPv4 routes of the main table.
func (s *session) routes() ([]netlink.Route, error) {
	return dump("routes", func() ([]netlink.Route, error) {
		return s.rt.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{}, 0)
	})
}

// ensureRoutes gives a link exactly these routes. A destination that another
// link already has is network.ErrConflict.
func (s *session) ensureRoutes(link netlink.Link, want ...route) error {
	all, err := s.routes()
	if err != nil {
		return err
	}
	present, err := s.keepOf(all, link, want)
	if err != nil {
		return err
	}
	return s.addRoutes(link, slices.DeleteFunc(slices.Clone(want), func(w route) bool { return present[w.to] }))
}

// addRoutes adds routes that a link does not have.
func (s *session) addRoutes(link netlink.Link, routes []route) error {
	for _, r := range routes {
		err := s.rt.RouteAdd(r.on(link.Attrs().Index))
		if errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("routing %s to link %s: another link has it; take it from there first: %w", r.to, link.Attrs().Name, network.ErrConflict)
		}
		if err != nil {
			return fmt.Errorf("routing %s to link %s: %w", r.to, link.Attrs().Name, err)
		}
	}
	return nil
}

// keepOf removes those of all routes that are of a link and not wanted, and
// says which of the wanted are there.
func (s *session) keepOf(all []netlink.Route, link netlink.Link, want []route) (present map[netip.Prefix]bool, err error) {
	wanted := map[netip.Prefix]route{}
	for _, w := range want {
		wanted[w.to] = w
	}
	present = map[netip.Prefix]bool{}
	for _, have := range all {
		if have.LinkIndex != link.Attrs().Index {
			continue
		}
		if w, ok := wanted[destination(have)]; ok && w.matches(have) {
			present[w.to] = true
			continue
		}
		if err := s.rt.RouteDel(&have); err != nil && !errors.Is(err, unix.ESRCH) {
			return nil, fmt.Errorf("removing route %s of link %s: %w", destination(have), link.Attrs().Name, err)
		}
	}
	return present, nil
}

// ensureDefault leads everything over a link, in a namespace that has other
// routes of its own, and leaves those alone.
func (s *session) ensureDefault(link netlink.Link, via netip.Addr) error {
	all, err := s.routes()
	if err != nil {
		return err
	}
	want := route{to: defaultRoute(), via: via}
	if slices.ContainsFunc(all, func(have netlink.Route) bool { return have.LinkIndex == link.Attrs().Index && want.matches(have) }) {
		return nil
	}
	if err := s.rt.RouteReplace(want.on(link.Attrs().Index)); err != nil {
		return fmt.Errorf("routing everything to link %s: %w", link.Attrs().Name, err)
	}
	return nil
}

// ensureBlackholes makes traffic to these ranges vanish where no better route
// is, and removes other blackholes of the same metric.
func (s *session) ensureBlackholes(metric uint32, ranges ...netip.Prefix) error {
	all, err := s.routes()
	if err != nil {
		return err
	}
	var present []netip.Prefix
	for _, have := range all {
		if have.Type != unix.RTN_BLACKHOLE || uint32(have.Priority) != metric {
			continue
		}
		if to := destination(have); slices.Contains(ranges, to) {
			present = append(present, to)
		} else if err := s.rt.RouteDel(&have); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("removing blackhole route %s: %w", to, err)
		}
	}
	for _, to := range ranges {
		if slices.Contains(present, to) {
			continue
		}
		err := s.rt.RouteAdd(&netlink.Route{Dst: ipNet(to), Type: unix.RTN_BLACKHOLE, Priority: int(metric)})
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("adding blackhole route %s: %w", to, err)
		}
	}
	return nil
}

// on is the route as netlink has it, over the link of an index.
func (r route) on(index int) *netlink.Route {
	out := &netlink.Route{Dst: ipNet(r.to), LinkIndex: index, Scope: netlink.SCOPE_LINK}
	if r.via.IsValid() {
		out.Gw, out.Scope = r.via.AsSlice(), netlink.SCOPE_UNIVERSE
		out.SetFlag(netlink.FLAG_ONLINK)
	}
	if r.source.IsValid() {
		out.Src = r.source.AsSlice()
	}
	return out
}

func (r route) matches(have netlink.Route) bool {
	return destination(have) == r.to && fromIP(have.Gw) == r.via && fromIP(have.Src) == r.source &&
		have.Type == unix.RTN_UNICAST && have.Priority == 0
}

// destination is where a route leads; netlink leaves it out for a default route.
func destination(r netlink.Route) netip.Prefix {
	if r.Dst == nil {
		return defaultRoute()
	}
	ones, _ := r.Dst.Mask.Size()
	return netip.PrefixFrom(fromIP(r.Dst.IP), ones)
}

// fromIP is the zero Addr for nil.
func fromIP(ip net.IP) netip.Addr {
	address, _ := netip.AddrFromSlice(ip.To4())
	return address
}
