//go:build e2e

package linux

import (
	"errors"
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
		large.Ports = append(large.Ports, network.Port{ID: fmt.Sprintf("port%d", i), Address: address, PodRange: pods})
		backends = append(backends, address)
		address = address.Next()
		pods = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(i + 1), 0}), 24)
	}
	public := s.plan.First.Next().Next()
	for range 200 {
		large.Frontends = append(large.Frontends, network.Frontend{Address: public, Rules: []network.Rule{{Protocol: "TCP", Port: 80, NodePort: 8080}}, Backends: backends})
		public = public.Next()
	}
	large.ID, large.OutboundAddress = "large", public.Next()
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

func TestASmallNetworkIsMadeAtOnce(t *testing.T) {
	s := newSite(t)
	start := time.Now()
	n := s.network
	n.ID, n.OutboundAddress, n.Frontends = "beta", s.plan.First.Next().Next().Next(), nil
	far := machine(t)
	_, err := s.fabric.EnsureEndpoint(t.Context(), network.Endpoint{ID: "api2", Address: n.OutboundAddress.Next()})
	err = errors.Join(err, s.fabric.EnsureNetwork(t.Context(), n), s.fabric.AttachPort(t.Context(), n.ID, n.Ports[0], far))
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	t.Logf("an endpoint, a network and a port were made in %s", took)
	if took > 300*time.Millisecond {
		t.Errorf("an endpoint, a network and a port were made in %s, want at most 300ms", took)
	}
}
