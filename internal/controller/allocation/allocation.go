// Package allocation gives out what exists only once: public addresses, id
// ranges, and the places of machines in a virtual network. A claim is an object
// of the management API, or an entry of one, so it is taken by being written:
// of two who take the same, one write fails. Claims are read from the API server
// itself, never from a cache, and asking again for a claim that one already has
// returns it. So a kill after any line leaks nothing and takes nothing twice.
package allocation

import (
	"context"
	"fmt"
	"net/netip"
	"strings"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	hostv1 "berth.dev/berth/api/host/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/network"
)

// The purposes of public addresses of a cluster.
const (
	PurposeAPIServer = "apiserver"
	PurposeOutbound  = "outbound"
)

const (
	// firstID and idRangeLength lay out the id ranges: number n starts at
	// firstID + n*idRangeLength, all below 2^31.
	firstID       = 0x10000000
	idRangeLength = 65536
	idRanges      = (0x80000000 - firstID) / idRangeLength
)

// releasesAtOnce is how many addresses are given back at a time: each waits for
// the API server's disk, and a cluster may have hundreds.
const releasesAtOnce = 8

// servicePrefix starts the purpose of every service's address.
const servicePrefix = "service/"

// Owner is who holds a claim.
type Owner struct {
	// Name is the object's name, Incarnation tells it from its former selves.
	Name, Incarnation string
}

// Allocator takes and releases claims.
type Allocator struct {
	// Client writes; Reader reads the API server itself.
	Client client.Client
	Reader client.Reader
}

// ReleaseOutbound gives back the addresses of an owner's outbound traffic but
// the first keep.
func (a Allocator) ReleaseOutbound(ctx context.Context, owner Owner, keep int) error {
	kept := map[string]bool{}
	for n := range keep {
		kept[networkv1.PurposeOutbound(n)] = true
	}
	return a.releaseAddresses(ctx, func(spec networkv1.PublicIPAddressSpec) bool {
		purpose := spec.Purpose
		return spec.OwnerIncarnation == owner.Incarnation && !kept[purpose] &&
			(purpose == PurposeOutbound || strings.HasPrefix(purpose, PurposeOutbound+"/"))
	})
}

// ServicePurpose is the purpose of the address of a Kubernetes service, named
// namespace/name.
func ServicePurpose(service string) string { return servicePrefix + service }

// Address is the public address that an owner has for a purpose, taken from a
// host's range now unless it already has one.
func (a Allocator) Address(ctx context.Context, hostName string, owner Owner, purpose string) (netip.Addr, error) {
	pool, err := a.Pool(ctx, hostName)
	if err != nil {
		return netip.Addr{}, err
	}
	return pool.Address(ctx, owner, purpose)
}

// ReleaseAddress gives back the address that an owner has for a purpose.
func (a Allocator) ReleaseAddress(ctx context.Context, owner Owner, purpose string) error {
	return a.releaseAddresses(ctx, func(spec networkv1.PublicIPAddressSpec) bool {
		return spec.OwnerIncarnation == owner.Incarnation && spec.Purpose == purpose
	})
}

// ReleaseAddresses gives back all addresses of an owner.
func (a Allocator) ReleaseAddresses(ctx context.Context, owner Owner) error {
	return a.releaseAddresses(ctx, func(spec networkv1.PublicIPAddressSpec) bool {
		return spec.OwnerIncarnation == owner.Incarnation
	})
}

// ReleaseServices gives back the addresses of an owner's services but those that
// keep says.
func (a Allocator) ReleaseServices(ctx context.Context, owner Owner, keep func(claim networkv1.PublicIPAddressSpec) bool) error {
	return a.releaseAddresses(ctx, func(spec networkv1.PublicIPAddressSpec) bool {
		return spec.OwnerIncarnation == owner.Incarnation && strings.HasPrefix(spec.Purpose, servicePrefix) && !keep(spec)
	})
}

func (a Allocator) releaseAddresses(ctx context.Context, match func(networkv1.PublicIPAddressSpec) bool) error {
	taken, err := a.addresses(ctx)
	if err != nil {
		return err
	}
	var group errgroup.Group
	group.SetLimit(releasesAtOnce)
	for i := range taken {
		if !match(taken[i].Spec) {
			continue
		}
		group.Go(func() error {
			if err := a.Client.Delete(ctx, &taken[i], exactly(&taken[i])); client.IgnoreNotFound(err) != nil {
				return fmt.Errorf("releasing public address %s: %w", taken[i].Spec.Address, err)
			}
			return nil
		})
	}
	return group.Wait()
}

// IDRange is the first id of the range that an owner has, taken now unless it
// already has one.
func (a Allocator) IDRange(ctx context.Context, owner Owner) (start int64, err error) {
	taken, err := a.idRanges(ctx)
	if err != nil {
		return 0, err
	}
	used := map[int64]bool{}
	for _, claim := range taken {
		if claim.Spec.OwnerIncarnation == owner.Incarnation {
			return claim.Spec.Start, nil
		}
		used[claim.Spec.Start] = true
	}
	for n := range int64(idRanges) {
		start := firstID + n*idRangeLength
		if used[start] {
			continue
		}
		err := a.Client.Create(ctx, &hostv1.IDRange{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("idrange-%d", n)},
			Spec:       hostv1.IDRangeSpec{Start: start, OwnerName: owner.Name, OwnerIncarnation: owner.Incarnation},
		})
		if err == nil {
			return start, nil
		}
		if !apierrors.IsAlreadyExists(err) {
			return 0, fmt.Errorf("claiming id range %d: %w", n, err)
		}
	}
	return 0, fmt.Errorf("no id range is free: delete clusters or nodes: %w", network.ErrExhausted)
}

// ReleaseIDRange gives back the range of an owner.
func (a Allocator) ReleaseIDRange(ctx context.Context, owner Owner) error {
	taken, err := a.idRanges(ctx)
	if err != nil {
		return err
	}
	for i := range taken {
		if taken[i].Spec.OwnerIncarnation != owner.Incarnation {
			continue
		}
		if err := a.Client.Delete(ctx, &taken[i], exactly(&taken[i])); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("releasing id range %s: %w", taken[i].Name, err)
		}
	}
	return nil
}

func (a Allocator) addresses(ctx context.Context) ([]networkv1.PublicIPAddress, error) {
	var list networkv1.PublicIPAddressList
	if err := a.Reader.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("listing public addresses: %w", err)
	}
	return list.Items, nil
}

func (a Allocator) idRanges(ctx context.Context) ([]hostv1.IDRange, error) {
	var list hostv1.IDRangeList
	if err := a.Reader.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("listing id ranges: %w", err)
	}
	return list.Items, nil
}

// publicRange is the pool of a host's edge.
func (a Allocator) publicRange(ctx context.Context, hostName string) (netip.Prefix, error) {
	var host hostv1.Host
	if err := a.Reader.Get(ctx, client.ObjectKey{Name: hostName}, &host); err != nil {
		return netip.Prefix{}, fmt.Errorf("reading host %s: %w", hostName, err)
	}
	prefix, err := netip.ParsePrefix(host.Spec.PublicRange)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("reading the public range of host %s: %w", hostName, err)
	}
	return prefix.Masked(), nil
}

// exactly makes a deletion hit the very claim that was read: the same name may
// have been released and taken by another meanwhile.
func exactly(object client.Object) client.DeleteOption {
	uid := object.GetUID()
	return client.Preconditions{UID: &uid}
}
