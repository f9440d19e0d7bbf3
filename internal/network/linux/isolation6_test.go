//go:build e2e

package linux

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// These tests speak IPv6 where there is to be none: neither does anybody answer, nor
// does anybody believe what a machine tells about routers and neighbours.

func TestNobodyAnswersOverIPv6(t *testing.T) {
	y := newYard(t)
	attacker := y.machines["other1"]
	needsIPv6(t)
	one, _ := plainPair(t)
	if !answered(t, one) {
		t.Fatal("the control: a neighbour on a link of no network does not answer")
	}
	if answered(t, attacker) {
		t.Error("somebody answers a machine over IPv6")
	}
	for _, name := range []string{y.fabric.names.edge(), y.fabric.names.router("alpha"), y.fabric.names.router("beta"), y.fabric.names.endpoint("open")} {
		must(t, inside(name, func() error {
			table, err := os.ReadFile("/proc/thread-self/net/if_inet6")
			if err == nil && strings.TrimSpace(string(table)) != "" {
				t.Errorf("%s has addresses of IPv6:\n%s", name, table)
			}
			return nil
		}))
	}
}

func needsIPv6(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		t.Skip("this kernel has no IPv6")
	}
}

// plainPair are the namespaces of two machines with a link between them.
func plainPair(t *testing.T) (one, other string) {
	t.Helper()
	one, other = machine(t), machine(t)
	near, far := at(t, one), at(t, other)
	attributes := netlink.NewLinkAttrs()
	attributes.Name = machineLink
	must(t, near.rt.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: machineLink, PeerNamespace: netlink.NsFd(int(far.file.Fd()))}))
	for _, s := range []*session{near, far} {
		link, err := s.link(machineLink)
		must(t, err)
		must(t, s.up(link))
	}
	for _, s := range []*session{near, far} {
		link, err := s.link(machineLink)
		must(t, err)
		must(t, s.awaitCarrier(t.Context(), link)) // an address of IPv6 is none before
	}
	return one, other
}

// answered asks all neighbours on eth0 for an echo until one answers.
func answered(t *testing.T, namespace string) bool {
	t.Helper()
	must(t, applyIn(namespace, []setting{
		{name: "ipv6/conf/eth0/disable_ipv6", value: "0"}, {name: "ipv6/conf/eth0/accept_dad", value: "0"},
	}))
	found := false
	must(t, inside(namespace, func() error {
		socket, err := net.ListenPacket("ip6:ipv6-icmp", "::")
		if err != nil {
			return err
		}
		defer socket.Close()
		for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline) && !found; {
			request := []byte{128, 0, 0, 0, 0, 7, 0, 1}
			_, _ = socket.WriteTo(request, &net.IPAddr{IP: net.IPv6linklocalallnodes, Zone: machineLink}) // no address yet
			if err := socket.SetReadDeadline(time.Now().Add(lull)); err != nil {
				return err
			}
			for buffer := make([]byte, 128); !found; {
				n, from, err := socket.ReadFrom(buffer)
				if err != nil {
					break
				}
				found = n > 0 && buffer[0] == 129 && !isOwn(from)
			}
		}
		return nil
	}))
	return found
}

// isOwn says whether an address is one of the calling thread's namespace.
func isOwn(address net.Addr) bool {
	table, err := os.ReadFile("/proc/thread-self/net/if_inet6")
	ip, _ := netip.AddrFromSlice(address.(*net.IPAddr).IP)
	compact := strings.ReplaceAll(ip.StringExpanded(), ":", "")
	return err == nil && strings.Contains(string(table), compact)
}

// The lies that a machine tells about IPv6.
const (
	falseRange     = "2001:db8:bad::"
	falseNeighbour = "fe80::bad"
)

// believing makes eth0 of a namespace take what routers and neighbours announce, as
// a link of a careless tenant does, with a neighbour that somebody could claim to be.
func believing(t *testing.T, namespace string) {
	t.Helper()
	must(t, applyIn(namespace, []setting{
		{name: "ipv6/conf/eth0/disable_ipv6", value: "0"}, {name: "ipv6/conf/eth0/accept_dad", value: "0"},
		{name: "ipv6/conf/eth0/accept_ra", value: "2"}, {name: "ipv6/conf/eth0/autoconf", value: "1"},
	}))
	s := at(t, namespace)
	link, err := s.link(machineLink)
	must(t, err)
	must(t, s.rt.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, Family: netlink.FAMILY_V6, State: netlink.NUD_STALE,
		IP: net.ParseIP(falseNeighbour), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}))
}

// deceived says which of the lies a namespace believes.
func deceived(t *testing.T, namespace string, liar net.HardwareAddr) (lies []string) {
	t.Helper()
	must(t, inside(namespace, func() error {
		table, err := os.ReadFile("/proc/thread-self/net/if_inet6")
		if strings.Contains(string(table), "20010db80bad") {
			lies = append(lies, "has an address of the false range")
		}
		return err
	}))
	s := at(t, namespace)
	neighbours, err := s.rt.NeighList(0, netlink.FAMILY_V6)
	must(t, err)
	for _, n := range neighbours {
		if n.HardwareAddr.String() == liar.String() && n.IP.Equal(net.ParseIP(falseNeighbour)) {
			lies = append(lies, "sends what is for the neighbour to the liar")
		}
	}
	routes, err := s.rt.RouteListFiltered(netlink.FAMILY_V6, &netlink.Route{Protocol: unix.RTPROT_RA}, netlink.RT_FILTER_PROTOCOL)
	must(t, err)
	if len(routes) > 0 {
		lies = append(lies, fmt.Sprintf("has routes of a false router: %v", routes))
	}
	return lies
}

// lies announces on eth0, to all, a router with a range of addresses, and that a
// neighbour's address is its own. It returns the address of its link.
func lies(t *testing.T, namespace string) net.HardwareAddr {
	t.Helper()
	must(t, applyIn(namespace, []setting{
		{name: "ipv6/conf/eth0/disable_ipv6", value: "0"}, {name: "ipv6/conf/eth0/accept_dad", value: "0"},
	}))
	var own net.HardwareAddr
	must(t, inside(namespace, func() error {
		link, err := net.InterfaceByName(machineLink)
		if err != nil {
			return err
		}
		own = link.HardwareAddr
		socket, err := net.ListenPacket("ip6:ipv6-icmp", "::")
		if err != nil {
			return err
		}
		defer socket.Close()
		raw, err := socket.(*net.IPConn).SyscallConn()
		if err != nil {
			return err
		}
		const onThisLink = 255 // what comes from further away is not believed
		var failed error
		if err := raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, onThisLink)
		}); err != nil || failed != nil {
			return fmt.Errorf("setting the hop limit: %w, %w", err, failed)
		}
		all := &net.IPAddr{IP: net.IPv6linklocalallnodes, Zone: machineLink}
		within(t, 5*time.Second, "it has an address of its link to speak from", func() bool {
			_, err = socket.WriteTo(routerAdvertisement(), all)
			return err == nil
		})
		_, err = socket.WriteTo(neighbourAdvertisement(own), all)
		return err
	}))
	return own
}

// routerAdvertisement is a router that lives for half an hour, with a range for all (RFC 4861).
func routerAdvertisement() []byte {
	message := []byte{134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0}
	message = append(message, 3, 4, 64, 0xc0) // the range: on this link, for addresses
	message = binary.BigEndian.AppendUint32(message, 3600)
	message = binary.BigEndian.AppendUint32(message, 3600)
	message = append(message, 0, 0, 0, 0)
	return append(message, net.ParseIP(falseRange)...)
}

// neighbourAdvertisement says, asked by nobody, that the neighbour's address is that of a link.
func neighbourAdvertisement(own net.HardwareAddr) []byte {
	message := append([]byte{136, 0, 0, 0, 0x20, 0, 0, 0}, net.ParseIP(falseNeighbour)...)
	return append(append(message, 2, 1), own...)
}

func TestNobodyBelievesWhatAMachineAnnouncesOverIPv6(t *testing.T) {
	needsIPv6(t)
	liar, fool := plainPair(t)
	believing(t, fool)
	within(t, 5*time.Second, "the control: a neighbour on a link of no network believes both", func() bool {
		return len(deceived(t, fool, lies(t, liar))) == 3
	})
	y := newYard(t)
	attacker := y.machines["other1"]
	var machines []string
	for name, namespace := range y.machines {
		if name != "other1" {
			believing(t, namespace)
			machines = append(machines, namespace)
		}
	}
	everybody := append(machines, y.fabric.names.edge(), y.fabric.names.router("alpha"), y.fabric.names.router("beta"), y.fabric.names.endpoint("open"))
	for deadline := time.Now().Add(lull); time.Now().Before(deadline); {
		own := lies(t, attacker)
		for _, namespace := range everybody {
			if believed := deceived(t, namespace, own); len(believed) > 0 {
				t.Fatalf("%s believes another tenant: it %s", namespace, strings.Join(believed, ", and "))
			}
		}
	}
	// The same from a machine of its own network: nodes share no link either.
	own := lies(t, y.machines["web1"])
	for _, namespace := range everybody {
		if believed := deceived(t, namespace, own); len(believed) > 0 && namespace != y.machines["web1"] {
			t.Errorf("%s believes another node: it %s", namespace, strings.Join(believed, ", and "))
		}
	}
}

// hands gives a machine an address of IPv6, and has it hand what is for another one to
// the far end of its link, whether anybody there would have asked for it or not.
func hands(t *testing.T, namespace string, target netip.Addr, farEnd net.HardwareAddr) {
	t.Helper()
	must(t, applyIn(namespace, []setting{{name: "ipv6/conf/eth0/disable_ipv6", value: "0"}, {name: "ipv6/conf/eth0/accept_dad", value: "0"}}))
	s := at(t, namespace)
	link, err := s.link(machineLink)
	must(t, err)
	must(t, s.rt.AddrReplace(link, &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix("2001:db8:1::2/64")), Flags: unix.IFA_F_NODAD}))
	must(t, s.rt.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Dst: ipNet(netip.PrefixFrom(target, 128))}))
	must(t, s.rt.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, Family: netlink.FAMILY_V6, State: netlink.NUD_PERMANENT, IP: target.AsSlice(), HardwareAddr: farEnd}))
}

// listen6 listens on an address that was just given to a namespace.
func listen6(t *testing.T, namespace string, address netip.Addr) (listener net.Listener) {
	t.Helper()
	within(t, 5*time.Second, address.String()+" can be listened on", func() bool {
		return inside(namespace, func() (err error) {
			listener, err = net.Listen("tcp6", netip.AddrPortFrom(address, 0).String())
			return err
		}) == nil
	})
	t.Cleanup(func() { listener.Close() })
	return listener
}

// dial6 connects over IPv6 from a namespace.
func dial6(namespace string, to net.Addr, wait time.Duration) error {
	return inside(namespace, func() error {
		conn, err := net.DialTimeout("tcp6", to.String(), wait)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// hardware is the address of a link of a namespace.
func hardware(t *testing.T, namespace, name string) net.HardwareAddr {
	t.Helper()
	link, err := at(t, namespace).link(name)
	must(t, err)
	return link.Attrs().HardwareAddr
}

func TestAMachineReachesNothingOverIPv6EvenIfItHandsItsRouterFrames(t *testing.T) {
	needsIPv6(t)
	one, other := plainPair(t)
	target := netip.MustParseAddr("2001:db8:1::1")
	hands(t, one, target, hardware(t, other, machineLink))
	must(t, applyIn(other, []setting{{name: "ipv6/conf/eth0/disable_ipv6", value: "0"}, {name: "ipv6/conf/eth0/accept_dad", value: "0"}}))
	s := at(t, other)
	link, err := s.link(machineLink)
	must(t, err)
	must(t, s.rt.AddrReplace(link, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(target, 64)), Flags: unix.IFA_F_NODAD}))
	listener := listen6(t, other, target)
	if err := dial6(one, listener.Addr(), 5*time.Second); err != nil {
		t.Fatalf("the control: a neighbour on a link of no network does not answer: %v", err)
	}

	y := newYard(t)
	attacker := y.machines["other1"]
	must(t, dial(attacker, y.world.Endpoints[0].Address, 443, 5*time.Second)) // it knows its router since
	neighbours, err := at(t, attacker).rt.NeighList(0, netlink.FAMILY_V4)
	must(t, err)
	if len(neighbours) == 0 {
		t.Fatal("the machine has no neighbour")
	}
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().Is6() || prefix.Addr().IsLinkLocalUnicast() || prefix.Addr().IsLoopback() {
			continue
		}
		listener, err := net.Listen("tcp6", netip.AddrPortFrom(prefix.Addr(), 0).String())
		if err != nil {
			continue // an address of another's, gone meanwhile
		}
		defer listener.Close()
		must(t, dial6("", listener.Addr(), 2*time.Second)) // the control: it is there
		hands(t, attacker, prefix.Addr(), neighbours[0].HardwareAddr)
		if err := dial6(attacker, listener.Addr(), lull); err == nil {
			t.Errorf("the host answered on %s", listener.Addr())
		}
	}
	// Nodes of another tenant that turned IPv6 on for themselves.
	for _, name := range []string{"web1", "db1"} {
		own, victim := netip.MustParseAddr("2001:db8:2::1"), y.machines[name]
		must(t, applyIn(victim, []setting{{name: "ipv6/conf/all/disable_ipv6", value: "0"}}))
		s := at(t, victim)
		lo, err := s.loopback()
		must(t, err)
		must(t, s.up(lo))
		must(t, s.rt.AddrReplace(lo, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(own, 128)), Flags: unix.IFA_F_NODAD}))
		listener := listen6(t, victim, own)
		within(t, 5*time.Second, "the control: "+name+" reaches itself", func() bool { return dial6(victim, listener.Addr(), time.Second) == nil })
		hands(t, attacker, own, neighbours[0].HardwareAddr)
		if err := dial6(attacker, listener.Addr(), lull); err == nil {
			t.Errorf("%s answered on %s", name, listener.Addr())
		}
	}
}
