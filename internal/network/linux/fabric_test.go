//go:build e2e

package linux

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/vishvananda/netlink"

	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/network/networktest"
)

func TestTheLinuxFabricKeepsTheContract(t *testing.T) {
	networktest.Run(t, func(t *testing.T) networktest.Harness { return newInstance(t).harness() })
}

// instance is one install's fabric on this host, gone without a trace when
// the test ends.
type instance struct {
	name   string
	fabric *Fabric
	public netip.Prefix
}

func newInstance(t *testing.T) *instance {
	t.Helper()
	routes, err := HostRoutes()
	if err != nil {
		t.Fatal(err)
	}
	// The upper half of the ranges, out of the way of an install on this host.
	public, err := network.PickPublicRange(routes, []netip.Prefix{netip.MustParsePrefix("198.18.0.0/16")})
	if err != nil {
		t.Fatal(err)
	}
	name := naming.Instance()
	i := &instance{name: name, fabric: New(Options{Instance: name}), public: public}
	t.Cleanup(func() {
		i.deleteAll(t)
		if left, err := Leftovers(name); err != nil || len(left) > 0 {
			t.Errorf("after all was deleted there are still %v, %v", left, err)
		}
	})
	return i
}

func (i *instance) deleteAll(t *testing.T) {
	t.Helper()
	ctx := context.Background() // the test's own has ended
	endpoints, networks, err := i.fabric.List(ctx)
	if err != nil {
		t.Error(err)
	}
	for _, id := range endpoints {
		if err := i.fabric.DeleteEndpoint(ctx, id); err != nil {
			t.Error(err)
		}
	}
	for _, id := range networks {
		if err := i.fabric.DeleteNetwork(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if err := i.fabric.DeleteEdge(ctx); err != nil {
		t.Error(err)
	}
}

func (i *instance) harness() networktest.Harness {
	return networktest.Harness{
		Fabric:      i.fabric,
		PublicRange: i.public,
		Machine:     machine,
		NoMachine:   "/proc/self/task/0/ns/net",
		Inside:      inside,
		Assign:      assign,
	}
}

// machine makes a network namespace as a machine has one, under a name that
// is the test's own.
func machine(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "net")
	if err := ensureNamespace(path, nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := deleteNamespace(path); err != nil {
			t.Error(err)
		}
	})
	s, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if _, err := s.loopback(); err != nil {
		t.Fatal(err)
	}
	return path
}

func inside(namespace string, do func() error) error {
	if namespace == "" {
		return do()
	}
	file, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer file.Close()
	return inNamespace(file, do)
}

func assign(t *testing.T, namespace string, address netip.Addr) {
	t.Helper()
	s, err := open(namespace)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	lo, err := s.loopback()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.rt.AddrAdd(lo, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(address, 32))}); err != nil {
		t.Fatal(err)
	}
}
