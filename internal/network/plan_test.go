package network

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}

func addresses(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, text := range texts {
		out = append(out, netip.MustParseAddr(text))
	}
	return out
}

func TestPickPublicRange(t *testing.T) {
	for _, test := range []struct {
		name          string
		routes, taken []netip.Prefix
		want          string
	}{
		{"takes the first range on a plain host", prefixes("0.0.0.0/0", "192.168.1.0/24"), nil, "198.18.0.0/20"},
		{"skips what another instance took", nil, prefixes("198.18.0.0/20"), "198.18.16.0/20"},
		{"skips a range with a route in it", prefixes("198.18.15.0/24", "198.18.16.1/32"), nil, "198.18.32.0/20"},
		{"skips a half that a route covers", prefixes("198.18.0.0/16"), nil, "198.19.0.0/20"},
		{"does not mind a default route split in halves", prefixes("0.0.0.0/1", "128.0.0.0/1"), nil, "198.18.0.0/20"},
		{"does not mind IPv6 routes", prefixes("fd00::/8", "::/0"), nil, "198.18.0.0/20"},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := PickPublicRange(test.routes, test.taken)
			if err != nil || got.String() != test.want {
				t.Errorf("PickPublicRange() = %v, %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestPickPublicRangeSaysWhenAllIsTaken(t *testing.T) {
	if _, err := PickPublicRange(nil, prefixes("198.18.0.0/15")); !errors.Is(err, ErrExhausted) {
		t.Errorf("PickPublicRange() = %v, want ErrExhausted", err)
	}
}

func TestThePublicPlanKeepsItsPlaces(t *testing.T) {
	got := PlanPublicRange(netip.MustParsePrefix("198.18.16.0/20"))
	want := PublicPlan{
		Edge: netip.MustParseAddr("198.18.16.0"), Host: netip.MustParseAddr("198.18.16.1"), FrontEnd: netip.MustParseAddr("198.18.16.2"),
		DNS: netip.MustParseAddr("198.18.16.3"), First: netip.MustParseAddr("198.18.16.16"),
	}
	if got != want {
		t.Errorf("PlanPublicRange() = %+v, want %+v", got, want)
	}
}

func TestAddressesAreTakenInOrderWithoutThoseThatAreReserved(t *testing.T) {
	subnet := netip.MustParsePrefix("10.224.0.0/29")
	for _, test := range []struct {
		name  string
		taken []netip.Addr
		n     int
		want  []netip.Addr
	}{
		{"starts behind the reserved four", nil, 1, addresses("10.224.0.4")},
		{"fills the lowest gap", addresses("10.224.0.4", "10.224.0.6"), 1, addresses("10.224.0.5")},
		{"takes several around one that is taken", addresses("10.224.0.5"), 2, addresses("10.224.0.4", "10.224.0.6")},
		{"never gives the last", addresses("10.224.0.4", "10.224.0.5", "10.224.0.6"), 1, nil},
		{"gives all or nothing", nil, 4, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			taken := map[netip.Addr]bool{}
			for _, address := range test.taken {
				taken[address] = true
			}
			got, next, err := AllocateAddresses(subnet, netip.Addr{}, taken, test.n)
			if test.want == nil {
				if !errors.Is(err, ErrExhausted) {
					t.Errorf("AllocateAddresses() = %v, %v, want ErrExhausted", got, err)
				}
			} else if err != nil || !slices.Equal(got, test.want) || next != got[len(got)-1].Next() {
				t.Errorf("AllocateAddresses() = %v, %v, %v, want %v", got, next, err, test.want)
			}
		})
	}
}

func TestAllocatePublicAddressLeavesRoomForTheService(t *testing.T) {
	got, err := AllocatePublicAddress(netip.MustParsePrefix("198.18.0.0/20"), addresses("198.18.0.16"))
	if err != nil || got.String() != "198.18.0.17" {
		t.Errorf("AllocatePublicAddress() = %v, %v, want 198.18.0.17", got, err)
	}
}

func TestAllocatePodRange(t *testing.T) {
	pods := netip.MustParsePrefix("10.244.0.0/23")
	if got, err := AllocatePodRange(pods, prefixes("10.244.0.0/24")); err != nil || got.String() != "10.244.1.0/24" {
		t.Errorf("AllocatePodRange() = %v, %v, want 10.244.1.0/24", got, err)
	}
	if got, err := AllocatePodRange(pods, prefixes("10.244.0.0/24", "10.244.1.0/24")); !errors.Is(err, ErrExhausted) {
		t.Errorf("AllocatePodRange() of a full range = %v, %v, want ErrExhausted", got, err)
	}
	if got, err := AllocatePodRange(netip.MustParsePrefix("10.244.0.0/25"), nil); !errors.Is(err, ErrExhausted) {
		t.Errorf("AllocatePodRange() of a range too small = %v, %v, want ErrExhausted", got, err)
	}
	if got, err := AllocatePodRange(netip.MustParsePrefix("255.255.255.0/24"), prefixes("255.255.255.0/24")); !errors.Is(err, ErrExhausted) {
		t.Errorf("AllocatePodRange() at the end of all addresses = %v, %v, want ErrExhausted", got, err)
	}
}

func TestCapacityLeavesWhatAzureReserves(t *testing.T) {
	for subnet, want := range map[string]int{"10.224.0.0/16": 65531, "10.0.0.0/24": 251, "10.224.0.0/29": 3, "10.224.0.0/30": 0} {
		if got := SubnetCapacity(netip.MustParsePrefix(subnet)); got != want {
			t.Errorf("SubnetCapacity(%s) = %d, want %d", subnet, got, want)
		}
	}
	for pods, want := range map[string]int{"10.244.0.0/16": 256, "10.244.0.0/24": 1, "10.244.0.0/25": 0} {
		if got := PodRangeCapacity(netip.MustParsePrefix(pods)); got != want {
			t.Errorf("PodRangeCapacity(%s) = %d, want %d", pods, got, want)
		}
	}
}
