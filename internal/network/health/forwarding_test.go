package health_test

import (
	"maps"
	"net/netip"
	"testing"

	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/network/health"
)

func TestANodeForwardsUnlessItsOwnProbeFails(t *testing.T) {
	const servicePort = 30123
	one, two, three := netip.MustParseAddr("10.1.0.4"), netip.MustParseAddr("10.1.0.5"), netip.MustParseAddr("10.1.0.6")
	store := health.Store{Dir: t.TempDir()}
	n := network.Network{ID: "alpha", Ports: []network.Port{{ID: "a", Address: one}, {ID: "b", Address: two}, {ID: "c", Address: three}}}
	n.Frontends = []network.Frontend{{Name: "default/web", Backends: []netip.Addr{one, two, three}, HealthPort: servicePort}}
	if err := store.SaveNetwork(n); err != nil {
		t.Fatal(err)
	}
	down := health.Down{netip.AddrPortFrom(two, network.NodeHealthPort), netip.AddrPortFrom(three, servicePort)}
	if err := store.SaveDown("alpha", down); err != nil {
		t.Fatal(err)
	}
	got, err := store.Forwarding("alpha")
	if want := map[netip.Addr]bool{one: true, two: false, three: true}; err != nil || !maps.Equal(got, want) {
		t.Errorf("forwarding are %v, %v; want %v", got, err, want)
	}
	if got, err := store.Forwarding("unknown"); err != nil || len(got) > 0 {
		t.Errorf("of an unknown network: %v, %v", got, err)
	}
}
