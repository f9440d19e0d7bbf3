// Package networktest is the conformance suite of network.Fabric: every driver
// runs it, and one that moves packets runs it with real connections.
package networktest

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"

	"berth.dev/berth/internal/network"
)

// Harness is one driver, and the host and machines around it. A fresh one is
// asked for by every test; what it makes it removes at the end of the test.
type Harness struct {
	// Fabric is the driver.
	Fabric network.Fabric
	// PublicRange is a range, a /24 or larger, that it may use.
	PublicRange netip.Prefix
	// Machine makes the network namespace of a machine.
	Machine func(t *testing.T) (namespace string)
	// NoMachine is a namespace that is not there.
	NoMachine string
	// Inside runs do where what it opens lies in a namespace, or on the host if
	// the name is empty. It is nil for a driver that moves no packets.
	Inside func(namespace string, do func() error) error
	// Assign gives a namespace one more address of its own, as a pod's; where
	// Inside is nil it is too.
	Assign func(t *testing.T, namespace string, address netip.Addr)
}

// Run runs the suite.
func Run(t *testing.T, factory func(t *testing.T) Harness) {
	for name, test := range map[string]func(*testing.T, *world){
		"an edge is needed first":                       testEdgeFirst,
		"what cannot be made is refused":                testRefusals,
		"everything can be ensured again":               testIdempotence,
		"endpoints and networks are listed":             testList,
		"deleting what is not known is no error":        testDeleteUnknown,
		"an address has one owner":                      testAddressConflict,
		"an address is free once its owner let go":      testAddressMoves,
		"a port needs its network and its namespace":    testAttachNotFound,
		"a restarted machine is attached again":         testAttachAgain,
		"methods may be called from several goroutines": testConcurrency,
	} {
		t.Run(name, func(t *testing.T) { test(t, newWorld(t, factory(t))) })
	}
	if factory(t).Inside == nil {
		return
	}
	runPackets(t, factory)
}

// world is a harness with short ways to say the usual things.
type world struct {
	Harness
	ctx  context.Context
	plan network.PublicPlan
}

func newWorld(t *testing.T, h Harness) *world {
	return &world{Harness: h, ctx: t.Context(), plan: network.PlanPublicRange(h.PublicRange)}
}

// public is the n-th address that clusters may get.
func (w *world) public(n int) netip.Addr {
	address := w.plan.First
	for range n {
		address = address.Next()
	}
	return address
}

func (w *world) edge() network.Edge {
	return network.Edge{PublicRange: w.PublicRange, HostAddress: w.plan.Host, ServiceAddresses: []netip.Addr{w.plan.FrontEnd, w.plan.DNS}}
}

// network is a network with the ranges that every cluster has by default and
// two ports, both named after it.
func (w *world) network(id string, outbound netip.Addr) network.Network {
	nodes := netip.MustParsePrefix("10.224.0.0/16")
	return network.Network{
		ID:           id,
		AddressSpace: []netip.Prefix{nodes},
		Subnets:      []network.Subnet{{Name: "nodes", Range: nodes}},
		PodRanges:    []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")},
		Outbounds:    []network.Outbound{{ID: id, Addresses: []netip.Addr{outbound}}},
		Ports: []network.Port{
			{ID: id + "1", Subnet: "nodes", Outbound: id, Address: netip.MustParseAddr("10.224.0.4"), PodRange: netip.MustParsePrefix("10.244.0.0/24")},
			{ID: id + "2", Subnet: "nodes", Outbound: id, Address: netip.MustParseAddr("10.224.0.5"), PodRange: netip.MustParsePrefix("10.244.1.0/24")},
		},
	}
}

func (w *world) ensureEdge(t *testing.T) {
	t.Helper()
	must(t, "EnsureEdge", w.Fabric.EnsureEdge(w.ctx, w.edge()))
}

func (w *world) ensureNetwork(t *testing.T, n network.Network) {
	t.Helper()
	must(t, "EnsureNetwork", w.Fabric.EnsureNetwork(w.ctx, n))
}

func (w *world) ensureEndpoint(t *testing.T, id string, address netip.Addr) (namespace string) {
	t.Helper()
	namespace, err := w.Fabric.EnsureEndpoint(w.ctx, network.Endpoint{ID: id, Address: address})
	must(t, "EnsureEndpoint", err)
	return namespace
}

// attach makes a machine for a port and attaches it.
func (w *world) attach(t *testing.T, n network.Network, port int) (namespace string) {
	t.Helper()
	namespace = w.Machine(t)
	must(t, "AttachPort", w.Fabric.AttachPort(w.ctx, n.ID, n.Ports[port], namespace))
	return namespace
}

func must(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
}

func testEdgeFirst(t *testing.T, w *world) {
	if _, err := w.Fabric.EnsureEndpoint(w.ctx, network.Endpoint{ID: "api", Address: w.public(0)}); !errors.Is(err, network.ErrNotFound) {
		t.Errorf("EnsureEndpoint without an edge = %v, want ErrNotFound", err)
	}
	if err := w.Fabric.EnsureNetwork(w.ctx, w.network("alpha", w.public(1))); !errors.Is(err, network.ErrNotFound) {
		t.Errorf("EnsureNetwork without an edge = %v, want ErrNotFound", err)
	}
	if endpoints, networks, err := w.Fabric.List(w.ctx); err != nil || len(endpoints)+len(networks) > 0 {
		t.Errorf("List() = %v, %v, %v, want nothing", endpoints, networks, err)
	}
}

func testRefusals(t *testing.T, w *world) {
	if err := w.Fabric.EnsureEdge(w.ctx, network.Edge{PublicRange: w.PublicRange}); err == nil {
		t.Error("EnsureEdge took an edge without a host address")
	}
	w.ensureEdge(t)
	spoiled := w.network("alpha", w.public(0))
	spoiled.Ports[1].Address = spoiled.Ports[0].Address
	if err := w.Fabric.EnsureNetwork(w.ctx, spoiled); err == nil {
		t.Error("EnsureNetwork took two ports with one address")
	}
	if _, err := w.Fabric.EnsureEndpoint(w.ctx, network.Endpoint{ID: "../../etc", Address: w.public(0)}); err == nil {
		t.Error("EnsureEndpoint took a path as an id")
	}
	cancelled, cancel := context.WithCancel(w.ctx)
	cancel()
	if err := w.Fabric.EnsureNetwork(cancelled, w.network("alpha", w.public(0))); !errors.Is(err, context.Canceled) {
		t.Errorf("EnsureNetwork with a cancelled context = %v", err)
	}
	if endpoints, networks, err := w.Fabric.List(w.ctx); err != nil || len(endpoints)+len(networks) > 0 {
		t.Errorf("List() after refusals = %v, %v, %v, want nothing", endpoints, networks, err)
	}
}

func testIdempotence(t *testing.T, w *world) {
	var namespaces [2]string
	machine := w.Machine(t)
	for i := range namespaces {
		w.ensureEdge(t)
		namespaces[i] = w.ensureEndpoint(t, "api", w.public(0))
		n := w.network("alpha", w.public(1))
		w.ensureNetwork(t, n)
		must(t, "AttachPort", w.Fabric.AttachPort(w.ctx, n.ID, n.Ports[0], machine))
	}
	if namespaces[0] != namespaces[1] {
		t.Errorf("EnsureEndpoint returned %q, then %q", namespaces[0], namespaces[1])
	}
	if namespaces[0] == w.Fabric.EdgeNamespace() {
		t.Errorf("the endpoint and the edge share the namespace %q", namespaces[0])
	}
	for range 2 {
		must(t, "DeleteNetwork", w.Fabric.DeleteNetwork(w.ctx, "alpha"))
		must(t, "DeleteEndpoint", w.Fabric.DeleteEndpoint(w.ctx, "api"))
		must(t, "DeleteEdge", w.Fabric.DeleteEdge(w.ctx))
	}
}

func testList(t *testing.T, w *world) {
	w.ensureEdge(t)
	w.ensureEndpoint(t, "api1", w.public(0))
	w.ensureEndpoint(t, "api2", w.public(1))
	w.ensureNetwork(t, w.network("alpha", w.public(2)))
	endpoints, networks, err := w.Fabric.List(w.ctx)
	must(t, "List", err)
	slices.Sort(endpoints)
	if !slices.Equal(endpoints, []string{"api1", "api2"}) || !slices.Equal(networks, []string{"alpha"}) {
		t.Errorf("List() = %v, %v, want [api1 api2], [alpha]", endpoints, networks)
	}
	must(t, "DeleteEndpoint", w.Fabric.DeleteEndpoint(w.ctx, "api1"))
	must(t, "DeleteNetwork", w.Fabric.DeleteNetwork(w.ctx, "alpha"))
	endpoints, networks, err = w.Fabric.List(w.ctx)
	must(t, "List", err)
	if !slices.Equal(endpoints, []string{"api2"}) || len(networks) > 0 {
		t.Errorf("List() = %v, %v after deletes, want [api2], []", endpoints, networks)
	}
}

func testDeleteUnknown(t *testing.T, w *world) {
	must(t, "DeleteEndpoint", w.Fabric.DeleteEndpoint(w.ctx, "nobody"))
	must(t, "DeleteNetwork", w.Fabric.DeleteNetwork(w.ctx, "nobody"))
	must(t, "DeleteEdge", w.Fabric.DeleteEdge(w.ctx))
}

func testAddressConflict(t *testing.T, w *world) {
	w.ensureEdge(t)
	w.ensureEndpoint(t, "api", w.public(0))
	if err := w.Fabric.EnsureNetwork(w.ctx, w.network("alpha", w.public(0))); !errors.Is(err, network.ErrConflict) {
		t.Errorf("EnsureNetwork with an endpoint's address = %v, want ErrConflict", err)
	}
	if _, err := w.Fabric.EnsureEndpoint(w.ctx, network.Endpoint{ID: "api2", Address: w.public(0)}); !errors.Is(err, network.ErrConflict) {
		t.Errorf("EnsureEndpoint with another's address = %v, want ErrConflict", err)
	}
}

func testAddressMoves(t *testing.T, w *world) {
	w.ensureEdge(t)
	alpha, beta := w.network("alpha", w.public(0)), w.network("beta", w.public(1))
	frontends := []network.Frontend{{Address: w.public(2), Rules: []network.Rule{{Protocol: "TCP", Port: 80, NodePort: 30080}}}}
	alpha.Frontends = frontends
	w.ensureNetwork(t, alpha)
	alpha.Frontends, beta.Frontends = nil, frontends
	w.ensureNetwork(t, alpha)
	w.ensureNetwork(t, beta)
	must(t, "DeleteNetwork", w.Fabric.DeleteNetwork(w.ctx, "beta"))
	w.ensureEndpoint(t, "api", w.public(2))
}

func testAttachNotFound(t *testing.T, w *world) {
	w.ensureEdge(t)
	n := w.network("alpha", w.public(0))
	if err := w.Fabric.AttachPort(w.ctx, n.ID, n.Ports[0], w.Machine(t)); !errors.Is(err, network.ErrNotFound) {
		t.Errorf("AttachPort without the network = %v, want ErrNotFound", err)
	}
	w.ensureNetwork(t, n)
	if err := w.Fabric.AttachPort(w.ctx, n.ID, n.Ports[0], w.NoMachine); !errors.Is(err, network.ErrNotFound) {
		t.Errorf("AttachPort without the namespace = %v, want ErrNotFound", err)
	}
}

func testAttachAgain(t *testing.T, w *world) {
	w.ensureEdge(t)
	n := w.network("alpha", w.public(0))
	w.ensureNetwork(t, n)
	w.attach(t, n, 0)
	w.attach(t, n, 0) // the machine's namespace is a new one
	n.Ports = n.Ports[1:]
	w.ensureNetwork(t, n)
	w.attach(t, n, 0)
}

func testConcurrency(t *testing.T, w *world) {
	w.ensureEdge(t)
	const nouns = 6
	failures := make(chan error, 3*nouns)
	for i := range nouns {
		id := string(rune('a' + i))
		machine := w.Machine(t)
		for range 2 { // twice the same noun, at the same time
			go func() {
				n := w.network("net"+id, w.public(2*i))
				failures <- errors.Join(w.Fabric.EnsureNetwork(w.ctx, n), w.Fabric.AttachPort(w.ctx, n.ID, n.Ports[0], machine))
			}()
		}
		go func() {
			_, err := w.Fabric.EnsureEndpoint(w.ctx, network.Endpoint{ID: "api" + id, Address: w.public(2*i + 1)})
			failures <- err
		}()
	}
	for range cap(failures) {
		if err := <-failures; err != nil {
			t.Error(err)
		}
	}
	endpoints, networks, err := w.Fabric.List(w.ctx)
	if err != nil || len(endpoints) != nouns || len(networks) != nouns {
		t.Errorf("List() = %v, %v, %v, want %d of each", endpoints, networks, err, nouns)
	}
}
