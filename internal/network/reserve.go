package network

import (
	"fmt"
	"net/netip"
)

// AllocatePublicRange is the first range of a length, aligned to it, none of
// whose addresses is taken, out of those of a public range that clusters may get.
func AllocatePublicRange(public netip.Prefix, bits int, taken []netip.Addr) (netip.Prefix, error) {
	first := advance(public.Masked().Addr(), clusterOffset)
	for candidate := netip.PrefixFrom(public.Masked().Addr(), bits); public.Contains(candidate.Addr()); candidate = after(candidate) {
		// The last address of the public range stays free, as in a subnet.
		if !candidate.IsValid() || candidate.Addr().Less(first) || last(candidate) == last(public) {
			continue
		}
		free := true
		for _, address := range taken {
			free = free && !candidate.Contains(address)
		}
		if free {
			return candidate, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("allocating a /%d of %s, %d addresses are taken: %w", bits, public, len(taken), ErrExhausted)
}

// IsAssignable says whether a machine or pod may have an address of a subnet:
// it is none of the first four and the last, which the network keeps.
func IsAssignable(subnet netip.Prefix, address netip.Addr) bool {
	first := advance(subnet.Masked().Addr(), nodeOffset)
	return subnet.Contains(address) && !address.Less(first) && address.Less(last(subnet))
}
