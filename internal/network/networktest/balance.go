package networktest

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"berth.dev/berth/internal/network"
)

// internal is an address of alpha's nodes' range that no machine has.
const internal = "10.224.0.99"

func frontend(address netip.Addr, backends ...string) network.Frontend {
	f := network.Frontend{Address: address, Rules: []network.Rule{
		{Protocol: "TCP", Port: 80, NodePort: 8080}, {Protocol: "UDP", Port: 80, NodePort: 8080},
	}}
	for _, backend := range backends {
		f.Backends = append(f.Backends, netip.MustParseAddr(backend))
	}
	return f
}

// offer gives alpha exactly these frontends.
func (c *town) offer(t *testing.T, frontends ...network.Frontend) {
	t.Helper()
	c.alpha.Frontends = frontends
	c.ensureNetwork(t, c.alpha)
}

func testInternal(t *testing.T, c *town) {
	address := netip.MustParseAddr(internal)
	f := frontend(address, node2)
	f.Internal = true
	c.offer(t, f)
	for _, protocol := range []string{"tcp", "udp"} {
		to := at(address, 80)
		c.reaches(t, call{in: c.alpha1, protocol: protocol, to: to}, "alpha2", gateway)
		c.reaches(t, call{in: c.alpha1, protocol: protocol, from: netip.MustParseAddr(pod1), to: to}, "alpha2", gateway)
		c.reaches(t, call{in: c.alpha2, protocol: protocol, to: to}, "alpha2", gateway)
		c.refused(t, call{in: c.alpha1, protocol: protocol, to: at(address, 81)})
		for _, outside := range []string{c.beta1, c.endpoint1, c.Fabric.EdgeNamespace()} {
			c.unanswered(t, call{in: outside, protocol: protocol, to: to})
		}
	}
}

func testSourceRanges(t *testing.T, c *town) {
	f := frontend(c.frontend, node1)
	f.SourceRanges = []netip.Prefix{netip.PrefixFrom(c.address1, 32), netip.PrefixFrom(c.address1, 32), netip.MustParsePrefix("203.0.113.0/24")}
	c.offer(t, f)
	to := at(c.frontend, 80)
	for _, protocol := range []string{"tcp", "udp"} {
		c.reaches(t, call{in: c.endpoint1, protocol: protocol, to: to}, "alpha1", c.address1.String())
		c.unanswered(t, call{in: c.endpoint2, protocol: protocol, to: to})
		c.unanswered(t, call{in: c.beta1, protocol: protocol, to: to})
	}
	f.SourceRanges = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
	c.offer(t, f)
	c.reaches(t, call{in: c.endpoint2, protocol: "tcp", to: to}, "alpha1", c.address2.String())
}

func testAffinity(t *testing.T, c *town) {
	f := frontend(c.frontend, node1, node2)
	f.Affinity = time.Hour
	c.offer(t, f)
	same := func(protocol string) string {
		t.Helper()
		first, _, err := c.call(call{protocol: protocol, to: at(c.frontend, 80)}, patience)
		must(t, "calling the frontend", err)
		for range 15 {
			name, _, err := c.call(call{protocol: protocol, to: at(c.frontend, 80)}, patience)
			must(t, "calling the frontend", err)
			if name != first {
				t.Fatalf("over %s a client was sent to %s and then to %s", protocol, first, name)
			}
		}
		return first
	}
	first := same("tcp")
	if over := same("udp"); over != first {
		t.Errorf("over TCP the client's backend is %s, over UDP %s", first, over)
	}
	// A change of another service takes nobody's backend.
	c.offer(t, f, frontend(c.another, node1))
	if again := same("tcp"); again != first {
		t.Errorf("the client's backend was %s and is %s after another service came", first, again)
	}
	// A backend that leaves rotation loses its clients, and those keep the next one.
	stays := map[string]string{"alpha1": node2, "alpha2": node1}[first]
	f.Backends = []netip.Addr{netip.MustParseAddr(stays)}
	c.offer(t, f)
	second := same("tcp")
	if second == first {
		t.Fatalf("the client is still sent to %s, which is out of rotation", first)
	}
	f.Backends = []netip.Addr{netip.MustParseAddr(node1), netip.MustParseAddr(node2)}
	c.offer(t, f)
	if again := same("tcp"); again != second {
		t.Errorf("the client's backend was %s and is %s after one more came", second, again)
	}
}

func testSharedAddress(t *testing.T, c *town) {
	one, two := frontend(c.frontend, node1), frontend(c.frontend, node2)
	two.Rules = []network.Rule{{Protocol: "TCP", Port: 81, NodePort: 8080}}
	c.offer(t, one, two)
	c.reaches(t, call{protocol: "tcp", to: at(c.frontend, 80)}, "alpha1", c.plan.Host.String())
	c.reaches(t, call{protocol: "tcp", to: at(c.frontend, 81)}, "alpha2", c.plan.Host.String())
	c.offer(t, two)
	c.refused(t, call{protocol: "tcp", to: at(c.frontend, 80)})
	c.reaches(t, call{protocol: "tcp", to: at(c.frontend, 81)}, "alpha2", c.plan.Host.String())
}

// testOneChange changes services in every order that leaves others in place.
func testOneChange(t *testing.T, c *town) {
	one, two := frontend(c.frontend, node1), frontend(c.another, node1)
	for i, offered := range [][]network.Frontend{{one}, {one, two}, {two}, {two, one}, {}, {one}} {
		c.offer(t, offered...)
		c.offer(t, offered...) // and nothing changes
		for _, f := range []network.Frontend{one, two} {
			is := call{protocol: "tcp", to: at(f.Address, 80)}
			offers := false
			for _, o := range offered {
				offers = offers || o.Address == f.Address
			}
			t.Run(fmt.Sprintf("step %d, %s", i, f.Address), func(t *testing.T) {
				if offers {
					c.reaches(t, is, "alpha1", c.plan.Host.String())
				} else {
					c.unanswered(t, is)
				}
			})
		}
	}
	c.offer(t, frontend(c.frontend, node2), two)
	c.reaches(t, call{protocol: "tcp", to: at(c.frontend, 80)}, "alpha2", c.plan.Host.String())
}
