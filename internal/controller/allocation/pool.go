package allocation

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"golang.org/x/sync/singleflight"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
)

// Pool is the public range of a host as it was read once, for a caller who
// takes many addresses. What others take meanwhile it finds in their way. Many
// goroutines may take addresses of it at a time; that no address is given twice is
// not the pool's doing but that of the API server, where each is one object.
type Pool struct {
	client client.Client
	prefix netip.Prefix
	// asking lets those who ask for the same claim at a time share one address.
	asking singleflight.Group

	mu      sync.Mutex
	claimed map[claim]netip.Addr
	// used are all addresses that are claimed, or are being claimed by one of the
	// pool's callers.
	used []netip.Addr
}

// claim is what an address is taken for.
type claim struct{ incarnation, purpose string }

// Pool reads the public range of a host.
func (a Allocator) Pool(ctx context.Context, hostName string) (*Pool, error) {
	taken, err := a.addresses(ctx)
	if err != nil {
		return nil, err
	}
	pool := &Pool{client: a.Client, claimed: map[claim]netip.Addr{}}
	for _, object := range taken {
		address, err := netip.ParseAddr(object.Spec.Address)
		if err != nil {
			return nil, fmt.Errorf("reading the claim %s: %w", object.Name, err)
		}
		of := claim{object.Spec.OwnerIncarnation, object.Spec.Purpose}
		if _, ok := pool.claimed[of]; !ok {
			pool.claimed[of] = address
		}
		pool.used = append(pool.used, address)
	}
	pool.prefix, err = a.publicRange(ctx, hostName)
	return pool, err
}

// Address is the public address that an owner has for a purpose, taken now
// unless it already has one.
func (p *Pool) Address(ctx context.Context, owner Owner, purpose string) (netip.Addr, error) {
	of := claim{owner.Incarnation, purpose}
	address, err, _ := p.asking.Do(of.incarnation+"/"+of.purpose, func() (any, error) {
		if address, ok := p.find(of); ok {
			return address, nil
		}
		return p.take(ctx, owner, of)
	})
	if err != nil {
		return netip.Addr{}, err
	}
	return address.(netip.Addr), nil
}

func (p *Pool) find(of claim) (netip.Addr, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	address, ok := p.claimed[of]
	return address, ok
}

// take claims the lowest free address.
func (p *Pool) take(ctx context.Context, owner Owner, of claim) (netip.Addr, error) {
	for {
		address, err := p.next()
		if err != nil {
			return netip.Addr{}, fmt.Errorf("claiming a public address, delete clusters or services that have one: %w", err)
		}
		err = p.client.Create(ctx, &networkv1.PublicIPAddress{
			ObjectMeta: metav1.ObjectMeta{Name: naming.PublicIPAddress(address)},
			Spec: networkv1.PublicIPAddressSpec{
				Address: address.String(), OwnerName: owner.Name, OwnerIncarnation: owner.Incarnation, Purpose: of.purpose,
			},
		})
		switch {
		case err == nil:
			p.mu.Lock()
			p.claimed[of] = address
			p.mu.Unlock()
			return address, nil
		case !apierrors.IsAlreadyExists(err): // otherwise another was faster, and it stays used
			p.free(address)
			return netip.Addr{}, fmt.Errorf("claiming public address %s: %w", address, err)
		}
	}
}

// next is the lowest free address, which counts as used from here on.
func (p *Pool) next() (netip.Addr, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	address, err := network.AllocatePublicAddress(p.prefix, p.used)
	if err == nil {
		p.used = append(p.used, address)
	}
	return address, err
}

// free lets the next caller try an address whose claim failed.
func (p *Pool) free(address netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used = slices.DeleteFunc(p.used, func(used netip.Addr) bool { return used == address })
}
