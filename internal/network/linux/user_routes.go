package linux

import (
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// userRulePriority is that of the rules that lead what carries the mark of a
// subnet to the subnet's own table: after the router's own addresses, before the
// main table.
const userRulePriority = 1000

// userTables is where the numbers of the subnets' tables begin.
const userTables = 1 << 20

// ensureUserRoutes gives every subnet that has user-defined routes a table with
// them, in which the network's own ranges lead on to the main table, and leads
// to it what the packet filter marked, which is what comes in over the links of its
// ports. The source check knows of no marks: it asks from which link an address
// would come by the network's own routes.
func (f *Fabric) ensureUserRoutes(router *session, n network.Network) error {
	tables := tablesOf(n)
	links, err := router.links()
	if err != nil {
		return err
	}
	indexes := map[string]int{}
	for _, link := range links {
		indexes[link.Attrs().Name] = link.Attrs().Index
	}
	wanted := map[int][]netlink.Route{}
	for _, subnet := range n.Subnets {
		if len(subnet.Routes) == 0 {
			continue
		}
		wanted[tables[subnet.Name]] = f.userTable(n, subnet, indexes)
	}
	return errors.Join(router.ensureTables(wanted), router.ensureRules(wanted), router.pruneTables(wanted))
}

// tablesOf numbers the subnets' tables by their names, so that another subnet
// coming or going moves none.
func tablesOf(n network.Network) map[string]int {
	tables, taken := map[string]int{}, map[int]bool{}
	for _, subnet := range n.Subnets {
		hash := fnv.New32a()
		hash.Write([]byte(subnet.Name))
		number := userTables + int(hash.Sum32()%userTables)
		for taken[number] {
			number++
		}
		tables[subnet.Name], taken[number] = number, true
	}
	return tables
}

// userTable is what a subnet's table holds.
func (f *Fabric) userTable(n network.Network, subnet network.Subnet, indexes map[string]int) []netlink.Route {
	var routes []netlink.Route
	overridden := map[netip.Prefix]bool{}
	for _, r := range n.EffectiveRoutes(subnet) {
		overridden[r.Prefix] = true
		// The hole lies below, too, where the way there goes with its link: what is
		// to be sent by an appliance is never sent past it.
		hole := netlink.Route{Dst: ipNet(r.Prefix), Type: unix.RTN_BLACKHOLE, Priority: edgeMetric}
		routes = append(routes, hole)
		out := hole
		port, attached := n.Appliance(r)
		index, linked := indexes[f.names.portLink(port.ID)]
		switch {
		case attached && linked:
			out = *route{to: r.Prefix, via: r.Address}.on(index)
			out.Type = unix.RTN_UNICAST
		case r.Hop == network.HopInternet && indexes[uplink] != 0:
			out = *route{to: r.Prefix, via: nextHop()}.on(indexes[uplink])
			out.Type = unix.RTN_UNICAST
		case r.Hop == network.HopLocal && slices.ContainsFunc(n.Space(), func(own netip.Prefix) bool { return own.Overlaps(r.Prefix) && own.Bits() <= r.Prefix.Bits() }):
			routes = routes[:len(routes)-1]
			out = netlink.Route{Dst: ipNet(r.Prefix), Type: unix.RTN_THROW}
		}
		if out.Type != unix.RTN_BLACKHOLE {
			routes = append(routes, out)
		}
	}
	for _, own := range n.Space() {
		if !overridden[own] {
			routes = append(routes, netlink.Route{Dst: ipNet(own), Type: unix.RTN_THROW})
		}
	}
	return routes
}

// userRoutes lists the routes of the subnets' tables.
func (s *session) userRoutes() (map[int][]netlink.Route, error) {
	all, err := s.allRoutes()
	if err != nil {
		return nil, err
	}
	tables := map[int][]netlink.Route{}
	for _, r := range all {
		if r.Table >= userTables {
			tables[r.Table] = append(tables[r.Table], r)
		}
	}
	return tables, nil
}

// ensureTables replaces what differs, so that no packet finds a gap.
func (s *session) ensureTables(wanted map[int][]netlink.Route) error {
	have, err := s.userRoutes()
	if err != nil {
		return err
	}
	for table, routes := range wanted {
		for _, w := range routes {
			if slices.ContainsFunc(have[table], func(h netlink.Route) bool { return sameRoute(h, w) }) {
				continue
			}
			w.Table = table
			if err := s.rt.RouteReplace(&w); err != nil {
				return fmt.Errorf("routing %s by a user-defined route: %w", destination(w), err)
			}
		}
	}
	return nil
}

// pruneTables removes what no subnet wants any more.
func (s *session) pruneTables(wanted map[int][]netlink.Route) error {
	have, err := s.userRoutes()
	if err != nil {
		return err
	}
	for table, routes := range have {
		for _, h := range routes {
			if slices.ContainsFunc(wanted[table], func(w netlink.Route) bool { return sameRoute(h, w) }) {
				continue
			}
			if err := s.rt.RouteDel(&h); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("removing the user-defined route to %s: %w", destination(h), err)
			}
		}
	}
	return nil
}

func sameRoute(a, b netlink.Route) bool {
	return destination(a) == destination(b) && a.Type == b.Type && a.Priority == b.Priority && a.LinkIndex == b.LinkIndex && fromIP(a.Gw) == fromIP(b.Gw)
}

// ensureRules leads what carries the number of a table as its mark there.
func (s *session) ensureRules(wanted map[int][]netlink.Route) error {
	have, err := dump("routing rules", func() ([]netlink.Rule, error) { return s.rt.RuleList(netlink.FAMILY_V4) })
	if err != nil {
		return err
	}
	present := map[int]bool{}
	for _, r := range have {
		if r.Priority != userRulePriority {
			continue
		}
		if _, ok := wanted[r.Table]; ok && r.Mark == uint32(r.Table) && r.IifName == "" && !present[r.Table] {
			present[r.Table] = true
			continue
		}
		if err := s.rt.RuleDel(&r); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("removing the routing rule of table %d: %w", r.Table, err)
		}
	}
	for table := range wanted {
		if present[table] {
			continue
		}
		r := netlink.NewRule()
		r.Family, r.Priority, r.Mark, r.Table = netlink.FAMILY_V4, userRulePriority, uint32(table), table
		if err := s.rt.RuleAdd(r); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("adding the routing rule of table %d: %w", table, err)
		}
	}
	return nil
}
