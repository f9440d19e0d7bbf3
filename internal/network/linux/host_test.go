//go:build e2e

package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

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
	if err := edge.rt.RouteAdd(route{to: nodeRange(), via: s.network.Outbounds[0].Addresses[0]}.on(link.Attrs().Index)); err != nil {
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
		"":                                     s.network.Outbounds[0].Addresses[0],
		s.fabric.names.endpoint(s.endpoint.ID): s.network.Outbounds[0].Addresses[0],
		s.machine:                              network.Gateway(nodeRange()),
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
// counted by the kernel.
func settingsOf(t *testing.T) map[string]string {
	t.Helper()
	settings := map[string]string{}
	err := filepath.WalkDir("/proc/sys/net", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path, "_count") || ofALink(path) {
			return nil
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

// ofALink says whether a setting is that of one link, which other programs
// make and remove meanwhile.
func ofALink(path string) bool {
	dir, of := filepath.Base(filepath.Dir(filepath.Dir(path))), filepath.Base(filepath.Dir(path))
	return (dir == "conf" || dir == "neigh") && of != "all" && of != "default" && of != "lo"
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
