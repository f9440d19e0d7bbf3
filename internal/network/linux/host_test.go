//go:build e2e

package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

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

func newSite(t *testing.T) *site {
	i := newInstance(t)
	s := &site{instance: i, plan: network.PlanPublicRange(i.public)}
	s.endpoint = network.Endpoint{ID: "api", Address: s.plan.First}
	outbound := s.plan.First.Next()
	s.network = network.Network{
		ID: "alpha", NodeRange: netip.MustParsePrefix("10.224.0.0/16"), PodRange: netip.MustParsePrefix("10.244.0.0/16"), OutboundAddress: outbound,
		Ports: []network.Port{{ID: "one", Address: netip.MustParseAddr("10.224.0.4"), PodRange: netip.MustParsePrefix("10.244.0.0/24")}},
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

func TestWhatACrashOrAHandBrokeHeals(t *testing.T) {
	removeLink := func(namespace func(*site) string, link string) func(*testing.T, *site) error {
		return func(t *testing.T, s *site) error { return at(t, namespace(s)).removeLink(link) }
	}
	router := func(s *site) string { return s.fabric.names.router(s.network.ID) }
	edge := func(s *site) string { return s.fabric.names.edge() }
	for name, breakIt := range map[string]func(*testing.T, *site) error{
		"the host's link is gone": func(t *testing.T, s *site) error {
			return at(t, "/proc/self/ns/net").removeLink(s.fabric.names.hostLink())
		},
		"the host's link is down": func(t *testing.T, s *site) error {
			return setDown(at(t, "/proc/self/ns/net"), s.fabric.names.hostLink())
		},
		"the host's table is gone": func(t *testing.T, s *site) error {
			return removeTable(at(t, "/proc/self/ns/net"), hostFamily, s.fabric.names.hostTable())
		},
		"the endpoint's link is gone":   removeLink(edge, "eapi"),
		"the router's uplink is gone":   removeLink(router, uplink),
		"the port's link is gone":       removeLink(router, "pone"),
		"the machine lost its link":     removeLink(func(s *site) string { return s.machine }, machineLink),
		"a link has the machine's name": renamed,
		"the router's routes are gone":  func(t *testing.T, s *site) error { return dropRoutes(at(t, router(s))) },
		"the edge's routes are gone":    func(t *testing.T, s *site) error { return dropRoutes(at(t, edge(s))) },
		"the machine's routes are gone": func(t *testing.T, s *site) error { return dropRoutes(at(t, s.machine)) },
		"the router's table is gone":    dropRouterTable,
		"the router does not forward": func(_ *testing.T, s *site) error {
			return applyIn(router(s), []setting{{name: "ipv4/ip_forward", value: "0"}})
		},
		"the edge's lo is down":            func(t *testing.T, s *site) error { return setDown(at(t, edge(s)), "lo") },
		"the router's namespace is gone":   func(_ *testing.T, s *site) error { return deleteNamespace(router(s)) },
		"the router is only a file":        func(_ *testing.T, s *site) error { return unix.Unmount(router(s), unix.MNT_DETACH) },
		"the edge's namespace is gone":     func(_ *testing.T, s *site) error { return deleteNamespace(edge(s)) },
		"the edge is only a file":          func(_ *testing.T, s *site) error { return unix.Unmount(edge(s), unix.MNT_DETACH) },
		"the router is mounted twice over": func(_ *testing.T, s *site) error { return unix.Mount(router(s), router(s), "", unix.MS_BIND, "") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.whole(t)
			if err := breakIt(t, s); err != nil {
				t.Fatal(err)
			}
			s.ensure(t)
			s.whole(t)
		})
	}
}

// renamed gives the machine's end of the port another name.
func renamed(t *testing.T, s *site) error {
	inside := at(t, s.machine)
	link, err := inside.link(machineLink)
	if err != nil {
		return err
	}
	return errors.Join(inside.rt.LinkSetDown(link), inside.rt.LinkSetName(link, "eth9"))
}

func setDown(s *session, name string) error {
	link, err := s.rt.LinkByName(name)
	if err != nil {
		return err
	}
	return s.rt.LinkSetDown(link)
}

func dropRoutes(s *session) error {
	routes, err := s.routes()
	for _, r := range routes {
		err = errors.Join(err, s.rt.RouteDel(&r))
	}
	return err
}

func dropRouterTable(t *testing.T, s *site) error {
	return removeTable(at(t, s.fabric.names.router(s.network.ID)), nftables.TableFamilyIPv4, routerTable)
}

func TestTwoInstancesLiveSideBySide(t *testing.T) {
	first := newSite(t)
	second := newSite(t) // ids, ranges of nodes and pods alike
	if first.public.Overlaps(second.public) {
		t.Fatalf("public ranges %s and %s overlap", first.public, second.public)
	}
	first.whole(t)
	second.whole(t)
	for _, client := range []string{first.machine, first.fabric.names.edge()} {
		if err := dial(client, second.endpoint.Address, 443, 300*time.Millisecond); err == nil {
			t.Errorf("%s reached the other instance", client)
		}
	}
	first.deleteAll(t)
	if left, err := Leftovers(first.name); err != nil || len(left) > 0 {
		t.Errorf("Leftovers() = %v, %v, want nothing", left, err)
	}
	second.whole(t)
	if left, err := Leftovers(second.name); err != nil || len(left) < 6 {
		t.Errorf("Leftovers() = %v, %v, want all of the other instance", left, err)
	}
}

func TestAStrangersLinkIsAConflict(t *testing.T) {
	i := newInstance(t)
	host := at(t, "/proc/self/ns/net")
	attributes := netlink.NewLinkAttrs()
	attributes.Name = i.fabric.names.hostLink()
	stranger := &netlink.Veth{LinkAttrs: attributes, PeerName: "peer" + i.name}
	if err := host.rt.LinkAdd(stranger); err != nil {
		t.Fatal(err)
	}
	removed := false
	remove := func() {
		if !removed {
			removed = true
			if err := host.removeLink(attributes.Name); err != nil {
				t.Error(err)
			}
		}
	}
	defer remove()
	plan := network.PlanPublicRange(i.public)
	edge := network.Edge{PublicRange: i.public, HostAddress: plan.Host}
	if err := i.fabric.EnsureEdge(t.Context(), edge); !errors.Is(err, network.ErrConflict) || !strings.Contains(err.Error(), attributes.Name) {
		t.Errorf("EnsureEdge() = %v, want ErrConflict that names the link", err)
	}
	if err := i.fabric.DeleteEdge(t.Context()); err != nil {
		t.Errorf("DeleteEdge() = %v", err)
	}
	if link, err := host.link(attributes.Name); link == nil {
		t.Errorf("DeleteEdge removed a stranger's link (%v)", err)
	}
	remove()
	if err := i.fabric.EnsureEdge(t.Context(), edge); err != nil {
		t.Errorf("EnsureEdge() after the stranger left = %v", err)
	}
}

func TestAnotherInstancesRangeIsAConflict(t *testing.T) {
	first, second := newSite(t), newInstance(t)
	second.public = first.public
	err := second.fabric.EnsureEdge(t.Context(), network.Edge{PublicRange: first.public, HostAddress: first.plan.Host})
	if !errors.Is(err, network.ErrConflict) || !strings.Contains(err.Error(), first.public.String()) {
		t.Errorf("EnsureEdge() = %v, want ErrConflict that names the route", err)
	}
	if left, err := Leftovers(second.name); err != nil || len(left) > 0 {
		t.Errorf("the refused instance left %v, %v", left, err)
	}
	first.whole(t)
}

func TestThePrivateRangesAreShutEvenIfTheEdgeHadARoute(t *testing.T) {
	s := newSite(t)
	edge := at(t, s.fabric.names.edge())
	link, err := edge.rt.LinkByName(s.fabric.names.networkLink(s.network.ID))
	if err != nil {
		t.Fatal(err)
	}
	if err := edge.rt.RouteAdd(route{to: s.network.NodeRange, via: s.network.OutboundAddress}.on(link.Attrs().Index)); err != nil {
		t.Fatal(err)
	}
	for _, client := range []string{s.fabric.names.edge(), s.fabric.names.endpoint(s.endpoint.ID)} {
		if err := dial(client, s.network.Ports[0].Address, 8080, 300*time.Millisecond); err == nil {
			t.Errorf("%s reached a private address", client)
		}
	}
	s.whole(t)
}

func TestARouterIsNoOnesServer(t *testing.T) {
	s := newSite(t)
	s.listen(t, s.fabric.names.router(s.network.ID), 8080)
	for client, address := range map[string]netip.Addr{
		"":                                     s.network.OutboundAddress,
		s.fabric.names.endpoint(s.endpoint.ID): s.network.OutboundAddress,
		s.machine:                              network.Gateway(s.network.NodeRange),
	} {
		if err := dial(client, address, 8080, 300*time.Millisecond); err == nil {
			t.Errorf("%q reached a listener in the router", client)
		}
	}
}

func TestALinkIsWaitedFor(t *testing.T) {
	path := machine(t)
	s := at(t, path)
	attributes := netlink.NewLinkAttrs()
	attributes.Name = "near"
	if err := s.rt.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "far"}); err != nil {
		t.Fatal(err)
	}
	near, _ := s.link("near")
	far, _ := s.link("far")
	if err := s.up(near); err != nil {
		t.Fatal(err)
	}
	waited := make(chan error)
	go func() { waited <- s.awaitCarrier(t.Context(), near) }()
	select {
	case err := <-waited:
		t.Fatalf("awaitCarrier() = %v while the far end is down", err)
	case <-time.After(50 * time.Millisecond):
	}
	if err := s.up(far); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; err != nil {
		t.Errorf("awaitCarrier() = %v once the far end is up", err)
	}
}

func TestAMachinesOtherLinkIsAConflict(t *testing.T) {
	s := newSite(t)
	other := machine(t)
	attributes := netlink.NewLinkAttrs()
	attributes.Name = machineLink
	if err := at(t, other).rt.LinkAdd(&netlink.Veth{LinkAttrs: attributes, PeerName: "peer"}); err != nil {
		t.Fatal(err)
	}
	if err := s.fabric.AttachPort(t.Context(), s.network.ID, s.network.Ports[0], other); !errors.Is(err, network.ErrConflict) {
		t.Errorf("AttachPort() = %v, want ErrConflict", err)
	}
}

func TestTrafficToAnAddressThatIsNotAttachedStaysInTheNetwork(t *testing.T) {
	s := newSite(t)
	for _, address := range []string{"10.224.0.200", "10.244.9.9"} {
		err := dial(s.machine, netip.MustParseAddr(address), 8080, 300*time.Millisecond)
		if !os.IsTimeout(err) { // the edge would have answered that it has no way there
			t.Errorf("dialing %s: %v, want silence", address, err)
		}
	}
}

func TestAMachineInAUserNamespaceIsAttachedAndAttachedAgain(t *testing.T) {
	s := newSite(t)
	for range 2 {
		holder := exec.Command("sleep", "60")
		holder.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  unix.CLONE_NEWUSER | unix.CLONE_NEWNET,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: 100000, Size: 65536}},
		}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		s.machine = fmt.Sprintf("/proc/%d/ns/net", holder.Process.Pid)
		if _, err := at(t, s.machine).loopback(); err != nil {
			t.Error(err)
		}
		s.ensure(t)
		s.listen(t, s.machine, 8080)
		s.whole(t)
		if err := holder.Process.Kill(); err != nil {
			t.Error(err)
		}
		holder.Wait() // it was killed
		if err := s.fabric.AttachPort(t.Context(), s.network.ID, s.network.Ports[0], s.machine); !errors.Is(err, network.ErrNotFound) {
			t.Errorf("AttachPort() to a dead machine = %v, want ErrNotFound", err)
		}
	}
}

// settingsOf reads what is below the host's /proc/sys/net, but what is
// counted by the kernel or said by other programs of the host.
func settingsOf(t *testing.T) map[string]string {
	t.Helper()
	settings := map[string]string{}
	err := filepath.WalkDir("/proc/sys/net", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_count") || strings.Contains(path, "berth") {
			return nil // a link of another test may have left
		}
		if content, err := os.ReadFile(path); err == nil {
			settings[path] = string(content)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return settings
}

func TestTheHostsSettingsStayAsTheyWere(t *testing.T) {
	before := settingsOf(t)
	s := newSite(t)
	s.whole(t)
	during := settingsOf(t)
	s.deleteAll(t)
	after := settingsOf(t)
	for name, value := range before {
		if during[name] != value || after[name] != value {
			t.Errorf("%s was %q, then %q, then %q", name, value, during[name], after[name])
		}
	}
}

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
