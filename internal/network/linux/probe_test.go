//go:build e2e

package linux

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/network/health"
)

// proxied serves what kube-proxy does on a node: /healthz, and a port on which connections
// are answered with the node's name. stop ends both, as the node's death would.
func proxied(t *testing.T, namespace, name string) (stop func()) {
	t.Helper()
	var listeners []net.Listener
	for _, at := range []string{":10256", ":8080"} {
		if err := inside(namespace, func() error {
			listener, err := net.Listen("tcp4", at)
			listeners = append(listeners, listener)
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	server := &http.Server{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})}
	go func() { _ = server.Serve(listeners[0]) }()
	go func() {
		for {
			conn, err := listeners[1].Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, name)
			conn.Close()
		}
	}()
	stop = func() { _ = errors.Join(server.Close(), listeners[1].Close()) }
	t.Cleanup(stop)
	return stop
}

// answers asks a frontend n times and counts who answers.
func answers(t *testing.T, address netip.Addr, n int) map[string]int {
	t.Helper()
	counted := map[string]int{}
	for range n {
		conn, err := net.DialTimeout("tcp4", netip.AddrPortFrom(address, 80).String(), 300*time.Millisecond)
		if err != nil {
			counted["nobody"]++
			continue
		}
		name, err := io.ReadAll(conn)
		conn.Close()
		if err != nil {
			name = []byte("nobody")
		}
		counted[string(name)]++
	}
	return counted
}

// TestADeadNodeLeavesRotationWhileTheDaemonIsAway lets one Fabric, which stands for
// the daemon, program two backends and do nothing more; another one, the
// prober's, has to take the dead one out.
func TestADeadNodeLeavesRotationWhileTheDaemonIsAway(t *testing.T) {
	i := newInstance(t)
	dir := t.TempDir()
	i.fabric = New(Options{Instance: i.name, BalancerDir: dir})
	s := &site{instance: i, plan: network.PlanPublicRange(i.public)}
	s.two(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() {
		ended <- health.Prober{
			Store: health.Store{Dir: dir}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
			Router: New(Options{Instance: i.name, BalancerDir: dir}),
		}.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	frontend := s.network.Frontends[0].Address
	first, second := machine(t), machine(t)
	stopFirst := proxied(t, first, "first")
	proxied(t, second, "second")
	for n, namespace := range []string{first, second} {
		if err := s.fabric.AttachPort(t.Context(), s.network.ID, s.network.Ports[n], namespace); err != nil {
			t.Fatal(err)
		}
	}
	within(t, 10*time.Second, "both nodes are in rotation", func() bool {
		got := answers(t, frontend, 20)
		return got["first"] > 0 && got["second"] > 0 && got["nobody"] == 0
	})
	stopFirst()
	died := time.Now()
	within(t, 5*time.Second, "the dead node is out of rotation", func() bool { return answers(t, frontend, 20)["second"] == 20 })
	t.Logf("a dead node was out of rotation after %s", time.Since(died))
	// What the daemon ensures again brings no dead node back.
	if err := s.fabric.EnsureNetwork(t.Context(), s.network); err != nil {
		t.Fatal(err)
	}
	if got := answers(t, frontend, 20); got["second"] != 20 {
		t.Errorf("after the daemon ensured the network again there answered %v", got)
	}
	proxied(t, first, "first")
	within(t, 10*time.Second, "the node is back", func() bool { return answers(t, frontend, 20)["first"] > 0 })
}

// two makes an edge and a network with two nodes behind one frontend.
func (s *site) two(t *testing.T) {
	t.Helper()
	outbound := s.plan.First
	s.network = network.Network{
		ID: "alpha", AddressSpace: []netip.Prefix{nodeRange()}, Subnets: []network.Subnet{{Name: "nodes", Range: nodeRange()}},
		PodRanges: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")}, Outbounds: []network.Outbound{{ID: "alpha", Addresses: []netip.Addr{outbound}}},
	}
	frontend := network.Frontend{Address: outbound.Next(), Rules: []network.Rule{{Protocol: "TCP", Port: 80, NodePort: 8080}}}
	for n, id := range []string{"one", "two"} {
		port := network.Port{ID: id, Subnet: "nodes", Outbound: "alpha", Address: netip.AddrFrom4([4]byte{10, 224, 0, byte(4 + n)}), PodRange: netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(n), 0}), 24)}
		s.network.Ports = append(s.network.Ports, port)
		frontend.Backends = append(frontend.Backends, port.Address)
	}
	s.network.Frontends = []network.Frontend{frontend}
	edge := network.Edge{PublicRange: s.public, HostAddress: s.plan.Host, ServiceAddresses: []netip.Addr{s.plan.FrontEnd}}
	if err := errors.Join(s.fabric.EnsureEdge(t.Context(), edge), s.fabric.EnsureNetwork(t.Context(), s.network)); err != nil {
		t.Fatal(err)
	}
}

func within(t *testing.T, d time.Duration, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(d); !is(); {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %s", what, d)
		}
	}
}
