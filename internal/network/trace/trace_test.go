package trace

import (
	"net/netip"
	"strings"
	"testing"

	"berth.dev/berth/internal/network"
)

// How verdicts compare with what packets do is tested with the Linux driver.
func TestATraceNamesWhatDecides(t *testing.T) {
	address, prefix := netip.MustParseAddr, netip.MustParsePrefix
	n := network.Network{
		ID: "alpha", AddressSpace: []netip.Prefix{prefix("10.1.0.0/16")},
		Subnets: []network.Subnet{{
			Name: "web", Range: prefix("10.1.1.0/24"),
			Rules: append([]network.SecurityRule{{Name: "no-smtp", Priority: 100, Direction: network.Outgoing, DestinationPorts: []network.PortRange{{First: 25, Last: 25}}}},
				network.DefaultSecurityRules()...),
			Routes: []network.Route{{Name: "hole", Prefix: prefix("10.1.9.0/24"), Hop: network.HopNone}},
		}},
		Outbounds: []network.Outbound{{ID: "main", Addresses: []netip.Addr{address("198.18.0.18")}}},
		Ports: []network.Port{
			{ID: "one", Subnet: "web", Address: address("10.1.1.4"), Outbound: "main"}, {ID: "two", Subnet: "web", Address: address("10.1.1.5")},
		},
		Frontends: []network.Frontend{{Name: "default/web", Address: address("198.18.0.19"), Rules: []network.Rule{{Protocol: "TCP", Port: 80, NodePort: 30080}}}},
	}
	world := World{
		Public: prefix("198.18.0.0/20"), Host: address("198.18.0.1"), Networks: []network.Network{n},
		Endpoints: []network.Endpoint{{ID: "api", Address: address("198.18.0.16"), Authorized: []netip.Prefix{prefix("198.18.0.99/32")}}},
	}
	for _, test := range []struct {
		name    string
		packet  Packet
		verdict Verdict
		says    string
	}{
		{"a rule", Packet{Network: "alpha", To: address("10.1.1.5"), Protocol: "TCP", Port: 25}, Dropped, "no-smtp (priority 100"},
		{"a route", Packet{Network: "alpha", To: address("10.1.9.5"), Protocol: "TCP", Port: 80}, Dropped, "the user-defined route hole"},
		{"authorized ranges", Packet{Network: "alpha", To: address("198.18.0.16"), Protocol: "TCP", Port: 443}, Dropped, "authorized ranges"},
		{"a balancer without a backend", Packet{Network: "alpha", To: address("198.18.0.19"), Protocol: "TCP", Port: 80}, Refused, "default/web"},
		{"no way to the outside", Packet{Network: "alpha", To: address("203.0.113.9"), Protocol: "TCP", Port: 443}, Dropped, "no way out"},
		{"a network that is not there", Packet{Network: "beta", To: address("10.1.1.4"), Protocol: "TCP", Port: 80}, Dropped, "no virtual network beta"},
	} {
		test.packet.From = address("10.1.1.4")
		got := Run(world, test.packet)
		var says []string
		for _, hop := range got.Hops {
			says = append(says, hop.Says)
		}
		if got.Verdict != test.verdict || !strings.Contains(strings.Join(says, "\n"), test.says) {
			t.Errorf("%s: Run() = %s, %q, want %s with %q", test.name, got.Verdict, says, test.verdict, test.says)
		}
	}
}
