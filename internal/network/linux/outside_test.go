//go:build e2e

package linux

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
)

// country is a host in a namespace of its own, a network of Berth's on it, a
// LAN that the host is in, and a network outside that it has a route to.
type country struct {
	fabric               *Fabric
	host, lan, outside   string
	machine              string
	edge                 network.Edge
	network              network.Network
	outsideAddress       netip.Addr
	hostOutside, hostLAN netip.Addr
}

func newCountry(t *testing.T, public netip.Prefix) *country {
	t.Helper()
	c := &country{
		host: machine(t), lan: machine(t), outside: machine(t),
		outsideAddress: addr("203.0.113.2"), hostOutside: addr("203.0.113.1"), hostLAN: addr("10.99.0.1"),
	}
	c.fabric = New(Options{Instance: naming.Instance(), HostNamespace: c.host})
	connect(t, "out0", map[string]string{c.host: "203.0.113.1/24", c.outside: "203.0.113.2/24"})
	connect(t, "lan0", map[string]string{c.host: "10.99.0.1/16", c.lan: "10.99.0.2/16"})
	plan := network.PlanPublicRange(public)
	c.edge = network.Edge{PublicRange: public, HostAddress: plan.Host, ServiceAddresses: []netip.Addr{plan.FrontEnd, plan.DNS}}
	outbound := plan.First
	c.network = network.Network{
		ID: "alpha", AddressSpace: []netip.Prefix{nodeRange()}, Subnets: []network.Subnet{{Name: "nodes", Range: nodeRange()}},
		Outbounds: []network.Outbound{{ID: "main", Addresses: []netip.Addr{outbound}}},
		Ports:     []network.Port{{ID: "one", Subnet: "nodes", Outbound: "main", Address: addr("10.224.0.4")}},
		Frontends: []network.Frontend{{
			Name: "default/web", Address: outbound.Next(), Rules: []network.Rule{{Protocol: "TCP", Port: 80, NodePort: 8080}}, Backends: []netip.Addr{addr("10.224.0.4")},
		}},
	}
	c.machine = machine(t)
	t.Cleanup(func() {
		(&instance{name: c.fabric.names.instance, fabric: c.fabric}).deleteAll(t)
	})
	return c
}

// connect links two namespaces and gives each end its address.
func connect(t *testing.T, name string, ends map[string]string) {
	t.Helper()
	var sessions []*session
	for namespace := range ends {
		sessions = append(sessions, at(t, namespace))
	}
	attributes := netlink.NewLinkAttrs()
	attributes.Name = name
	must(t, sessions[0].rt.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: name, PeerNamespace: netlink.NsFd(int(sessions[1].file.Fd()))}))
	for _, s := range sessions {
		link, err := s.link(name)
		must(t, err)
		address, err := netlink.ParseAddr(ends[s.file.Name()])
		must(t, err)
		must(t, s.rt.AddrAdd(link, address))
		must(t, s.up(link))
	}
}

func (c *country) ensure(t *testing.T) {
	t.Helper()
	must(t, c.fabric.EnsureEdge(t.Context(), c.edge))
	must(t, c.fabric.EnsureNetwork(t.Context(), c.network))
	must(t, c.fabric.AttachPort(t.Context(), c.network.ID, c.network.Ports[0], c.machine))
}

func forwards(t *testing.T, namespace string) {
	t.Helper()
	must(t, applyIn(namespace, []setting{{name: "ipv4/ip_forward", value: "1"}}))
}

// accepts serves in a namespace and tells which clients it saw.
func accepts(t *testing.T, namespace string, at netip.AddrPort) <-chan netip.Addr {
	t.Helper()
	seen := make(chan netip.Addr, 16)
	must(t, inside(namespace, func() error {
		listener, err := net.Listen("tcp4", at.String())
		if err != nil {
			return err
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			for conn, err := listener.Accept(); err == nil; conn, err = listener.Accept() {
				seen <- netip.MustParseAddrPort(conn.RemoteAddr().String()).Addr()
				conn.Close()
			}
		}()
		return nil
	}))
	return seen
}

func TestTheOperatorOpensAndShutsTheWayOut(t *testing.T) {
	c := newCountry(t, prefix("198.18.0.0/24"))
	seen := accepts(t, c.outside, netip.AddrPortFrom(c.outsideAddress, 8080))
	must(t, dial(c.host, c.outsideAddress, 8080, 2*time.Second)) // the control
	<-seen
	c.edge.Egress = true
	if err := c.fabric.EnsureEdge(t.Context(), c.edge); !errors.Is(err, network.ErrConflict) || !strings.Contains(err.Error(), "ip_forward") {
		t.Fatalf("EnsureEdge on a host that does not forward = %v, want ErrConflict that says how it would", err)
	}
	forwards(t, c.host)
	for range 2 {
		c.edge.Egress = false
		c.ensure(t)
		if err := dial(c.machine, c.outsideAddress, 8080, lull); err == nil {
			t.Error("a machine got out though the way is shut")
		}
		c.edge.Egress = true
		c.ensure(t)
		must(t, dial(c.machine, c.outsideAddress, 8080, 5*time.Second))
		if from := <-seen; from != c.hostOutside {
			t.Errorf("the outside saw %s, want the host's own address %s", from, c.hostOutside)
		}
	}
	// The way out is no way in, and none to the host.
	if err := dial(c.outside, c.network.Frontends[0].Address, 80, lull); err == nil {
		t.Error("the outside got in")
	}
	accepts(t, c.host, netip.AddrPortFrom(c.hostLAN, 8081))
	if err := dial(c.machine, c.hostLAN, 8081, lull); err == nil {
		t.Error("a machine reached the host")
	}
}

func TestALANReachesAnAnnouncedPool(t *testing.T) {
	c := newCountry(t, prefix("10.99.64.0/24"))
	forwards(t, c.host)
	frontend := c.network.Frontends[0].Address
	c.edge.Announce = "lan0"
	c.ensure(t)
	c.ensure(t) // again
	seen := accepts(t, c.machine, netip.AddrPortFrom(addr("10.224.0.4"), 8080))
	must(t, dial(c.lan, frontend, 80, 5*time.Second))
	if from := <-seen; from != addr("10.99.0.2") {
		t.Errorf("the machine saw %s, want the client itself", from)
	}
	accepts(t, c.fabric.EdgeNamespace(), netip.AddrPortFrom(c.edge.ServiceAddresses[0], 443))
	must(t, dial(c.lan, c.edge.ServiceAddresses[0], 443, 5*time.Second))
	// It is answered for on that link alone, and nothing starts from inside.
	if err := dial(c.outside, frontend, 80, lull); err == nil {
		t.Error("the outside got in")
	}
	accepts(t, c.lan, netip.AddrPortFrom(addr("10.99.0.2"), 8082))
	if err := dial(c.machine, addr("10.99.0.2"), 8082, lull); err == nil {
		t.Error("a machine got out into the LAN without egress")
	}
	(&instance{name: c.fabric.names.instance, fabric: c.fabric}).deleteAll(t)
	host := at(t, c.host)
	if left, err := host.rt.NeighProxyList(0, netlink.FAMILY_V4); err != nil || len(left) > 0 {
		t.Errorf("the host still answers for %v, %v", left, err)
	}
}

func TestALANThatHasTheRangeIsAConflictUnlessItIsAnnounced(t *testing.T) {
	c := newCountry(t, prefix("10.99.64.0/24"))
	forwards(t, c.host)
	if err := c.fabric.EnsureEdge(t.Context(), c.edge); !errors.Is(err, network.ErrConflict) {
		t.Errorf("EnsureEdge = %v, want ErrConflict", err)
	}
	c.edge.Announce = "nosuchlink"
	if err := c.fabric.EnsureEdge(t.Context(), c.edge); err == nil || !strings.Contains(err.Error(), "no link nosuchlink") {
		t.Errorf("EnsureEdge = %v, want one that names the link", err)
	}
	c.edge.Announce = "lan0"
	must(t, c.fabric.EnsureEdge(t.Context(), c.edge))
}
