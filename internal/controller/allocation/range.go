package allocation

import (
	"context"
	"fmt"
	"net/netip"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
)

// Range is the range of public addresses that an owner has reserved, taken now
// from a host's range unless it has one. Each address is a claim of its own: the
// first one says where the range lies, so a kill in between loses nothing. If
// another takes one of the range meanwhile, the claims are given back and the
// next range is tried.
func (a Allocator) Range(ctx context.Context, hostName string, owner Owner, bits int) (netip.Prefix, error) {
	public, err := a.publicRange(ctx, hostName)
	if err != nil {
		return netip.Prefix{}, err
	}
	for {
		own, used, err := a.claimsOf(ctx, owner)
		if err != nil {
			return netip.Prefix{}, err
		}
		var within netip.Prefix
		if len(own) > 0 {
			within = netip.PrefixFrom(own[0], bits).Masked()
		} else if within, err = network.AllocatePublicRange(public, bits, used); err != nil {
			return netip.Prefix{}, fmt.Errorf("reserving public addresses, delete clusters, services or addresses: %w", err)
		}
		whole, err := a.claimAll(ctx, owner, within, own)
		if err != nil {
			return netip.Prefix{}, err
		}
		if whole {
			return within, nil
		}
		if err := a.ReleaseAddresses(ctx, owner); err != nil {
			return netip.Prefix{}, err
		}
	}
}

// claimsOf are the addresses that an owner has reserved, and all that are taken.
func (a Allocator) claimsOf(ctx context.Context, owner Owner) (own, used []netip.Addr, err error) {
	taken, err := a.addresses(ctx)
	if err != nil {
		return nil, nil, err
	}
	for _, claim := range taken {
		address, err := netip.ParseAddr(claim.Spec.Address)
		if err != nil {
			return nil, nil, fmt.Errorf("reading the claim %s: %w", claim.Name, err)
		}
		used = append(used, address)
		if claim.Spec.OwnerIncarnation == owner.Incarnation && claim.Spec.Purpose == networkv1.PurposeReserved {
			own = append(own, address)
		}
	}
	return own, used, nil
}

// claimAll claims the addresses of a range that are not the owner's yet, and
// says whether it has all of them.
func (a Allocator) claimAll(ctx context.Context, owner Owner, within netip.Prefix, own []netip.Addr) (bool, error) {
	has := map[netip.Addr]bool{}
	for _, address := range own {
		has[address] = true
	}
	for address := within.Addr(); within.Contains(address); address = address.Next() {
		if has[address] {
			continue
		}
		err := a.Client.Create(ctx, &networkv1.PublicIPAddress{
			ObjectMeta: metav1.ObjectMeta{Name: naming.PublicIPAddress(address)},
			Spec: networkv1.PublicIPAddressSpec{
				Address: address.String(), OwnerName: owner.Name, OwnerIncarnation: owner.Incarnation, Purpose: networkv1.PurposeReserved,
			},
		})
		if apierrors.IsAlreadyExists(err) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("claiming public address %s: %w", address, err)
		}
	}
	return true, nil
}
