package linux

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"berth.dev/berth/internal/network"
)

// chainNames are the names of a plan's chains, without the content.
func chainNames(b balance) []string {
	var names []string
	for _, chain := range b.services {
		name := chain.name()
		names = append(names, name[:strings.LastIndexByte(name, '-')])
	}
	slices.Sort(names)
	return names
}

func TestEveryPortOfAServiceWithBackendsHasAChain(t *testing.T) {
	if got, want := chainNames(newBalance(balanced("10.224.0.4"))), []string{"by-tcp-198.18.0.17-80", "by-udp-198.18.0.17-80"}; !slices.Equal(got, want) {
		t.Errorf("chains %v, want %v", got, want)
	}
	none := newBalance(balanced())
	if len(none.services) != 0 || len(none.frontends) != 1 {
		t.Errorf("without backends: %d chains, %d addresses, want 0 and 1", len(none.services), len(none.frontends))
	}
}

func TestAChainsNameTellsEverythingThatItDoes(t *testing.T) {
	name := func(change func(*network.Frontend)) string {
		n := balanced("10.224.0.4", "10.224.0.5")
		n.Frontends[0].Rules = n.Frontends[0].Rules[:1]
		change(&n.Frontends[0])
		for _, chain := range newBalance(n).services {
			return chain.name()
		}
		return ""
	}
	seen := map[string]string{}
	for what, change := range map[string]func(*network.Frontend){
		"as it is":          func(*network.Frontend) {},
		"another node port": func(f *network.Frontend) { f.Rules[0].NodePort++ },
		"fewer backends":    func(f *network.Frontend) { f.Backends = f.Backends[:1] },
		"internal":          func(f *network.Frontend) { f.Internal = true },
		"ranges":            func(f *network.Frontend) { f.SourceRanges = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} },
		"other ranges":      func(f *network.Frontend) { f.SourceRanges = []netip.Prefix{netip.MustParsePrefix("11.0.0.0/8")} },
		"an idle timeout":   func(f *network.Frontend) { f.IdleTimeout = time.Hour },
		"silence":           func(f *network.Frontend) { f.SilentOnIdle = true },
		"affinity":          func(f *network.Frontend) { f.Affinity = time.Hour },
		"another owner":     func(f *network.Frontend) { f.Name = "default/web" },
	} {
		is := name(change)
		if other, twice := seen[is]; twice {
			t.Errorf("%s and %s have one name: %s", what, other, is)
		}
		seen[is] = what
	}
	if name(func(*network.Frontend) {}) != name(func(f *network.Frontend) { slices.Reverse(f.Backends) }) {
		t.Error("the order of backends is part of the name: the same would be written again")
	}
}

func TestServicesWithTheSameBackendsShareThem(t *testing.T) {
	n := balanced("10.224.0.4", "10.224.0.5")
	second := n.Frontends[0]
	second.Address = second.Address.Next()
	n.Frontends = append(n.Frontends, second)
	if b := newBalance(n); len(b.rotations) != 1 || len(b.services) != 4 {
		t.Errorf("%d rotations for %d chains, want 1 for 4", len(b.rotations), len(b.services))
	}
}

func TestRangesThatLieInOthersAreLeftOut(t *testing.T) {
	var ranges []netip.Prefix
	for _, text := range []string{"10.1.0.0/16", "10.0.0.0/8", "10.0.0.0/8", "192.0.2.7/32", "11.0.0.0/8"} {
		ranges = append(ranges, netip.MustParsePrefix(text))
	}
	var got []string
	for _, r := range network.Disjoint(ranges) {
		got = append(got, r.String())
	}
	if want := []string{"10.0.0.0/8", "11.0.0.0/8", "192.0.2.7/32"}; !slices.Equal(got, want) {
		t.Errorf("Disjoint() = %v, want %v", got, want)
	}
	for text, want := range map[string]int{"0.0.0.0/0": 1, "255.255.255.255/32": 1, "10.0.0.0/8": 2} {
		if got := intervals([]netip.Prefix{netip.MustParsePrefix(text)}); len(got) != want {
			t.Errorf("%s has %d ends, want %d", text, len(got), want)
		}
	}
}
