package network

import (
	"errors"
	"fmt"
	"net/netip"
)

// The places in a public range. Its first address is the edge's own.
const (
	hostOffset     = 1
	frontEndOffset = 2
	dnsOffset      = 3
	clusterOffset  = 16
)

// The sizes of the address plan, as prefix lengths.
const (
	// PublicRangeBits is the size of the public range that is picked.
	PublicRangeBits = 20
	// MachinePodRangeBits is the size of the pod range of one machine.
	MachinePodRangeBits = 24
)

// nodeOffset is the first address of a node: as in Azure, the first four
// addresses of a subnet and its last one belong to the network.
const nodeOffset = 4

// podGatewayOffset is the address of a subnet that nodes have as their pods' gateway.
const podGatewayOffset = 2

// broadRouteBits is the length below which a route of a host counts as a
// default route: VPNs split the default into two or more halves.
const broadRouteBits = 8

// ErrExhausted says that a range has no free place left.
var ErrExhausted = errors.New("range exhausted")

// PublicPlan is who gets which address of a public range.
type PublicPlan struct {
	// Edge is the edge's own address, the host's next hop.
	Edge netip.Addr
	// Host is the host's address on its link to the edge.
	Host netip.Addr
	// FrontEnd is where the ARM front end listens.
	FrontEnd netip.Addr
	// DNS is where the DNS of the install zone listens.
	DNS netip.Addr
	// First is the first address that clusters may get.
	First netip.Addr
}

// PlanPublicRange lays out a public range.
func PlanPublicRange(public netip.Prefix) PublicPlan {
	base := public.Masked().Addr()
	return PublicPlan{
		Edge:     base,
		Host:     advance(base, hostOffset),
		FrontEnd: advance(base, frontEndOffset),
		DNS:      advance(base, dnsOffset),
		First:    advance(base, clusterOffset),
	}
}

// PickPublicRange is the first /20 of 198.18.0.0/15, the benchmarking range
// that no one routes, that overlaps neither a route of the host nor a range
// that another instance took.
func PickPublicRange(hostRoutes, taken []netip.Prefix) (netip.Prefix, error) {
	pool := netip.PrefixFrom(netip.AddrFrom4([4]byte{198, 18, 0, 0}), 15)
	for candidate := netip.PrefixFrom(pool.Addr(), PublicRangeBits); pool.Contains(candidate.Addr()); candidate = after(candidate) {
		if _, routed := OverlappingRoute(candidate, hostRoutes); routed {
			continue
		}
		if _, used := firstOverlap(candidate, taken); used {
			continue
		}
		return candidate, nil
	}
	return netip.Prefix{}, fmt.Errorf("picking a public range: every /%d of %s is taken or routed by this host; name a free range yourself: %w",
		PublicRangeBits, pool, ErrExhausted)
}

// OverlappingRoute finds a route of the host that a range would shadow.
// Default routes, also those that VPNs split into halves, do not count.
func OverlappingRoute(candidate netip.Prefix, hostRoutes []netip.Prefix) (netip.Prefix, bool) {
	for _, route := range hostRoutes {
		if route.Bits() >= broadRouteBits && route.Overlaps(candidate) {
			return route, true
		}
	}
	return netip.Prefix{}, false
}

// Gateway is the router's address in a range of nodes: its first after the
// network's own.
func Gateway(nodeRange netip.Prefix) netip.Addr {
	return advance(nodeRange.Masked().Addr(), 1)
}

// AllocatePublicAddress is the lowest free address that a cluster may get.
func AllocatePublicAddress(public netip.Prefix, taken []netip.Addr) (netip.Addr, error) {
	return lowest(public, clusterOffset, taken)
}

// AllocateAddresses are the n lowest free addresses of a subnet from an address
// on, or from its first on if that is not valid, and the address after them.
func AllocateAddresses(subnet netip.Prefix, from netip.Addr, taken map[netip.Addr]bool, n int) (found []netip.Addr, next netip.Addr, err error) {
	last, address := last(subnet), advance(subnet.Masked().Addr(), nodeOffset)
	if from.IsValid() {
		address = from
	}
	for ; len(found) < n && subnet.Contains(address) && address.Less(last); address = address.Next() {
		if !taken[address] {
			found = append(found, address)
		}
	}
	if len(found) < n {
		return nil, from, fmt.Errorf("allocating %d addresses of %s, %d are free: %w", n, subnet, len(found), ErrExhausted)
	}
	return found, address, nil
}

// PodGateway is the address that pods with addresses of a subnet have as their
// gateway on each node: one of those that Azure reserves, and nobody has.
func PodGateway(subnet netip.Prefix) netip.Addr {
	return advance(subnet.Masked().Addr(), podGatewayOffset)
}

// SubnetCapacity is how many addresses a subnet gives to machines and pods.
func SubnetCapacity(subnet netip.Prefix) int {
	return max(0, 1<<(32-subnet.Bits())-nodeOffset-1)
}

// AllocatePodRange is the lowest free pod range of a machine.
func AllocatePodRange(podRange netip.Prefix, taken []netip.Prefix) (netip.Prefix, error) {
	if podRange.Bits() <= MachinePodRangeBits {
		for candidate := netip.PrefixFrom(podRange.Masked().Addr(), MachinePodRangeBits); podRange.Contains(candidate.Addr()); candidate = after(candidate) {
			if _, used := firstOverlap(candidate, taken); !used {
				return candidate, nil
			}
		}
	}
	return netip.Prefix{}, fmt.Errorf("allocating a /%d of pod range %s, %d are taken: %w", MachinePodRangeBits, podRange, len(taken), ErrExhausted)
}

// PodRangeCapacity is how many machines a pod range has room for.
func PodRangeCapacity(podRange netip.Prefix) int {
	if podRange.Bits() > MachinePodRangeBits {
		return 0
	}
	return 1 << (MachinePodRangeBits - podRange.Bits())
}

// lowest is the lowest address of a range, from an offset on and without the
// last, that is not taken.
func lowest(within netip.Prefix, offset uint32, taken []netip.Addr) (netip.Addr, error) {
	used := make(map[netip.Addr]bool, len(taken))
	for _, address := range taken {
		used[address] = true
	}
	last := last(within)
	for address := advance(within.Masked().Addr(), offset); within.Contains(address) && address.Less(last); address = address.Next() {
		if !used[address] {
			return address, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("allocating an address of %s, %d are taken: %w", within, len(taken), ErrExhausted)
}

// firstOverlap finds the first of ranges that overlaps candidate.
func firstOverlap(candidate netip.Prefix, ranges []netip.Prefix) (netip.Prefix, bool) {
	for _, other := range ranges {
		if other.Overlaps(candidate) {
			return other, true
		}
	}
	return netip.Prefix{}, false
}

// after is the range of the same size that follows; the zero Prefix, which
// contains nothing, at the end of all addresses.
func after(p netip.Prefix) netip.Prefix {
	next := last(p).Next()
	if !next.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(next, p.Bits())
}

// last is the last address of a range.
func last(p netip.Prefix) netip.Addr {
	return advance(p.Masked().Addr(), 1<<(32-p.Bits())-1)
}

// advance is the IPv4 address n places further on.
func advance(address netip.Addr, n uint32) netip.Addr {
	b := address.As4()
	v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	v += n
	return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}
