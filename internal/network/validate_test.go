package network

import (
	"net/netip"
	"testing"
)

func validNetwork() Network {
	return Network{
		ID:              "alpha",
		NodeRange:       netip.MustParsePrefix("10.224.0.0/16"),
		PodRange:        netip.MustParsePrefix("10.244.0.0/16"),
		OutboundAddress: netip.MustParseAddr("198.18.0.16"),
		Ports:           []Port{{ID: "one", Address: netip.MustParseAddr("10.224.0.4"), PodRange: netip.MustParsePrefix("10.244.0.0/24")}},
		Frontends: []Frontend{{
			Address: netip.MustParseAddr("198.18.0.17"), Rules: []Rule{{Protocol: "TCP", Port: 80, NodePort: 30080}},
			Backends: addresses("10.224.0.4", "10.224.0.4", "10.224.0.9"),
		}},
	}
}

func TestNetworksThatNoDriverCouldMakeAreRefused(t *testing.T) {
	if err := validNetwork().Validate(); err != nil {
		t.Fatalf("Validate() of a good network = %v", err)
	}
	for name, spoil := range map[string]func(*Network){
		"no id":                           func(n *Network) { n.ID = "" },
		"an id too long for a link":       func(n *Network) { n.ID = "abcdefghijklmno" },
		"a range with host bits":          func(n *Network) { n.NodeRange = netip.MustParsePrefix("10.224.0.1/16") },
		"no pod range":                    func(n *Network) { n.PodRange = netip.Prefix{} },
		"ranges that overlap":             func(n *Network) { n.PodRange = netip.MustParsePrefix("10.0.0.0/8") },
		"a private outbound address":      func(n *Network) { n.OutboundAddress = netip.MustParseAddr("10.224.0.9") },
		"a port on the gateway's address": func(n *Network) { n.Ports[0].Address = netip.MustParseAddr("10.224.0.1") },
		"a port outside the subnet":       func(n *Network) { n.Ports[0].Address = netip.MustParseAddr("10.225.0.4") },
		"a pod range outside the network": func(n *Network) { n.Ports[0].PodRange = netip.MustParsePrefix("10.245.0.0/24") },
		"two ports with one address": func(n *Network) {
			n.Ports = append(n.Ports, Port{ID: "two", Address: n.Ports[0].Address, PodRange: netip.MustParsePrefix("10.244.1.0/24")})
		},
		"two ports with one pod range": func(n *Network) {
			n.Ports = append(n.Ports, Port{ID: "two", Address: netip.MustParseAddr("10.224.0.5"), PodRange: n.Ports[0].PodRange})
		},
		"a private frontend":      func(n *Network) { n.Frontends[0].Address = netip.MustParseAddr("10.224.0.20") },
		"an unknown protocol":     func(n *Network) { n.Frontends[0].Rules[0].Protocol = "SCTP" },
		"port zero":               func(n *Network) { n.Frontends[0].Rules[0].Port = 0 },
		"two rules for one port":  func(n *Network) { n.Frontends[0].Rules = append(n.Frontends[0].Rules, n.Frontends[0].Rules[0]) },
		"two frontends, one rule": func(n *Network) { n.Frontends = append(n.Frontends, n.Frontends[0]) },
	} {
		t.Run(name, func(t *testing.T) {
			network := validNetwork()
			spoil(&network)
			if err := network.Validate(); err == nil {
				t.Error("Validate() = nil, want an error")
			}
		})
	}
}

func TestRotationHoldsPortsOfTheNetworkOnly(t *testing.T) {
	network := validNetwork()
	got := network.Rotation(network.Frontends[0])
	if len(got) != 1 || got[0].String() != "10.224.0.4" {
		t.Errorf("Rotation() = %v, want the one port once", got)
	}
}

func TestEdgesThatNoDriverCouldMakeAreRefused(t *testing.T) {
	public := netip.MustParsePrefix("198.18.0.0/20")
	good := Edge{PublicRange: public, HostAddress: PlanPublicRange(public).Host, ServiceAddresses: addresses("198.18.0.2", "198.18.0.3")}
	if err := good.Validate(); err != nil {
		t.Errorf("Validate() of a good edge = %v", err)
	}
	for name, edge := range map[string]Edge{
		"no range":                    {HostAddress: good.HostAddress},
		"a host address outside":      {PublicRange: public, HostAddress: netip.MustParseAddr("198.19.0.1")},
		"the edge's own address":      {PublicRange: public, HostAddress: netip.MustParseAddr("198.18.0.0")},
		"one address for two":         {PublicRange: public, HostAddress: good.HostAddress, ServiceAddresses: []netip.Addr{good.HostAddress}},
		"a service address elsewhere": {PublicRange: public, HostAddress: good.HostAddress, ServiceAddresses: addresses("10.0.0.1")},
	} {
		if err := edge.Validate(); err == nil {
			t.Errorf("Validate() of an edge with %s = nil, want an error", name)
		}
	}
}
