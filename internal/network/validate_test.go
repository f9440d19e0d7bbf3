package network

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseRangeTakesCanonicalIPv4RangesOnly(t *testing.T) {
	if got, err := ParseRange("10.244.0.0/16"); err != nil || got.String() != "10.244.0.0/16" {
		t.Errorf("ParseRange() = %v, %v", got, err)
	}
	for _, text := range []string{"", "10.244.0.0", "10.244.0.1/16", "fd00::/64", "10.244.0.0/33", "10.244.0/16"} {
		if got, err := ParseRange(text); err == nil {
			t.Errorf("ParseRange(%q) = %v, want an error", text, got)
		}
	}
}

func TestRangesOfAClusterAreChecked(t *testing.T) {
	public := netip.MustParsePrefix("198.18.0.0/20")
	for _, test := range []struct {
		name  string
		err   error
		wants string // empty: no error
	}{
		{"an ordinary range is free", CheckReserved(netip.MustParsePrefix("10.0.0.0/8"), public), ""},
		{"AKS reserves 172.30.0.0/16", CheckReserved(netip.MustParsePrefix("172.16.0.0/12"), public), "172.30.0.0/16"},
		{"link-local is reserved", CheckReserved(netip.MustParsePrefix("169.254.4.0/24"), public), "169.254.0.0/16"},
		{"the public range is taken", CheckReserved(netip.MustParsePrefix("198.18.8.0/24"), public), "public addresses"},
		{"loopback cannot be used", CheckReserved(netip.MustParsePrefix("127.0.0.0/16"), public), "127.0.0.0/8"},
		{"multicast cannot be used", CheckReserved(netip.MustParsePrefix("239.0.0.0/8"), public), "224.0.0.0/3"},
		{"a /29 holds nodes", CheckNodeRange(netip.MustParsePrefix("10.0.0.0/29")), ""},
		{"a /30 does not", CheckNodeRange(netip.MustParsePrefix("10.0.0.0/30")), "too small"},
		{"a /25 is too small for pods", CheckPodRange(netip.MustParsePrefix("10.0.0.0/25")), "too small"},
		{"a /11 is too large for services", CheckServiceRange(netip.MustParsePrefix("10.0.0.0/11")), "too large"},
		{"a DNS address lies in the service range", CheckDNSServiceAddress(netip.MustParseAddr("10.1.0.10"), netip.MustParsePrefix("10.0.0.0/16")), "not in"},
		{"a DNS address is not the API's", CheckDNSServiceAddress(netip.MustParseAddr("10.0.0.1"), netip.MustParsePrefix("10.0.0.0/16")), "kubernetes service"},
		{"a DNS address is not the last", CheckDNSServiceAddress(netip.MustParseAddr("10.0.255.255"), netip.MustParsePrefix("10.0.0.0/16")), "last"},
		{"the usual DNS address is fine", CheckDNSServiceAddress(netip.MustParseAddr("10.0.0.10"), netip.MustParsePrefix("10.0.0.0/16")), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.wants == "" && test.err != nil || test.wants != "" && (test.err == nil || !strings.Contains(test.err.Error(), test.wants)) {
				t.Errorf("error = %v, want one with %q", test.err, test.wants)
			}
		})
	}
}

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
