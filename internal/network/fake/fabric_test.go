package fake

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"

	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/network/networktest"
)

func TestTheFakeKeepsTheContract(t *testing.T) {
	networktest.Run(t, func(*testing.T) networktest.Harness {
		fabric, machines := New(), 0
		fabric.Lose("/proc/0/ns/net")
		return networktest.Harness{
			Fabric:      fabric,
			PublicRange: netip.MustParsePrefix("198.18.0.0/20"),
			NoMachine:   "/proc/0/ns/net",
			Machine: func(*testing.T) string {
				machines++
				return fmt.Sprintf("/proc/%d/ns/net", machines)
			},
		}
	})
}

func TestTheFakeFailsWhenTold(t *testing.T) {
	fabric, broken := New(), errors.New("broken")
	fabric.FailWith(func(method string) error {
		if method == "DeleteEdge" {
			return broken
		}
		return nil
	})
	if err := fabric.DeleteEdge(t.Context()); !errors.Is(err, broken) {
		t.Errorf("DeleteEdge() = %v, want the failure", err)
	}
	if _, _, err := fabric.List(t.Context()); err != nil {
		t.Errorf("List() = %v, want no failure", err)
	}
}

func TestTheFakeShowsWhatIsAttached(t *testing.T) {
	fabric, public := New(), netip.MustParsePrefix("198.18.0.0/20")
	plan := network.PlanPublicRange(public)
	nodes := netip.MustParsePrefix("10.224.0.0/16")
	port := network.Port{ID: "one", Subnet: "nodes", Outbound: "a", Address: netip.MustParseAddr("10.224.0.4"), PodRange: netip.MustParsePrefix("10.244.0.0/24")}
	err := errors.Join(
		fabric.EnsureEdge(t.Context(), network.Edge{PublicRange: public, HostAddress: plan.Host}),
		fabric.EnsureNetwork(t.Context(), network.Network{
			ID: "alpha", AddressSpace: []netip.Prefix{nodes}, Subnets: []network.Subnet{{Name: "nodes", Range: nodes}},
			PodRanges: []netip.Prefix{netip.MustParsePrefix("10.244.0.0/16")},
			Outbounds: []network.Outbound{{ID: "a", Addresses: []netip.Addr{plan.First}}}, Ports: []network.Port{port},
		}),
		fabric.AttachPort(t.Context(), "alpha", port, "/proc/7/ns/net"),
	)
	if err != nil {
		t.Fatal(err)
	}
	if at, ok := fabric.Attached("alpha", "one"); !ok || at != "/proc/7/ns/net" {
		t.Errorf("Attached() = %q, %v", at, ok)
	}
	fabric.Lose("/proc/7/ns/net")
	if at, ok := fabric.Attached("alpha", "one"); ok {
		t.Errorf("Attached() = %q after its namespace was lost", at)
	}
}
