package network

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// routed is a network with a subnet of machines, one of firewalls and one of others.
func routed(routes ...Route) Network {
	port := func(id, subnet, address string) Port {
		return Port{ID: id, Subnet: subnet, Address: netip.MustParseAddr(address)}
	}
	n := Network{
		ID: "alpha", AddressSpace: prefixes("10.1.0.0/16"), PodRanges: prefixes("10.244.0.0/16"),
		Subnets: []Subnet{
			{Name: "web", Range: netip.MustParsePrefix("10.1.1.0/24"), Routes: routes},
			{Name: "fw", Range: netip.MustParsePrefix("10.1.3.0/24")},
		},
		Ports: []Port{port("web1", "web", "10.1.1.4"), port("fw1", "fw", "10.1.3.4")},
	}
	n.Ports[0].PodRange = netip.MustParsePrefix("10.244.0.0/24")
	return n
}

func byAppliance(prefix, address string) Route {
	return Route{Name: "to " + prefix, Prefix: netip.MustParsePrefix(prefix), Hop: HopAppliance, Address: netip.MustParseAddr(address)}
}

func TestTheLongestPrefixDecidesAndOfTwoTheUsers(t *testing.T) {
	n := routed(byAppliance("0.0.0.0/0", "10.1.3.4"), byAppliance("10.1.0.0/16", "10.1.3.9"), Route{Name: "hole", Prefix: netip.MustParsePrefix("10.1.9.0/24"), Hop: HopNone},
		byAppliance("10.244.0.0/24", "10.1.1.4"))
	for to, want := range map[string]Decision{
		"203.0.113.9": {Route: n.Subnets[0].Routes[0], Attached: true},
		"10.1.1.4":    {Route: n.Subnets[0].Routes[1]},
		"10.1.9.9":    {Route: n.Subnets[0].Routes[2]},
		"10.244.3.3":  {Route: Route{Prefix: netip.MustParsePrefix("10.244.0.0/16"), Hop: HopLocal}},
		// The route that a cluster with kubenet has for a node is no appliance's.
		"10.244.0.9": {Route: Route{Name: "to 10.244.0.0/24", Prefix: netip.MustParsePrefix("10.244.0.0/24"), Hop: HopLocal}},
	} {
		if got := n.Decide(n.Subnets[0], netip.MustParseAddr(to)); got != want {
			t.Errorf("Decide(%s) = %+v, want %+v", to, got, want)
		}
	}
	want := []Span{
		{First: netip.MustParseAddr("0.0.0.0"), Last: netip.MustParseAddr("10.0.255.255")},
		{First: netip.MustParseAddr("10.2.0.0"), Last: netip.MustParseAddr("10.243.255.255")},
	}
	if got := n.ApplianceSpans(n.Subnets[0]); len(got) < 2 || !slices.Equal(got[:2], want) {
		t.Errorf("ApplianceSpans() = %v, want first %v", got, want)
	}
}

func TestRoutesThatLeadInACircleAreRefused(t *testing.T) {
	for name, test := range map[string]struct {
		network Network
		says    string
	}{
		"by a firewall in another subnet":      {routed(byAppliance("0.0.0.0/0", "10.1.3.4")), ""},
		"to a firewall in the same subnet":     {routed(byAppliance("0.0.0.0/0", "10.1.1.4")), "circle"},
		"to the firewall's own subnet":         {routed(byAppliance("10.1.3.0/24", "10.1.3.4")), ""},
		"a node's pods":                        {routed(byAppliance("10.244.0.0/24", "10.1.1.4")), ""},
		"another node's pods by the wrong one": {routed(byAppliance("10.244.1.0/24", "10.1.1.4")), "circle"},
	} {
		if err := test.network.CheckRoutes(); (err != nil) != (test.says != "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: CheckRoutes() = %v, want %q", name, err, test.says)
		}
	}
	mutual := routed(byAppliance("0.0.0.0/0", "10.1.3.4"))
	mutual.Subnets[1].Routes = []Route{byAppliance("203.0.113.0/24", "10.1.1.4")}
	if err := mutual.CheckRoutes(); err == nil || !strings.Contains(err.Error(), "203.0.113.0") {
		t.Errorf("CheckRoutes() of subnets that send to each other = %v, want one that says for which addresses", err)
	}
}

func TestTagsAreWhatTheNetworkIs(t *testing.T) {
	n := routed()
	contains := func(tag Tag, address string) bool {
		return slices.ContainsFunc(n.Resolve(Peers{Tags: []Tag{tag}}), func(p netip.Prefix) bool { return p.Contains(netip.MustParseAddr(address)) })
	}
	for _, address := range []string{"10.1.0.0", "10.1.255.255", "10.244.7.7"} {
		if !contains(TagVirtualNetwork, address) || contains(TagInternet, address) {
			t.Errorf("%s is not in the virtual network, or on the internet", address)
		}
	}
	for _, address := range []string{"0.0.0.0", "10.0.255.255", "10.2.0.0", "198.18.0.3", "255.255.255.255"} {
		if contains(TagVirtualNetwork, address) || !contains(TagInternet, address) {
			t.Errorf("%s is in the virtual network, or not on the internet", address)
		}
	}
	if !contains(TagLoadBalancer, "10.1.1.1") || contains(TagLoadBalancer, "10.1.1.4") {
		t.Error("the load balancer is not the gateways")
	}
}

func TestRangesThatFollowOneAnotherAreOneSpan(t *testing.T) {
	var got []string
	for _, span := range Spans(prefixes("0.0.0.0/8", "10.0.0.0/24", "10.0.1.0/25", "10.0.1.129/32", "255.255.255.255/32")) {
		got = append(got, span.First.String()+"-"+span.Last.String())
	}
	want := []string{"0.0.0.0-0.255.255.255", "10.0.0.0-10.0.1.127", "10.0.1.129-10.0.1.129", "255.255.255.255-255.255.255.255"}
	if !slices.Equal(got, want) {
		t.Errorf("the spans are %v, want %v", got, want)
	}
}

func TestPeersAndPortsAreRead(t *testing.T) {
	peers, err := ParsePeers([]string{"10.1.0.0/16", "10.2.0.4", "internet"})
	if err != nil || !slices.Equal(peers.Ranges, prefixes("10.1.0.0/16", "10.2.0.4/32")) || !slices.Equal(peers.Tags, []Tag{TagInternet}) {
		t.Errorf("ParsePeers() = %+v, %v", peers, err)
	}
	if peers, err := ParsePeers([]string{"10.1.0.0/16", "*"}); err != nil || len(peers.Ranges) > 0 {
		t.Errorf("ParsePeers() with * = %+v, %v, want everything", peers, err)
	}
	for _, text := range []string{"10.1.0.1/16", "fd00::1", "Sql", ""} {
		if got, err := ParsePeers([]string{text}); err == nil {
			t.Errorf("ParsePeers(%q) = %+v, want an error", text, got)
		}
	}
	ports, err := ParsePortRanges([]string{"80", "8000-8999"})
	if err != nil || !slices.Equal(ports, []PortRange{{80, 80}, {8000, 8999}}) {
		t.Errorf("ParsePortRanges() = %v, %v", ports, err)
	}
	for _, text := range []string{"9-8", "65536", "a", "-1", ""} {
		if got, err := ParsePortRanges([]string{text}); err == nil {
			t.Errorf("ParsePortRanges(%q) = %v, want an error", text, got)
		}
	}
}
