//go:build e2e

package linux

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

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

// A host's first `ip netns add` does this to what is already there.
func TestANamespaceThatLiesCoveredIsRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "net")
	if err := ensureNamespace(path, nil); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(dir, dir, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	if err := deleteNamespace(path); err != nil {
		t.Error(err)
	}
	if err := unix.Unmount(dir, 0); err != nil { // busy, if anything is mounted in it
		t.Error(err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), dir) {
		t.Errorf("something is still mounted below %s (%v):\n%s", dir, err, mounts)
	}
}
