package network

import (
	"net/netip"
	"testing"
)

func validNetwork() Network {
	nodes := netip.MustParsePrefix("10.224.0.0/16")
	return Network{
		ID:           "alpha",
		AddressSpace: prefixes("10.224.0.0/12"),
		Subnets:      []Subnet{{Name: "nodes", Range: nodes}, {Name: "pods", Range: netip.MustParsePrefix("10.225.0.0/16")}},
		PodRanges:    prefixes("10.244.0.0/16"),
		Outbounds:    []Outbound{{ID: "a", Addresses: addresses("198.18.0.16")}},
		Ports: []Port{{
			ID: "one", Subnet: "nodes", Outbound: "a", Address: netip.MustParseAddr("10.224.0.4"), PodRange: netip.MustParsePrefix("10.244.0.0/24"),
		}},
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
	second := func(n *Network, port Port) {
		port.ID, port.Subnet = "two", "nodes"
		n.Ports = append(n.Ports, port)
	}
	rule := SecurityRule{Name: "r", Priority: 100, Direction: Inbound}
	for name, spoil := range map[string]func(*Network){
		"no id":                          func(n *Network) { n.ID = "" },
		"an id too long for a link":      func(n *Network) { n.ID = "abcdefghijklmno" },
		"a range with host bits":         func(n *Network) { n.AddressSpace = append(n.AddressSpace, netip.MustParsePrefix("10.1.0.1/16")) },
		"an invalid pod range":           func(n *Network) { n.PodRanges = []netip.Prefix{{}} },
		"ranges that overlap":            func(n *Network) { n.PodRanges = prefixes("10.0.0.0/8") },
		"two subnets of one name":        func(n *Network) { n.Subnets[1].Name = "nodes" },
		"a subnet outside":               func(n *Network) { n.Subnets[1].Range = netip.MustParsePrefix("10.1.0.0/16") },
		"subnets that overlap":           func(n *Network) { n.Subnets[1].Range = netip.MustParsePrefix("10.224.8.0/24") },
		"a private outbound address":     func(n *Network) { n.Outbounds[0].Addresses = addresses("10.224.0.9") },
		"an outbound without an address": func(n *Network) { n.Outbounds[0].Addresses = nil },
		"an address of two outbounds": func(n *Network) {
			n.Outbounds = append(n.Outbounds, Outbound{ID: "b", Addresses: addresses("198.18.0.16")})
		},
		"a port without its outbound":     func(n *Network) { n.Ports[0].Outbound = "b" },
		"a port without its subnet":       func(n *Network) { n.Ports[0].Subnet = "b" },
		"a port on the gateway's address": func(n *Network) { n.Ports[0].Address = netip.MustParseAddr("10.224.0.1") },
		"a port outside the subnet":       func(n *Network) { n.Ports[0].Address = netip.MustParseAddr("10.225.0.4") },
		"a pod address in no subnet":      func(n *Network) { n.Ports[0].PodAddresses = addresses("10.226.0.9") },
		"a pod range outside the network": func(n *Network) { n.Ports[0].PodRange = netip.MustParsePrefix("10.245.0.0/24") },
		"two ports with one address":      func(n *Network) { second(n, Port{Address: n.Ports[0].Address}) },
		"a pod with a machine's address": func(n *Network) {
			second(n, Port{Address: netip.MustParseAddr("10.224.0.5"), PodAddresses: addresses("10.224.0.4")})
		},
		"two ports with one pod range": func(n *Network) {
			second(n, Port{Address: netip.MustParseAddr("10.224.0.5"), PodRange: n.Ports[0].PodRange})
		},
		"two rules of one priority": func(n *Network) {
			n.Subnets[0].Rules = []SecurityRule{rule, {Name: "s", Priority: 100, Direction: Inbound}}
		},
		"a rule with an unknown tag": func(n *Network) {
			n.Subnets[0].Rules = []SecurityRule{{Name: "r", Direction: Inbound, Sources: Peers{Tags: []Tag{"Sql"}}}}
		},
		"a route to an appliance without its address": func(n *Network) {
			n.Subnets[0].Routes = []Route{{Name: "r", Prefix: everywhere(), Hop: HopAppliance}}
		},
		"two routes to one range": func(n *Network) {
			n.Subnets[0].Routes = []Route{{Name: "r", Prefix: everywhere(), Hop: HopNone}, {Name: "s", Prefix: everywhere(), Hop: HopInternet}}
		},
		"a route that leads in a circle": func(n *Network) {
			n.Subnets[0].Routes = []Route{{Name: "r", Prefix: everywhere(), Hop: HopAppliance, Address: n.Ports[0].Address}}
		},
		"a private frontend":             func(n *Network) { n.Frontends[0].Address = netip.MustParseAddr("10.224.0.20") },
		"an internal frontend elsewhere": func(n *Network) { n.Frontends[0].Internal = true },
		"an unknown protocol":            func(n *Network) { n.Frontends[0].Rules[0].Protocol = "SCTP" },
		"port zero":                      func(n *Network) { n.Frontends[0].Rules[0].Port = 0 },
		"two rules for one port":         func(n *Network) { n.Frontends[0].Rules = append(n.Frontends[0].Rules, n.Frontends[0].Rules[0]) },
		"two frontends, one rule":        func(n *Network) { n.Frontends = append(n.Frontends, n.Frontends[0]) },
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
