package linux

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

func balanced(backends ...string) network.Network {
	n := network.Network{ID: "alpha", Frontends: []network.Frontend{{
		Address: netip.MustParseAddr("198.18.0.17"),
		Rules:   []network.Rule{{Protocol: "TCP", Port: 80, NodePort: 30080}, {Protocol: "UDP", Port: 80, NodePort: 30080}},
	}}}
	for _, backend := range backends {
		address := netip.MustParseAddr(backend)
		n.Ports = append(n.Ports, network.Port{Address: address})
		n.Frontends[0].Backends = append(n.Frontends[0].Backends, address)
	}
	return n
}

func TestFlowsThatTheBalancersNoLongerAllowAreStale(t *testing.T) {
	flow := func(protocol uint8, to string, port uint16, answering string) *netlink.ConntrackFlow {
		return &netlink.ConntrackFlow{
			Forward: netlink.IPTuple{Protocol: protocol, DstIP: net.ParseIP(to), DstPort: port},
			Reverse: netlink.IPTuple{Protocol: protocol, SrcIP: net.ParseIP(answering), SrcPort: 30080},
		}
	}
	for _, test := range []struct {
		name string
		flow *netlink.ConntrackFlow
		want bool
	}{
		{"TCP to a backend in rotation", flow(unix.IPPROTO_TCP, "198.18.0.17", 80, "10.224.0.4"), false},
		{"TCP to a backend out of rotation drains", flow(unix.IPPROTO_TCP, "198.18.0.17", 80, "10.224.0.9"), false},
		{"UDP to a backend in rotation", flow(unix.IPPROTO_UDP, "198.18.0.17", 80, "10.224.0.4"), false},
		{"UDP to a backend out of rotation", flow(unix.IPPROTO_UDP, "198.18.0.17", 80, "10.224.0.9"), true},
		{"a port without a rule", flow(unix.IPPROTO_TCP, "198.18.0.17", 81, "10.224.0.4"), true},
		{"a frontend that is gone", flow(unix.IPPROTO_TCP, "198.18.0.18", 80, "10.224.0.4"), true},
		{"a flow that no balancer sent", flow(unix.IPPROTO_UDP, "198.18.0.3", 53, "198.18.0.3"), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got := balancing(balanced("10.224.0.4")).MatchConntrackFlow(test.flow); got != test.want {
				t.Errorf("MatchConntrackFlow() = %v, want %v", got, test.want)
			}
		})
	}
}

func TestTheMemoryTellsWhenBalancingChanged(t *testing.T) {
	m := newMemory()
	if !m.changed(balanced("10.224.0.4")) {
		t.Error("an unknown network did not count as changed")
	}
	m.remember(balanced("10.224.0.4"))
	if m.changed(balanced("10.224.0.4")) {
		t.Error("the same network counted as changed")
	}
	if !m.changed(balanced("10.224.0.5")) {
		t.Error("another rotation did not count as changed")
	}
	m.forget("alpha")
	if !m.changed(balanced("10.224.0.4")) {
		t.Error("a forgotten network did not count as changed")
	}
}
