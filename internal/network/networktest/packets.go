package networktest

import (
	"fmt"
	"net/netip"
	"testing"

	"berth.dev/berth/internal/network"
)

// The addresses of the two machines of every network, and of a pod on each.
const (
	node1, node2 = "10.224.0.4", "10.224.0.5"
	pod1, pod2   = "10.244.0.10", "10.244.1.10"
	gateway      = "10.224.0.1"
)

func runPackets(t *testing.T, factory func(t *testing.T) Harness) {
	for name, test := range map[string]func(*testing.T, *town){
		"the host and endpoints reach each other's services as they should": testEndpoints,
		"the edge answers on its service addresses":                         testServiceAddresses,
		"nodes and pods of a network reach each other untranslated":         testInside,
		"networks with the same ranges do not meet":                         testIsolation,
		"a network goes out with its outbound address":                      testOutbound,
		"a frontend balances over its backends":                             testBalance,
		"a frontend is reached from everywhere":                             testFrontendClients,
		"a port without a service is refused at once":                       testRefused,
		"a spoofed source is dropped":                                       testSpoofing,
		"nothing new reaches the host":                                      testHostGuard,
		"nothing new reaches a router":                                      testRouterGuard,
		"connections survive a change":                                      testSurvival,
		"a datagram flow leaves a backend that is out of rotation":          testDrain,
		"a port that is no longer listed is cut off":                        testCutOff,
		"a restarted machine is reached again":                              testRestart,
		"echo requests are answered":                                        testEcho,
		"a frontend carries more than fits in one packet":                   testBulk,
		"an internal frontend is reached from inside alone":                 testInternal,
		"a frontend admits its source ranges alone":                         testSourceRanges,
		"a client keeps its backend while it is in rotation":                testAffinity,
		"services share an address by their ports":                          testSharedAddress,
		"a change of one service leaves the others be":                      testOneChange,
	} {
		t.Run(name, func(t *testing.T) { test(t, newTown(t, factory(t))) })
	}
}

// town is two networks with two machines each, and two endpoints. Every
// machine serves TCP and UDP on its node and pod address, port 8080, under a name
// such as alpha1.
type town struct {
	*world
	alpha, beta       network.Network
	alpha1, alpha2    string
	beta1             string
	endpoint1         string
	endpoint2         string
	address1          netip.Addr
	address2          netip.Addr
	frontend, another netip.Addr
}

func newTown(t *testing.T, h Harness) *town {
	w := newWorld(t, h)
	w.ensureEdge(t)
	c := &town{world: w, address1: w.public(0), address2: w.public(1), frontend: w.public(4), another: w.public(5)}
	c.alpha, c.beta = w.network("alpha", w.public(2)), w.network("beta", w.public(3))
	c.endpoint1 = w.ensureEndpoint(t, "api1", c.address1)
	c.endpoint2 = w.ensureEndpoint(t, "api2", c.address2)
	w.ensureNetwork(t, c.alpha)
	w.ensureNetwork(t, c.beta)
	c.alpha1 = c.machine(t, c.alpha, 0, pod1)
	c.alpha2 = c.machine(t, c.alpha, 1, pod2)
	c.beta1 = c.machine(t, c.beta, 0, pod1)
	for _, protocol := range []string{"tcp", "udp"} {
		w.serve(t, c.endpoint1, protocol, "0.0.0.0:443", "api1")
		w.serve(t, c.endpoint2, protocol, "0.0.0.0:443", "api2")
	}
	return c
}

func (c *town) machine(t *testing.T, n network.Network, port int, pod string) string {
	t.Helper()
	namespace := c.attach(t, n, port)
	c.Assign(t, namespace, netip.MustParseAddr(pod))
	for _, protocol := range []string{"tcp", "udp"} {
		c.serve(t, namespace, protocol, n.Ports[port].Address.String()+":8080", n.Ports[port].ID)
		c.serve(t, namespace, protocol, pod+":8080", n.Ports[port].ID+"-pod")
	}
	return namespace
}

// balance gives alpha one frontend, port 80 to node port 8080.
func (c *town) balance(t *testing.T, address netip.Addr, backends ...string) {
	t.Helper()
	frontend := network.Frontend{Address: address, Rules: []network.Rule{
		{Protocol: "TCP", Port: 80, NodePort: 8080}, {Protocol: "UDP", Port: 80, NodePort: 8080},
	}}
	for _, backend := range backends {
		frontend.Backends = append(frontend.Backends, netip.MustParseAddr(backend))
	}
	c.alpha.Frontends = []network.Frontend{frontend}
	c.ensureNetwork(t, c.alpha)
}

func at(address netip.Addr, port int) string { return fmt.Sprintf("%s:%d", address, port) }

func testEndpoints(t *testing.T, c *town) {
	for _, protocol := range []string{"tcp", "udp"} {
		c.reaches(t, call{protocol: protocol, to: at(c.address1, 443)}, "api1", c.plan.Host.String())
		c.reaches(t, call{in: c.endpoint2, protocol: protocol, to: at(c.address1, 443)}, "api1", c.address2.String())
		c.reaches(t, call{in: c.endpoint1, protocol: protocol, to: at(c.address1, 443)}, "api1", c.address1.String())
	}
	c.unanswered(t, call{protocol: "tcp", to: at(c.another, 443)})
}

func testServiceAddresses(t *testing.T, c *town) {
	c.serve(t, c.Fabric.EdgeNamespace(), "tcp", at(c.plan.FrontEnd, 443), "front end")
	c.serve(t, c.Fabric.EdgeNamespace(), "udp", at(c.plan.DNS, 53), "dns")
	c.reaches(t, call{protocol: "tcp", to: at(c.plan.FrontEnd, 443)}, "front", "end "+c.plan.Host.String())
	c.reaches(t, call{in: c.endpoint1, protocol: "udp", to: at(c.plan.DNS, 53)}, "dns", c.address1.String())
	c.reaches(t, call{in: c.alpha1, protocol: "udp", to: at(c.plan.DNS, 53)}, "dns", c.alpha.Outbounds[0].Addresses[0].String())
}

func testInside(t *testing.T, c *town) {
	for _, protocol := range []string{"tcp", "udp"} {
		c.reaches(t, call{in: c.alpha1, protocol: protocol, to: node2 + ":8080"}, "alpha2", node1)
		c.reaches(t, call{in: c.alpha2, protocol: protocol, to: node1 + ":8080"}, "alpha1", node2)
		c.reaches(t, call{in: c.alpha1, protocol: protocol, from: netip.MustParseAddr(pod1), to: pod2 + ":8080"}, "alpha2-pod", pod1)
		c.reaches(t, call{in: c.alpha1, protocol: protocol, from: netip.MustParseAddr(pod1), to: node2 + ":8080"}, "alpha2", pod1)
	}
}

func testIsolation(t *testing.T, c *town) {
	// The address of a machine that only the other network has.
	c.unanswered(t, call{in: c.beta1, protocol: "tcp", to: node2 + ":8080"})
	c.unanswered(t, call{in: c.beta1, protocol: "tcp", to: pod2 + ":8080"})
	c.reaches(t, call{in: c.beta1, protocol: "tcp", to: node1 + ":8080"}, "beta1", node1)
	// Not from the host: it has no route to a private range, so whom it would ask is its own affair.
	for _, outside := range []string{c.Fabric.EdgeNamespace(), c.endpoint1} {
		c.unanswered(t, call{in: outside, protocol: "tcp", to: node1 + ":8080"})
		c.unanswered(t, call{in: outside, protocol: "tcp", to: pod1 + ":8080"})
	}
}

func testOutbound(t *testing.T, c *town) {
	for _, protocol := range []string{"tcp", "udp"} {
		c.reaches(t, call{in: c.alpha1, protocol: protocol, to: at(c.address1, 443)}, "api1", c.alpha.Outbounds[0].Addresses[0].String())
		c.reaches(t, call{in: c.beta1, protocol: protocol, from: netip.MustParseAddr(pod1), to: at(c.address1, 443)}, "api1", c.beta.Outbounds[0].Addresses[0].String())
	}
}

func testBalance(t *testing.T, c *town) {
	c.balance(t, c.frontend, node1, node2)
	for _, protocol := range []string{"tcp", "udp"} {
		answers := map[string]int{}
		for range 40 { // 40 throws of a coin are all alike once in 5e11 runs
			name, seen, err := c.call(call{protocol: protocol, to: at(c.frontend, 80)}, patience)
			must(t, "calling the frontend over "+protocol, err)
			if seen != c.plan.Host.String() {
				t.Errorf("%s saw the client %s, want it untranslated", name, seen)
			}
			answers[name]++
		}
		if answers["alpha1"] == 0 || answers["alpha2"] == 0 || len(answers) != 2 {
			t.Errorf("%s was balanced as %v, want both machines and no other", protocol, answers)
		}
	}
}

func testFrontendClients(t *testing.T, c *town) {
	c.balance(t, c.frontend, node2)
	for _, protocol := range []string{"tcp", "udp"} {
		to := at(c.frontend, 80)
		c.reaches(t, call{protocol: protocol, to: to}, "alpha2", c.plan.Host.String())
		c.reaches(t, call{in: c.endpoint1, protocol: protocol, to: to}, "alpha2", c.address1.String())
		c.reaches(t, call{in: c.beta1, protocol: protocol, to: to}, "alpha2", c.beta.Outbounds[0].Addresses[0].String())
		// From inside the network, from another machine and from the backend itself.
		c.reaches(t, call{in: c.alpha1, protocol: protocol, from: netip.MustParseAddr(pod1), to: to}, "alpha2", gateway)
		c.reaches(t, call{in: c.alpha2, protocol: protocol, from: netip.MustParseAddr(pod2), to: to}, "alpha2", gateway)
	}
}

func testRefused(t *testing.T, c *town) {
	c.balance(t, c.frontend, node1)
	for _, client := range []string{"", c.beta1, c.alpha1} {
		for _, protocol := range []string{"tcp", "udp"} {
			c.refused(t, call{in: client, protocol: protocol, to: at(c.frontend, 81)})
		}
	}
	c.balance(t, c.frontend)
	for _, client := range []string{"", c.beta1, c.alpha1} {
		c.refused(t, call{in: client, protocol: "tcp", to: at(c.frontend, 80)})
	}
	// A frontend may be the outbound address as well.
	c.balance(t, c.alpha.Outbounds[0].Addresses[0], node1)
	c.reaches(t, call{in: c.beta1, protocol: "tcp", to: at(c.alpha.Outbounds[0].Addresses[0], 80)}, "alpha1", c.beta.Outbounds[0].Addresses[0].String())
	c.refused(t, call{in: c.beta1, protocol: "tcp", to: at(c.alpha.Outbounds[0].Addresses[0], 81)})
}

// testSpoofing sends a datagram with a false source and then an honest one by
// the same way: if the honest one is the first to arrive, the other was dropped.
func testSpoofing(t *testing.T, c *town) {
	next := c.collects(t, c.alpha2, node2+":9000")
	for _, lie := range []string{"10.224.0.77", "10.244.7.7", "10.244.1.77", "203.0.113.9", c.address1.String(), gateway} {
		c.Assign(t, c.alpha1, netip.MustParseAddr(lie))
		c.sends(t, c.alpha1, netip.MustParseAddr(lie), node2+":9000", "a lie")
		c.sends(t, c.alpha1, netip.MustParseAddr(node1), node2+":9000", "honest")
		if got := next(); got != "honest" {
			t.Errorf("a datagram that claims to be from %s arrived: %q", lie, got)
		}
	}
	atEdge := c.collects(t, c.endpoint1, at(c.address1, 9000))
	for _, lie := range []string{c.plan.Host.String(), c.another.String(), "203.0.113.9", c.alpha.Outbounds[0].Addresses[0].String()} {
		c.Assign(t, c.endpoint2, netip.MustParseAddr(lie))
		c.sends(t, c.endpoint2, netip.MustParseAddr(lie), at(c.address1, 9000), "a lie")
		c.sends(t, c.endpoint2, c.address2, at(c.address1, 9000), "honest")
		if got := atEdge(); got != "honest" {
			t.Errorf("a datagram that claims to be from %s arrived: %q", lie, got)
		}
	}
}

func testHostGuard(t *testing.T, c *town) {
	port := c.listens(t, "")
	for _, client := range []string{c.endpoint1, c.alpha1, c.Fabric.EdgeNamespace()} {
		c.unanswered(t, call{in: client, protocol: "tcp", to: c.plan.Host.String() + ":" + port})
	}
}

func testRouterGuard(t *testing.T, c *town) {
	c.unanswered(t, call{in: c.endpoint1, protocol: "tcp", to: at(c.alpha.Outbounds[0].Addresses[0], 8080)})
	c.unanswered(t, call{in: c.alpha1, protocol: "tcp", to: gateway + ":8080"})
	c.unanswered(t, call{in: c.endpoint1, protocol: "tcp", to: at(c.plan.Edge, 8080)})
}

func testSurvival(t *testing.T, c *town) {
	c.balance(t, c.frontend, node1)
	calls := []call{
		{protocol: "tcp", to: at(c.frontend, 80)},
		{in: c.beta1, protocol: "tcp", to: at(c.frontend, 80)},
		{in: c.alpha2, protocol: "tcp", to: at(c.frontend, 80)},
		{in: c.alpha2, protocol: "tcp", to: node1 + ":8080"},
		{in: c.alpha1, protocol: "tcp", to: at(c.address1, 443)},
	}
	var clients []*client
	for _, one := range calls {
		client, err := c.dial(one.in, one.protocol, one.from, one.to, patience)
		must(t, "dialing", err)
		defer client.Close()
		clients = append(clients, client)
	}
	check := func(after string) {
		for i, client := range clients {
			if _, _, err := client.ask(patience); err != nil {
				t.Errorf("%s after %s: %v", calls[i], after, err)
			}
		}
	}
	check("the start")
	c.balance(t, c.frontend, node2)
	check("its backend left the rotation")
	c.alpha.Frontends = append(c.alpha.Frontends, network.Frontend{Address: c.another, Rules: []network.Rule{{Protocol: "TCP", Port: 1, NodePort: 1}}})
	c.ensureNetwork(t, c.alpha)
	c.ensureEdge(t)
	c.ensureEndpoint(t, "api1", c.address1)
	must(t, "AttachPort", c.Fabric.AttachPort(c.ctx, c.alpha.ID, c.alpha.Ports[0], c.alpha1))
	check("all was ensured again")
	c.alpha.Frontends = nil
	c.ensureNetwork(t, c.alpha)
	if _, _, err := clients[0].ask(hush); err == nil {
		t.Error("a connection to a frontend outlived it")
	}
}

func testDrain(t *testing.T, c *town) {
	c.balance(t, c.frontend, node1)
	client, err := c.dial("", "udp", netip.Addr{}, at(c.frontend, 80), patience)
	must(t, "dialing", err)
	defer client.Close()
	if name, _, err := client.ask(patience); err != nil || name != "alpha1" {
		t.Fatalf("answered by %q (%v), want alpha1", name, err)
	}
	c.balance(t, c.frontend, node2)
	if name, _, err := client.ask(patience); err != nil || name != "alpha2" {
		t.Errorf("answered by %q (%v) after the rotation changed, want alpha2", name, err)
	}
}

func testCutOff(t *testing.T, c *town) {
	second := c.alpha.Ports[1]
	c.alpha.Ports = c.alpha.Ports[:1]
	c.ensureNetwork(t, c.alpha)
	c.unanswered(t, call{in: c.alpha1, protocol: "tcp", to: node2 + ":8080"})
	// Its place is free for another machine.
	c.alpha.Ports = append(c.alpha.Ports, network.Port{ID: "alpha3", Subnet: "nodes", Outbound: "alpha", Address: second.Address, PodRange: second.PodRange})
	c.ensureNetwork(t, c.alpha)
	c.machine(t, c.alpha, 1, pod2)
	c.reaches(t, call{in: c.alpha1, protocol: "tcp", to: node2 + ":8080"}, "alpha3", node1)
}

func testRestart(t *testing.T, c *town) {
	c.balance(t, c.frontend, node2)
	c.machine(t, c.alpha, 1, pod2)
	c.reaches(t, call{in: c.alpha1, protocol: "tcp", to: node2 + ":8080"}, "alpha2", node1)
	c.reaches(t, call{in: c.alpha1, protocol: "tcp", to: pod2 + ":8080"}, "alpha2-pod", node1)
	c.reaches(t, call{protocol: "tcp", to: at(c.frontend, 80)}, "alpha2", c.plan.Host.String())
}

func testEcho(t *testing.T, c *town) {
	c.echo(t, "", c.address1)
	c.echo(t, c.alpha1, c.address1)
	c.echo(t, c.alpha1, netip.MustParseAddr(node2))
	c.echo(t, c.alpha1, netip.MustParseAddr(gateway))
	c.echo(t, c.endpoint1, c.plan.Edge)
}

func testBulk(t *testing.T, c *town) {
	c.alpha.Frontends = []network.Frontend{{
		Address: c.frontend, Rules: []network.Rule{{Protocol: "TCP", Port: 80, NodePort: 9000}}, Backends: []netip.Addr{netip.MustParseAddr(node1)},
	}}
	c.ensureNetwork(t, c.alpha)
	const size = 16 << 20
	for _, client := range []string{"", c.beta1, c.alpha1} {
		if got := c.pour(t, client, c.alpha1, at(c.frontend, 80), size); got != size {
			t.Errorf("of %d bytes from %q %d arrived", size, client, got)
		}
	}
}
