package linux

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// opensOutside says whether packets go between the edge and what lies beyond the host.
func opensOutside(edge network.Edge) bool { return edge.Egress || edge.Announce != "" }

// checkOutside refuses to open the edge on a host that does not forward: whether
// it does is the operator's decision, and never changed here.
func checkOutside(host *session, edge network.Edge) error {
	if !opensOutside(edge) {
		return nil
	}
	if edge.Announce != "" {
		if link, err := host.link(edge.Announce); err != nil {
			return err
		} else if link == nil {
			return fmt.Errorf("announcing the public range: the host has no link %s", edge.Announce)
		}
	}
	return inNamespace(host.file, func() error {
		value, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
		if err != nil {
			return fmt.Errorf("reading whether the host forwards packets: %w", err)
		}
		if strings.TrimSpace(string(value)) != "1" {
			return fmt.Errorf("opening the edge to the outside: the host does not forward packets; allow it (sysctl -w net.ipv4.ip_forward=1), or leave --egress and --announce out: %w", network.ErrConflict)
		}
		return nil
	})
}

// ensureProxies lets the host answer for every address of the pool on one link,
// and on no other. These are entries of their own: the link's proxy_arp would
// answer for whatever the host has a route to.
func ensureProxies(host *session, announce string, public netip.Prefix) error {
	present, err := host.proxies(announce, public)
	if err != nil || announce == "" {
		return err
	}
	link, err := host.link(announce)
	if err != nil || link == nil {
		return err
	}
	for address := public.Addr(); public.Contains(address); address = address.Next() {
		if present[address] {
			continue
		}
		if err := host.rt.NeighAdd(proxy(link.Attrs().Index, address)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("announcing %s on link %s: %w", address, announce, err)
		}
	}
	return nil
}

// withdrawProxies lets the host answer for nothing of its pool any more.
func (f *Fabric) withdrawProxies(host *session) error {
	all, err := host.allRoutes()
	if err != nil {
		return err
	}
	for _, r := range all {
		if r.Type == unix.RTN_BLACKHOLE && uint32(r.Priority) == f.names.mark() {
			if _, err := host.proxies("", destination(r)); err != nil {
				return err
			}
		}
	}
	return nil
}

// proxies are the addresses of a range that the host answers for on a link; it
// removes those on other links.
func (s *session) proxies(announce string, public netip.Prefix) (map[netip.Addr]bool, error) {
	links, err := s.links()
	if err != nil {
		return nil, err
	}
	present := map[netip.Addr]bool{}
	for _, link := range links {
		list, err := dump("proxied addresses", func() ([]netlink.Neigh, error) { return s.rt.NeighProxyList(link.Attrs().Index, netlink.FAMILY_V4) })
		if err != nil {
			return nil, err
		}
		for _, entry := range list {
			address := fromIP(entry.IP)
			if !public.Contains(address) {
				continue
			}
			if link.Attrs().Name == announce {
				present[address] = true
				continue
			}
			if err := s.rt.NeighDel(proxy(link.Attrs().Index, address)); err != nil && !errors.Is(err, unix.ENOENT) {
				return nil, fmt.Errorf("withdrawing %s from link %s: %w", address, link.Attrs().Name, err)
			}
		}
	}
	return present, nil
}

func proxy(index int, address netip.Addr) *netlink.Neigh {
	return &netlink.Neigh{LinkIndex: index, Family: netlink.FAMILY_V4, Flags: netlink.NTF_PROXY, IP: address.AsSlice()}
}

// announcedIndex is the index of the link that the pool is announced on, -1 for none.
func (s *session) announcedIndex(announce string) (int, error) {
	if announce == "" {
		return -1, nil
	}
	link, err := s.link(announce)
	if link == nil || err != nil {
		return -1, err
	}
	return link.Attrs().Index, nil
}
