//go:build e2e

package linux

import (
	"cmp"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"berth.dev/berth/internal/network"
)

func TestALargeNetworkIsMadeInTime(t *testing.T) {
	s := newSite(t)
	large := s.network
	large.Ports, large.Frontends = nil, nil
	var backends []netip.Addr
	address, pods := netip.MustParseAddr("10.224.0.4"), netip.MustParsePrefix("10.244.0.0/24")
	for i := range 10 {
		large.Ports = append(large.Ports, network.Port{ID: fmt.Sprintf("port%d", i), Subnet: "nodes", Outbound: "a", Address: address, PodRange: pods})
		backends = append(backends, address)
		address = address.Next()
		pods = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(i + 1), 0}), 24)
	}
	public := s.plan.First.Next().Next()
	for range 200 {
		large.Frontends = append(large.Frontends, network.Frontend{Address: public, Rules: []network.Rule{{Protocol: "TCP", Port: 80, NodePort: 8080}}, Backends: backends})
		public = public.Next()
	}
	large.ID, large.Outbounds = "large", []network.Outbound{{ID: "a", Addresses: []netip.Addr{public.Next()}}}
	s.network.Frontends = nil
	s.ensure(t)
	for _, what := range []string{"made", "ensured again"} {
		start := time.Now()
		if err := s.fabric.EnsureNetwork(t.Context(), large); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		t.Logf("200 services with 10 endpoints each were %s in %s", what, took)
		if took > 5*time.Second {
			t.Errorf("200 services with 10 endpoints each were %s in %s, want at most 5s", what, took)
		}
	}
	large.Frontends[100].Backends = backends[:9]
	for range 2 { // the endpoint leaves and comes
		start := time.Now()
		if err := s.fabric.EnsureNetwork(t.Context(), large); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		t.Logf("one endpoint of one of them changed in %s", took)
		if took > time.Second {
			t.Errorf("one endpoint of one of 200 services changed in %s, want at most 1s", took)
		}
		large.Frontends[100].Backends = backends
	}
	start := time.Now()
	s.attachAll(t, large)
	t.Logf("10 ports were attached in %s", time.Since(start))
}

func (s *site) attachAll(t *testing.T, n network.Network) {
	t.Helper()
	for _, port := range n.Ports {
		if err := s.fabric.AttachPort(t.Context(), n.ID, port, machine(t)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAsManyRulesAsAGroupHasAreProgrammedInTime(t *testing.T) {
	for name, destinations := range map[string]int{
		"from addresses": 0, "to as many addresses as are compared one at a time": maxCompared,
	} {
		t.Run(name, func(t *testing.T) { programsManyRules(t, destinations) })
	}
}

func programsManyRules(t *testing.T, destinations int) {
	s := newSite(t)
	const rules, peers = 1000, 10
	for i := range rules {
		rule := network.SecurityRule{Name: fmt.Sprintf("rule-%d", i), Priority: 100 + i, Direction: network.Inbound, Allow: true, DestinationPorts: []network.PortRange{{First: 8000, Last: 8999}}}
		for j := range peers { // none follows another
			peer := netip.PrefixFrom(netip.AddrFrom4([4]byte{100, byte(i / 256), byte(i), byte(2 * j)}), 32)
			if destinations == 0 {
				rule.Sources.Ranges = append(rule.Sources.Ranges, peer)
			} else if j < destinations {
				rule.Destinations.Ranges = append(rule.Destinations.Ranges, peer)
			}
		}
		s.network.Subnets[0].Rules = append(s.network.Subnets[0].Rules, rule)
	}
	s.network.Subnets[0].Rules = append(s.network.Subnets[0].Rules, network.AllowBalanced())
	s.network.Subnets[0].Rules[rules].Priority = 4096
	s.network.Subnets[0].Rules = append(s.network.Subnets[0].Rules, network.DefaultSecurityRules()...)
	start := time.Now()
	s.ensure(t)
	took := time.Since(start)
	t.Logf("%d rules of %d addresses each were made in %s", rules, cmp.Or(destinations, peers), took)
	if took > 30*time.Second { // 2 to 6 s; the race detector beside other work takes longer
		t.Errorf("%d rules were made in %s, want at most 30s", rules, took)
	}
	s.whole(t)
}
