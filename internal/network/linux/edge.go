package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// nextHop is the address that every link of the edge answers to.
func nextHop() netip.Addr { return netip.AddrFrom4([4]byte{169, 254, 1, 1}) }

// edgeMetric is the metric of the blackhole routes inside namespaces of this package.
const edgeMetric = 1 << 24

// HostRoutes lists the destinations of the host's IPv4 routes, of all tables,
// for network.PickPublicRange.
func HostRoutes() ([]netip.Prefix, error) {
	host, err := openHost()
	if err != nil {
		return nil, err
	}
	defer host.close()
	routes, err := host.allRoutes()
	if err != nil {
		return nil, err
	}
	var prefixes []netip.Prefix
	for _, r := range routes {
		prefixes = append(prefixes, destination(r))
	}
	return prefixes, nil
}

// EnsureEdge implements network.Fabric. The host's guards, which are its
// blackhole route and its packet filter, are there before its link is.
func (f *Fabric) EnsureEdge(ctx context.Context, edge network.Edge) error {
	if err := errors.Join(f.check(ctx), edge.Validate()); err != nil {
		return fmt.Errorf("ensuring the edge: %w", err)
	}
	defer f.nouns.lock("edge")()
	host, err := open(f.host)
	if err != nil {
		return err
	}
	defer host.close()
	if err := checkOutside(host, edge); err != nil {
		return err
	}
	if err := f.claimRange(host, edge); err != nil {
		return err
	}
	if err := f.guardHost(host, edge); err != nil {
		return err
	}
	// The install's DNS listens on port 53 without any capability.
	openPorts := setting{name: "ipv4/ip_unprivileged_port_start", value: "0"}
	if err := ensureNamespace(f.names.edge(), append(routingSettings(), openPorts)); err != nil {
		return err
	}
	inside, err := f.openEdge()
	if err != nil {
		return err
	}
	defer inside.close()
	if err := f.ensureEdgeAddresses(inside, edge); err != nil {
		return err
	}
	if err := f.ensureHostLink(ctx, host, inside, edge); err != nil {
		return err
	}
	return ensureProxies(host, edge.Announce, edge.PublicRange)
}

// ensureEdgeAddresses gives the edge its own addresses. The first of the range
// is always there, so that what the edge itself sends, such as an ARP request or an
// ICMP error, comes from an address that passes every source check; the next
// hop's is of link scope and never a source.
func (f *Fabric) ensureEdgeAddresses(inside *session, edge network.Edge) error {
	lo, err := inside.loopback()
	if err != nil {
		return err
	}
	own := []address{{Addr: edge.PublicRange.Addr()}, {Addr: nextHop(), linkScope: true}}
	for _, service := range edge.ServiceAddresses {
		own = append(own, address{Addr: service})
	}
	if err := inside.ensureAddresses(lo, own...); err != nil {
		return err
	}
	f.edgeRoutes.Lock()
	defer f.edgeRoutes.Unlock()
	return inside.ensureBlackholes(edgeMetric, edge.PublicRange)
}

// ensureHostLink attaches the host.
func (f *Fabric) ensureHostLink(ctx context.Context, host, inside *session, edge network.Edge) error {
	link := pair{near: host, nearName: f.names.hostLink(), far: inside, farName: hostLink, group: f.names.mark()}
	onHost, inEdge, err := link.ensure()
	if err != nil {
		return err
	}
	// Only the own link's settings: what the host is set to is not Berth's to change.
	conf := "ipv4/conf/" + f.names.hostLink() + "/"
	forwarding := "0"
	if opensOutside(edge) {
		forwarding = "1"
	}
	if err := inNamespace(host.file, func() error {
		return apply([]setting{
			{name: conf + "rp_filter", value: "1"},
			{name: conf + "forwarding", value: forwarding},
			{name: conf + "accept_redirects", value: "0"},
			{name: "ipv6/conf/" + f.names.hostLink() + "/disable_ipv6", value: "1", optional: true},
		})
	}); err != nil {
		return err
	}
	if err := host.ensureAddresses(onHost, address{Addr: edge.HostAddress}); err != nil {
		return err
	}
	if err := link.connect(ctx, onHost, inEdge); err != nil {
		return err
	}
	if err := host.ensureRoutes(onHost, route{to: edge.PublicRange, via: edge.PublicRange.Addr(), source: edge.HostAddress}); err != nil {
		return err
	}
	routes := []route{{to: netip.PrefixFrom(edge.HostAddress, 32)}}
	if opensOutside(edge) {
		routes = append(routes, route{to: defaultRoute(), via: edge.HostAddress})
	}
	return f.routeFromEdge(inside, inEdge, routes...)
}

// routeFromEdge gives a link of the edge exactly these routes.
func (f *Fabric) routeFromEdge(inside *session, link netlink.Link, routes ...route) error {
	f.edgeRoutes.Lock()
	defer f.edgeRoutes.Unlock()
	return inside.ensureRoutes(link, routes...)
}

// claimRange puts a blackhole under the public range. Another instance may
// claim at the same time, so what is in the way is looked for before, lest the
// blackhole hurt it, and after, when both see each other.
func (f *Fabric) claimRange(host *session, edge network.Edge) error {
	public := edge.PublicRange
	if err := f.refuseConflicts(host, edge); err != nil {
		return err
	}
	if err := host.ensureBlackholes(f.names.mark(), public); err != nil {
		return err
	}
	if err := f.refuseConflicts(host, edge); err != nil {
		return errors.Join(err, host.ensureBlackholes(f.names.mark()))
	}
	return nil
}

// refuseConflicts looks for what is in the way on the host and not this instance's.
// The network of the link on which the range is announced may hold the range.
func (f *Fabric) refuseConflicts(host *session, edge network.Edge) error {
	public := edge.PublicRange
	link, err := host.link(f.names.hostLink())
	if err != nil {
		return err
	}
	index := -1
	if link != nil {
		index = link.Attrs().Index
		if link.Type() != "veth" || link.Attrs().Group != f.names.mark() {
			return fmt.Errorf("attaching the host to the edge: there is a link %s that this instance did not make; rename or remove it (ip link delete %[1]s): %w",
				f.names.hostLink(), network.ErrConflict)
		}
	}
	routes, err := host.allRoutes()
	if err != nil {
		return err
	}
	announced, err := host.announcedIndex(edge.Announce)
	if err != nil {
		return err
	}
	strangers := slices.DeleteFunc(routes, func(r netlink.Route) bool {
		to := destination(r)
		return r.LinkIndex == index || r.LinkIndex == announced && to.Bits() < public.Bits() || r.Type == unix.RTN_BLACKHOLE && uint32(r.Priority) == f.names.mark()
	})
	for _, r := range strangers {
		if to, overlaps := network.OverlappingRoute(public, []netip.Prefix{destination(r)}); overlaps {
			return fmt.Errorf("attaching the host to the edge: the public range %s overlaps the host's route to %s; choose another public range or remove that route: %w",
				public, to, network.ErrConflict)
		}
	}
	return nil
}

// allRoutes lists the IPv4 routes of all tables.
func (s *session) allRoutes() ([]netlink.Route, error) {
	return dump("routes", func() ([]netlink.Route, error) {
		return s.rt.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Table: unix.RT_TABLE_UNSPEC}, netlink.RT_FILTER_TABLE)
	})
}

// DeleteEdge implements network.Fabric. The guards go last.
func (f *Fabric) DeleteEdge(ctx context.Context) error {
	if err := f.check(ctx); err != nil {
		return fmt.Errorf("deleting the edge: %w", err)
	}
	defer f.nouns.lock("edge")()
	host, err := open(f.host)
	if err != nil {
		return err
	}
	defer host.close()
	link, err := host.link(f.names.hostLink())
	if err != nil {
		return err
	}
	if link != nil && link.Attrs().Group == f.names.mark() {
		if err := host.removeLink(f.names.hostLink()); err != nil {
			return err
		}
	}
	if err := f.withdrawProxies(host); err != nil {
		return err
	}
	if err := removeNamespace(f.names.edge()); err != nil {
		return err
	}
	if err := removeTable(host, hostFamily, f.names.hostTable()); err != nil {
		return err
	}
	return host.ensureBlackholes(f.names.mark())
}

// removeNamespace removes a namespace of this package with its links, now
// and not when the kernel comes to it, which is after the last process in it.
func removeNamespace(path string) error {
	inside, err := open(path)
	if err == nil {
		defer inside.close()
		err = inside.removeVeths(func(string) bool { return true })
	}
	if err != nil && !errors.Is(err, network.ErrNotFound) {
		return err
	}
	return deleteNamespace(path)
}

// removeVeths removes the veth links whose name is chosen.
func (s *session) removeVeths(chosen func(name string) bool) error {
	links, err := s.links()
	if err != nil {
		return err
	}
	for _, link := range links {
		if link.Type() != "veth" || !chosen(link.Attrs().Name) {
			continue
		}
		if err := s.rt.LinkDel(link); err != nil && !errors.Is(err, unix.ENODEV) {
			return fmt.Errorf("removing link %s: %w", link.Attrs().Name, err)
		}
	}
	return nil
}
