//go:build e2e

package linux

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/network/trace"
)

// yard is a host with everything that can decide about a packet: networks with
// rules, routes and an appliance, and an endpoint with authorized ranges.
type yard struct {
	*instance
	world    trace.World
	machines map[string]string // by port
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }
func addr(text string) netip.Addr     { return netip.MustParseAddr(text) }

func ranges(texts ...string) network.Peers {
	var peers network.Peers
	for _, text := range texts {
		peers.Ranges = append(peers.Ranges, prefix(text))
	}
	return peers
}

func tags(all ...network.Tag) network.Peers { return network.Peers{Tags: all} }

func newYard(t *testing.T) *yard {
	i := newInstance(t)
	plan := network.PlanPublicRange(i.public)
	public := func(n int) netip.Addr {
		address := plan.First
		for range n {
			address = address.Next()
		}
		return address
	}
	y := &yard{instance: i, machines: map[string]string{}}
	y.world = trace.World{
		Public: i.public, Host: plan.Host, Services: []netip.Addr{plan.FrontEnd, plan.DNS},
		Endpoints: []network.Endpoint{
			{ID: "open", Address: public(0)},
			{ID: "closed", Address: public(1), Authorized: []netip.Prefix{netip.PrefixFrom(public(2), 32)}},
		},
		Networks: []network.Network{yardNetwork("alpha", public(2), public(4), public(5), public(0)), otherNetwork("beta", public(3))},
	}
	y.ensure(t)
	return y
}

// yardNetwork has a subnet for each thing to try.
func yardNetwork(id string, outbound, second, frontend, reachable netip.Addr) network.Network {
	port := func(id, subnet, address string) network.Port {
		return network.Port{ID: id, Subnet: subnet, Address: addr(address), Outbound: "main"}
	}
	n := network.Network{
		ID: id, AddressSpace: []netip.Prefix{prefix("10.1.0.0/16")}, PodRanges: []netip.Prefix{prefix("10.244.0.0/16")},
		Outbounds: []network.Outbound{
			{ID: "main", Addresses: []netip.Addr{outbound}, PortsPerNode: 8000},
			{ID: "none", Addresses: []netip.Addr{second}, Disabled: true, Reachable: []netip.Addr{reachable}},
		},
		Ports: []network.Port{
			port("web1", "web", "10.1.1.4"), port("web2", "web", "10.1.1.5"), port("db1", "db", "10.1.2.4"),
			port("fw1", "fw", "10.1.3.4"), port("far1", "far", "10.1.4.4"), port("pod1", "free", "10.1.5.4"), port("shut1", "free", "10.1.5.5"),
		},
		Frontends: []network.Frontend{{Name: "default/web", Address: frontend, Rules: []network.Rule{
			{Protocol: "TCP", Port: 80, NodePort: 8080}, {Protocol: "TCP", Port: 81, NodePort: 8080}, {Protocol: "UDP", Port: 80, NodePort: 8080},
		}, Backends: []netip.Addr{addr("10.1.1.4")}}},
	}
	n.Ports[0].PodRange = prefix("10.244.0.0/24")
	n.Ports[5].PodAddresses = []netip.Addr{addr("10.1.6.10")}
	n.Ports[6].Outbound = "none"
	n.Subnets = []network.Subnet{
		{Name: "web", Range: prefix("10.1.1.0/24"), Rules: append([]network.SecurityRule{
			{Name: "no-web2", Priority: 110, Direction: network.Inbound, Sources: ranges("10.1.1.5/32"), Destinations: ranges("10.1.1.4/32"), DestinationPorts: []network.PortRange{{First: 8000, Last: 8999}}},
			{Name: "no-81", Priority: 120, Direction: network.Inbound, Protocol: network.ProtocolTCP, DestinationPorts: []network.PortRange{{First: 81, Last: 81}}},
			{Name: "no-9090", Priority: 100, Direction: network.Outgoing, Protocol: network.ProtocolTCP, DestinationPorts: []network.PortRange{{First: 9090, Last: 9090}}},
			network.AllowBalanced(),
		}, network.DefaultSecurityRules()...)},
		{Name: "db", Range: prefix("10.1.2.0/24"), Rules: append([]network.SecurityRule{
			{Name: "web-only", Priority: 200, Direction: network.Inbound, Allow: true, Protocol: network.ProtocolTCP, Sources: ranges("10.1.1.0/25"), DestinationPorts: []network.PortRange{{First: 8080, Last: 8080}}},
			{Name: "nobody", Priority: 300, Direction: network.Inbound, Sources: tags(network.TagVirtualNetwork)},
			{Name: "no-internet", Priority: 300, Direction: network.Outgoing, Destinations: tags(network.TagInternet)},
		}, network.DefaultSecurityRules()...)},
		{Name: "fw", Range: prefix("10.1.3.0/24")},
		{Name: "far", Range: prefix("10.1.4.0/24"), Routes: []network.Route{
			{Name: "by-fw", Prefix: prefix("10.1.1.0/24"), Hop: network.HopAppliance, Address: addr("10.1.3.4")},
			{Name: "by-nobody", Prefix: prefix("10.1.2.0/24"), Hop: network.HopAppliance, Address: addr("10.1.3.9")},
			{Name: "hole", Prefix: prefix("10.1.3.4/32"), Hop: network.HopNone},
			{Name: "all-by-fw", Prefix: prefix("0.0.0.0/0"), Hop: network.HopAppliance, Address: addr("10.1.3.4")},
		}},
		{Name: "free", Range: prefix("10.1.5.0/24"), Routes: []network.Route{
			{Name: "astray", Prefix: prefix("10.1.1.5/32"), Hop: network.HopInternet},
			{Name: "local", Prefix: prefix("10.1.1.0/24"), Hop: network.HopLocal},
		}},
		{Name: "pods", Range: prefix("10.1.6.0/24"), Rules: append([]network.SecurityRule{
			{Name: "no-db", Priority: 100, Direction: network.Outgoing, Destinations: ranges("10.1.2.0/24", "10.1.1.5/32")},
			{Name: "no-udp", Priority: 100, Direction: network.Inbound, Protocol: network.ProtocolUDP},
		}, network.DefaultSecurityRules()...)},
	}
	return n
}

// otherNetwork is another tenant's, of the same ranges.
func otherNetwork(id string, outbound netip.Addr) network.Network {
	return network.Network{
		ID: id, AddressSpace: []netip.Prefix{prefix("10.1.0.0/16")}, Subnets: []network.Subnet{{Name: "all", Range: prefix("10.1.0.0/16")}},
		Outbounds: []network.Outbound{{ID: "main", Addresses: []netip.Addr{outbound}}},
		Ports:     []network.Port{{ID: "other1", Subnet: "all", Address: addr("10.1.1.4"), Outbound: "main"}},
	}
}

func (y *yard) ensure(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	must(t, y.fabric.EnsureEdge(ctx, network.Edge{PublicRange: y.public, HostAddress: y.world.Host, ServiceAddresses: y.world.Services}))
	for _, endpoint := range y.world.Endpoints {
		namespace, err := y.fabric.EnsureEndpoint(ctx, endpoint)
		must(t, err)
		y.serve(t, namespace, endpoint.Address)
	}
	for _, n := range y.world.Networks {
		must(t, y.fabric.EnsureNetwork(ctx, n))
		for _, port := range n.Ports {
			at := machine(t)
			y.machines[port.ID] = at
			must(t, applyIn(at, []setting{{name: "ipv4/ip_forward", value: "1"}, {name: "ipv4/conf/all/rp_filter", value: "0"}}))
			must(t, y.fabric.AttachPort(ctx, n.ID, port, at))
			own := append([]netip.Addr{}, port.PodAddresses...)
			if port.PodRange.IsValid() {
				own = append(own, port.PodRange.Addr().Next())
			}
			for _, pod := range own {
				assign(t, at, pod)
			}
			for _, address := range append(own, port.Address) {
				y.serve(t, at, address)
			}
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve answers on TCP and UDP ports of an address.
func (y *yard) serve(t *testing.T, namespace string, address netip.Addr) {
	t.Helper()
	for _, port := range []uint16{443, 8080, 9090} {
		at := netip.AddrPortFrom(address, port).String()
		must(t, inside(namespace, func() error {
			listener, err := net.Listen("tcp4", at)
			if err != nil {
				return err
			}
			t.Cleanup(func() { listener.Close() })
			go func() {
				for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
					conn.Close()
				}
			}()
			socket, err := net.ListenPacket("udp4", at)
			if err != nil {
				return err
			}
			t.Cleanup(func() { socket.Close() })
			go func() {
				buffer := make([]byte, 64)
				for {
					n, client, err := socket.ReadFrom(buffer)
					if errors.Is(err, net.ErrClosed) {
						return
					}
					_, _ = socket.WriteTo(buffer[:n], client)
				}
			}()
			return nil
		}))
	}
}

// becomes is what really becomes of a packet.
func (y *yard) becomes(t *testing.T, p trace.Packet, wait time.Duration) trace.Verdict {
	t.Helper()
	namespace := "" // the host
	for _, n := range y.world.Networks {
		if port, ok := n.PortOf(p.From); ok && n.ID == p.Network {
			namespace = y.machines[port.ID]
		}
	}
	for _, endpoint := range y.world.Endpoints {
		if endpoint.Address == p.From {
			namespace = y.fabric.names.endpoint(endpoint.ID)
		}
	}
	err := inside(namespace, func() error {
		switch p.Protocol {
		case network.ProtocolICMP:
			return ping(p.From, p.To, wait)
		case network.ProtocolUDP:
			return ask(p, wait)
		}
		dialer := net.Dialer{Timeout: wait, LocalAddr: &net.TCPAddr{IP: p.From.AsSlice()}}
		conn, err := dialer.Dial("tcp4", netip.AddrPortFrom(p.To, p.Port).String())
		if err == nil {
			conn.Close()
		}
		return err
	})
	switch {
	case err == nil:
		return trace.Delivered
	case errors.Is(err, syscall.ECONNREFUSED):
		return trace.Refused
	case os.IsTimeout(err) || errors.Is(err, syscall.EHOSTUNREACH) || errors.Is(err, syscall.ENETUNREACH) || errors.Is(err, syscall.EINVAL):
		return trace.Dropped
	}
	t.Fatalf("%+v: %v", p, err)
	return ""
}

func ask(p trace.Packet, wait time.Duration) error {
	dialer := net.Dialer{LocalAddr: &net.UDPAddr{IP: p.From.AsSlice()}}
	conn, err := dialer.Dial("udp4", netip.AddrPortFrom(p.To, p.Port).String())
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		return err
	}
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 64))
	return err
}

func ping(from, to netip.Addr, wait time.Duration) error {
	socket, err := net.ListenPacket("ip4:icmp", from.String())
	if err != nil {
		return err
	}
	defer socket.Close()
	const id = 0xb8
	request := []byte{8, 0, 0, 0, 0, id, 0, 1}
	sum := ^uint16(8<<8 + id + 1)
	request[2], request[3] = byte(sum>>8), byte(sum)
	if err := socket.SetDeadline(time.Now().Add(wait)); err != nil {
		return err
	}
	if _, err := socket.WriteTo(request, &net.IPAddr{IP: to.AsSlice()}); err != nil {
		return err
	}
	for answer := make([]byte, 1500); ; {
		n, _, err := socket.ReadFrom(answer)
		if err != nil {
			return err
		}
		if n >= 8 && answer[0] == 0 && answer[5] == id {
			return nil
		}
		if n >= 8 && answer[0] == 3 && answer[1] == 3 { // port unreachable
			return unix.ECONNREFUSED
		}
	}
}

func (y *yard) packets() []trace.Packet {
	alpha := y.world.Networks[0]
	frontend, outbound := alpha.Frontends[0].Address.String(), alpha.Outbounds[0].Addresses[0].String()
	open, closed := y.world.Endpoints[0].Address.String(), y.world.Endpoints[1].Address.String()
	var all []trace.Packet
	add := func(id, from string, tos ...string) {
		for _, to := range tos {
			protocol, rest, _ := strings.Cut(to, " ")
			host, port, _ := strings.Cut(rest, ":")
			p := trace.Packet{Network: id, From: addr(from), To: addr(host), Protocol: strings.ToUpper(protocol)}
			_, _ = fmt.Sscan(port, &p.Port)
			all = append(all, p)
		}
	}
	add("alpha", "10.1.1.4", "tcp 10.1.1.5:8080", "tcp 10.1.1.5:9090", "udp 10.1.1.5:9090", "tcp 10.1.2.4:8080", "tcp 10.1.2.4:443", "udp 10.1.2.4:8080",
		"icmp 10.1.2.4", "icmp 10.1.1.5", "tcp 10.1.4.4:8080", "tcp 10.1.1.77:8080", "tcp 10.1.1.1:8080", "icmp 10.1.1.1", "tcp 10.1.6.10:8080", "udp 10.1.6.10:8080",
		"tcp "+open+":443", "tcp "+closed+":443", "tcp "+frontend+":80", "tcp "+frontend+":81", "tcp "+frontend+":82", "udp "+frontend+":82", "udp "+frontend+":80", "tcp "+y.world.Host.String()+":443")
	add("alpha", "10.244.0.1", "tcp 10.1.2.4:8080", "tcp 10.1.1.5:8080", "tcp "+open+":443")
	add("alpha", "10.1.1.5", "tcp 10.1.1.4:8080", "udp 10.1.1.4:8080", "tcp 10.1.1.4:443", "icmp 10.1.1.4", "tcp 10.244.0.1:8080", "tcp 10.244.9.9:8080")
	add("alpha", "10.1.2.4", "tcp 10.1.1.4:8080", "tcp "+open+":443", "tcp 10.1.1.5:443", "udp "+frontend+":80")
	add("alpha", "10.1.4.4", "tcp 10.1.1.4:8080", "tcp 10.1.1.4:443", "udp 10.1.1.5:8080", "tcp 10.1.2.4:8080", "tcp 10.1.3.4:8080", "tcp "+open+":443", "icmp 10.1.1.5")
	add("alpha", "10.1.5.4", "tcp 10.1.1.4:8080", "tcp 10.1.1.5:8080", "tcp 10.1.2.4:8080")
	add("alpha", "10.1.6.10", "tcp 10.1.1.4:8080", "tcp 10.1.1.5:8080", "tcp 10.1.2.4:8080", "tcp "+open+":443")
	add("alpha", "10.1.5.5", "tcp "+open+":443", "tcp "+closed+":443", "tcp 10.1.1.4:8080", "udp "+y.world.Services[1].String()+":53")
	add("beta", "10.1.1.4", "tcp "+open+":443", "tcp "+closed+":443", "tcp 10.1.2.4:8080", "tcp "+frontend+":80", "tcp "+frontend+":81", "tcp "+frontend+":82", "udp "+frontend+":82", "tcp "+outbound+":8080", "icmp "+outbound, "icmp "+frontend)
	add("", y.world.Host.String(), "tcp "+open+":443", "tcp "+closed+":443", "tcp "+frontend+":80", "udp "+frontend+":80", "tcp "+frontend+":81", "tcp "+outbound+":443")
	add("", open, "tcp "+closed+":443", "tcp "+frontend+":80", "tcp "+y.world.Host.String()+":443")
	return all
}

func TestTheTraceSaysWhatBecomesOfPackets(t *testing.T) {
	y := newYard(t)
	count := map[trace.Verdict]int{}
	for _, p := range y.packets() {
		said := trace.Run(y.world, p)
		count[said.Verdict]++
		wait := 5 * time.Second
		if said.Verdict == trace.Dropped {
			wait = 300 * time.Millisecond
		}
		if got := y.becomes(t, p, wait); got != said.Verdict {
			t.Errorf("%s %s from %s to %s:%d is %s, but the trace says %s:", p.Network, p.Protocol, p.From, p.To, p.Port, got, said.Verdict)
			for _, hop := range said.Hops {
				t.Logf("    %s: %s: %s", hop.Where, hop.What, hop.Says)
			}
		}
	}
	t.Logf("the packets are %v", count)
	for _, verdict := range []trace.Verdict{trace.Delivered, trace.Dropped, trace.Refused} {
		if count[verdict] < 3 {
			t.Errorf("only %d packets are %s", count[verdict], verdict)
		}
	}
}
