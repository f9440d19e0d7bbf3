package network

import (
	"fmt"
	"net/netip"
)

// The sizes that ranges of a cluster may have, as prefix lengths.
const (
	// largestServiceBits bounds a service range, as the API server does.
	largestServiceBits  = 12
	smallestServiceBits = 28
	// largestRangeBits bounds what a network routes.
	largestRangeBits = 8
	// smallestNodeBits leaves room for three nodes, Azure's smallest subnet.
	smallestNodeBits = 29
)

// ParseRange reads an IPv4 range and refuses one with bits set beyond its
// prefix length.
func ParseRange(text string) (netip.Prefix, error) {
	parsed, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is not a range in CIDR notation, such as 10.244.0.0/16", text)
	}
	if !parsed.Addr().Is4() {
		return netip.Prefix{}, fmt.Errorf("%q is not an IPv4 range", text)
	}
	if parsed != parsed.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set beyond its prefix length; the range is %s", text, parsed.Masked())
	}
	return parsed, nil
}

// ReservedRanges are the ranges that AKS forbids to clusters.
func ReservedRanges() []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{169, 254, 0, 0}), 16),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 30, 0, 0}), 16),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{172, 31, 0, 0}), 16),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{192, 0, 2, 0}), 24),
	}
}

// unusableRanges are ranges that no host routes as ordinary addresses.
func unusableRanges() []netip.Prefix {
	return []netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{0, 0, 0, 0}), 8),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{127, 0, 0, 0}), 8),
		netip.PrefixFrom(netip.AddrFrom4([4]byte{224, 0, 0, 0}), 3),
	}
}

// CheckReserved refuses a range of a cluster that overlaps a reserved one, or
// the public range, in which the cluster's own API server lies.
func CheckReserved(candidate, public netip.Prefix) error {
	if reserved, overlaps := firstOverlap(candidate, ReservedRanges()); overlaps {
		return fmt.Errorf("%s overlaps %s, which is reserved", candidate, reserved)
	}
	if unusable, overlaps := firstOverlap(candidate, unusableRanges()); overlaps {
		return fmt.Errorf("%s overlaps %s, which cannot be used for hosts", candidate, unusable)
	}
	if public.IsValid() && public.Overlaps(candidate) {
		return fmt.Errorf("%s overlaps %s, the range of the public addresses", candidate, public)
	}
	return nil
}

// CheckNodeRange refuses a subnet of nodes of the wrong size.
func CheckNodeRange(nodeRange netip.Prefix) error {
	return checkBits(nodeRange, largestRangeBits, smallestNodeBits)
}

// CheckPodRange refuses a pod range without room for the pods of one node.
func CheckPodRange(podRange netip.Prefix) error {
	return checkBits(podRange, largestRangeBits, MachinePodRangeBits)
}

// CheckServiceRange refuses a service range of the wrong size.
func CheckServiceRange(serviceRange netip.Prefix) error {
	return checkBits(serviceRange, largestServiceBits, smallestServiceBits)
}

// CheckDNSServiceAddress refuses a DNS address that is not a free one of the
// service range; its first address is the kubernetes service's.
func CheckDNSServiceAddress(address netip.Addr, serviceRange netip.Prefix) error {
	switch {
	case !serviceRange.Contains(address):
		return fmt.Errorf("%s is not in the service range %s", address, serviceRange)
	case address == serviceRange.Masked().Addr() || address == last(serviceRange):
		return fmt.Errorf("%s is the first or the last address of the service range %s", address, serviceRange)
	case address == Gateway(serviceRange):
		return fmt.Errorf("%s is the address of the kubernetes service itself", address)
	}
	return nil
}

func checkBits(candidate netip.Prefix, largest, smallest int) error {
	if candidate.Bits() < largest {
		return fmt.Errorf("%s is too large; the largest is /%d", candidate, largest)
	}
	if candidate.Bits() > smallest {
		return fmt.Errorf("%s is too small; the smallest is /%d", candidate, smallest)
	}
	return nil
}
