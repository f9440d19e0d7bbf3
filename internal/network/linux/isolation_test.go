//go:build e2e

package linux

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// These tests have the namespace of a machine to themselves, which is more than
// any pod has: what does not work here works for nobody in it.

// lull is how long silence is listened to.
const lull = 300 * time.Millisecond

func TestAMachineReachesNothingOfTheHost(t *testing.T) {
	y := newYard(t)
	attacker := y.machines["other1"]
	addresses, err := net.InterfaceAddrs()
	must(t, err)
	tried := 0
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || !prefix.Addr().Is4() {
			continue
		}
		listener, err := net.Listen("tcp4", netip.AddrPortFrom(prefix.Addr(), 0).String())
		if err != nil {
			continue // an address of another's, gone meanwhile
		}
		defer listener.Close()
		port := uint16(listener.Addr().(*net.TCPAddr).Port)
		must(t, dial("", prefix.Addr(), port, 2*time.Second)) // the control
		tried++
		// Its own loopback is its own: there, it has to go round by the router.
		if prefix.Addr().IsLoopback() {
			must(t, routeOut(t, attacker, prefix.Addr()))
		}
		if err := dial(attacker, prefix.Addr(), port, lull); err == nil {
			t.Errorf("the host answered on %s", listener.Addr())
		}
	}
	if tried < 2 {
		t.Errorf("only %d addresses of the host were tried", tried)
	}
}

// routeOut takes an address of the loopback link from a machine and sends what
// is for it to the router.
func routeOut(t *testing.T, namespace string, address netip.Addr) error {
	s := at(t, namespace)
	lo, err := s.loopback()
	if err != nil {
		return err
	}
	if err := applyIn(namespace, []setting{{name: "ipv4/conf/all/route_localnet", value: "1"}, {name: "ipv4/conf/eth0/route_localnet", value: "1"}}); err != nil {
		return err
	}
	own, err := s.rt.AddrList(lo, netlink.FAMILY_V4)
	if err != nil {
		return err
	}
	for _, a := range own {
		if err := s.rt.AddrDel(lo, &a); err != nil {
			return err
		}
	}
	link, err := s.link(machineLink)
	if err != nil {
		return err
	}
	return s.rt.RouteReplace(route{to: netip.PrefixFrom(address, 32), via: addr("10.1.0.1")}.on(link.Attrs().Index))
}

func TestSpoofedSourcesOfOtherTenantsArriveNowhere(t *testing.T) {
	y := newYard(t)
	attacker, victim := y.machines["other1"], y.world.Endpoints[0].Address
	arrived := make(chan netip.Addr, 16)
	must(t, inside(y.fabric.names.endpoint("open"), func() error {
		socket, err := net.ListenPacket("udp4", netip.AddrPortFrom(victim, 9999).String())
		if err != nil {
			return err
		}
		t.Cleanup(func() { socket.Close() })
		go func() {
			buffer := make([]byte, 64)
			for {
				_, from, err := socket.ReadFrom(buffer)
				if err != nil {
					return
				}
				arrived <- netip.MustParseAddrPort(from.String()).Addr()
			}
		}()
		return nil
	}))
	send := func(from netip.Addr) error {
		return inside(attacker, func() error {
			dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: from.AsSlice()}}
			conn, err := dialer.Dial("udp4", netip.AddrPortFrom(victim, 9999).String())
			if err != nil {
				return err
			}
			defer conn.Close()
			_, err = conn.Write([]byte("x"))
			return err
		})
	}
	beta := y.world.Networks[1].Outbounds[0].Addresses[0]
	for _, lie := range []netip.Addr{y.world.Host, y.world.Public.Addr(), y.world.Services[0], y.world.Networks[0].Outbounds[0].Addresses[0], y.world.Endpoints[1].Address, beta, addr("10.1.2.4"), addr("127.0.0.2")} {
		assign(t, attacker, lie)
		err := send(lie)
		if err != nil && !errors.Is(err, unix.EINVAL) {
			t.Fatal(err)
		}
		must(t, send(addr("10.1.1.4"))) // the control: what is honest arrives by the same way, after it
		select {
		case from := <-arrived:
			if from != beta || len(arrived) > 0 {
				t.Errorf("what claims to be from %s arrived as from %s", lie, from)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("what is honest did not arrive")
		}
	}
}

func TestNobodyAnswersForAnotherTenantsAddresses(t *testing.T) {
	y := newYard(t)
	attacker := y.machines["other1"]
	alpha := y.world.Networks[0]
	if !asks(t, attacker, addr("10.1.0.1")) {
		t.Fatal("the control: the gateway does not answer")
	}
	for _, foreign := range []netip.Addr{
		addr("10.1.2.4"), addr("10.1.1.5"), alpha.Outbounds[0].Addresses[0], alpha.Frontends[0].Address,
		y.world.Endpoints[0].Address, y.world.Host, y.world.Services[0], nextHop(),
	} {
		if asks(t, attacker, foreign) {
			t.Errorf("somebody answers the attacker for %s", foreign)
		}
	}
	// It claims the addresses of everybody, and nobody's traffic changes its way.
	liar, fool := plainPair(t)
	within(t, 5*time.Second, "the control: a neighbour on a link of no network believes a claim", func() bool {
		return believesClaim(t, liar, fool, addr("10.1.0.1"))
	})
	for _, claimed := range []netip.Addr{addr("10.1.0.1"), addr("10.1.1.5"), nextHop(), y.world.Public.Addr(), y.world.Endpoints[0].Address, alpha.Outbounds[0].Addresses[0]} {
		claims(t, attacker, claimed)
	}
	must(t, dial(y.machines["web1"], addr("10.1.1.5"), 443, 5*time.Second))
	must(t, dial(y.machines["web1"], y.world.Endpoints[0].Address, 443, 5*time.Second))
	must(t, dial("", alpha.Frontends[0].Address, 80, 5*time.Second))
}

// believesClaim says whether a machine that knows an address by another link's sends
// what is for it to a neighbour once that claims it.
func believesClaim(t *testing.T, liar, fool string, claimed netip.Addr) bool {
	t.Helper()
	s := at(t, fool)
	link, err := s.link(machineLink)
	must(t, err)
	must(t, s.rt.NeighSet(&netlink.Neigh{LinkIndex: link.Attrs().Index, Family: netlink.FAMILY_V4, State: netlink.NUD_STALE, IP: claimed.AsSlice(), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}))
	claims(t, liar, claimed)
	neighbours, err := s.rt.NeighList(link.Attrs().Index, netlink.FAMILY_V4)
	must(t, err)
	for _, n := range neighbours {
		if n.IP.Equal(claimed.AsSlice()) {
			return n.HardwareAddr.String() == hardware(t, liar, machineLink).String()
		}
	}
	return false
}

// The two operations of ARP.
const (
	arpRequest = 1
	arpReply   = 2
)

// frame is an ARP packet that is broadcast.
func frame(link *net.Interface, operation uint16, sender, target netip.Addr) []byte {
	broadcast := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	out := append(append(append([]byte{}, broadcast...), link.HardwareAddr...), 0x08, 0x06, 0, 1, 0x08, 0, 6, 4)
	out = binary.BigEndian.AppendUint16(out, operation)
	out = append(append(out, link.HardwareAddr...), sender.AsSlice()...)
	return append(append(out, broadcast...), target.AsSlice()...)
}

// packets opens a raw socket on a machine's link.
func packets(t *testing.T, namespace string) (socket int, link *net.Interface) {
	t.Helper()
	must(t, inside(namespace, func() (err error) {
		if link, err = net.InterfaceByName(machineLink); err != nil {
			return err
		}
		protocol := binary.NativeEndian.Uint16([]byte{0x08, 0x06})
		if socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW, int(protocol)); err != nil {
			return err
		}
		return unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: protocol, Ifindex: link.Index})
	}))
	t.Cleanup(func() { unix.Close(socket) })
	return socket, link
}

// asks asks who has an address, and says whether anybody answers.
func asks(t *testing.T, namespace string, address netip.Addr) bool {
	t.Helper()
	socket, link := packets(t, namespace)
	must(t, unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: lull.Microseconds()}))
	_, err := unix.Write(socket, frame(link, arpRequest, addr("10.1.1.4"), address))
	must(t, err)
	for buffer := make([]byte, 128); ; {
		n, err := unix.Read(socket, buffer)
		if errors.Is(err, unix.EAGAIN) {
			return false
		}
		must(t, err)
		const operation, senderAddress = 20, 28
		if n >= senderAddress+4 && binary.BigEndian.Uint16(buffer[operation:]) == arpReply && netip.AddrFrom4([4]byte(buffer[senderAddress:])) == address {
			return true
		}
	}
}

// claims says to all that an address is the machine's, as a question and as an answer.
func claims(t *testing.T, namespace string, address netip.Addr) {
	t.Helper()
	socket, link := packets(t, namespace)
	for _, operation := range []uint16{arpRequest, arpReply} {
		_, err := unix.Write(socket, frame(link, operation, address, address))
		must(t, err)
	}
}
