//go:build e2e

package linux

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"berth.dev/berth/internal/network"
)

// site is one of everything: an edge, an endpoint with a listener, and a
// network with one machine that listens too, behind a frontend.
type site struct {
	*instance
	plan     network.PublicPlan
	endpoint network.Endpoint
	network  network.Network
	machine  string
}

func nodeRange() netip.Prefix { return netip.MustParsePrefix("10.224.0.0/16") }

func newSite(t *testing.T) *site {
	i := newInstance(t)
	s := &site{instance: i, plan: network.PlanPublicRange(i.public)}
	s.endpoint = network.Endpoint{ID: "api", Address: s.plan.First}
	outbound := s.plan.First.Next()
	s.network = network.Network{
		ID: "alpha", AddressSpace: []netip.Prefix{nodeRange()}, Subnets: []network.Subnet{{Name: "nodes", Range: nodeRange()}},
		PodRanges: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")},
		Outbounds: []network.Outbound{{ID: "alpha", Addresses: []netip.Addr{outbound}}},
		Ports:     []network.Port{{ID: "one", Subnet: "nodes", Outbound: "alpha", Address: netip.MustParseAddr("10.224.0.4"), PodRange: netip.MustParsePrefix("10.244.0.0/24")}},
		Frontends: []network.Frontend{{
			Address: outbound.Next(), Rules: []network.Rule{{Protocol: "TCP", Port: 80, NodePort: 8080}},
			Backends: []netip.Addr{netip.MustParseAddr("10.224.0.4")},
		}},
	}
	s.machine = machine(t)
	s.ensure(t)
	s.listen(t, s.fabric.names.endpoint(s.endpoint.ID), 443)
	s.listen(t, s.machine, 8080)
	return s
}

// ensure asks for everything, as the host agent does after any start.
func (s *site) ensure(t *testing.T) {
	t.Helper()
	ctx := t.Context()
	edge := network.Edge{PublicRange: s.public, HostAddress: s.plan.Host, ServiceAddresses: []netip.Addr{s.plan.FrontEnd}}
	if err := s.fabric.EnsureEdge(ctx, edge); err != nil {
		t.Fatal(err)
	}
	if _, err := s.fabric.EnsureEndpoint(ctx, s.endpoint); err != nil {
		t.Fatal(err)
	}
	if err := s.fabric.EnsureNetwork(ctx, s.network); err != nil {
		t.Fatal(err)
	}
	if err := s.fabric.AttachPort(ctx, s.network.ID, s.network.Ports[0], s.machine); err != nil {
		t.Fatal(err)
	}
}

// listen accepts connections in a namespace.
func (s *site) listen(t *testing.T, namespace string, port int) {
	t.Helper()
	if err := inside(namespace, func() error {
		listener, err := net.Listen("tcp4", fmt.Sprintf(":%d", port))
		if err == nil {
			t.Cleanup(func() { listener.Close() })
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					conn.Close()
				}
			}()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

// dial connects from a namespace, the empty one being the host.
func dial(namespace string, address netip.Addr, port uint16, wait time.Duration) error {
	return inside(namespace, func() error {
		conn, err := net.DialTimeout("tcp4", netip.AddrPortFrom(address, port).String(), wait)
		if err == nil {
			conn.Close()
		}
		return err
	})
}

// whole says whether every way through the site is open.
func (s *site) whole(t *testing.T) {
	t.Helper()
	const wait = 5 * time.Second
	if err := errors.Join(
		dial("", s.endpoint.Address, 443, wait),
		dial("", s.network.Frontends[0].Address, 80, wait),
		dial(s.machine, s.endpoint.Address, 443, wait),
		dial(s.machine, s.network.Frontends[0].Address, 80, wait),
		dial(s.fabric.names.endpoint(s.endpoint.ID), s.network.Frontends[0].Address, 80, wait),
	); err != nil {
		t.Error(err)
	}
}

// at opens a namespace to break something in it.
func at(t *testing.T, path string) *session {
	t.Helper()
	s, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}
