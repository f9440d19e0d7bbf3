package allocation

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/network"
)

// TestManyWhoTakeAddressesAtATimeGetEachAnother lets two clusters, each with a pool of
// its own as it was before the other took anything, take addresses for many
// services at a time, each service twice.
func TestManyWhoTakeAddressesAtATimeGetEachAnother(t *testing.T) {
	const services = 40
	ctx := t.Context()
	c := newClient(t, "198.18.0.0/20")
	a := Allocator{Client: c, Reader: c}
	var mu sync.Mutex
	got := map[netip.Addr]string{} // to the one who has it
	var group errgroup.Group
	for _, owner := range []Owner{one(), two()} {
		pool, err := a.Pool(ctx, "local")
		if err != nil {
			t.Fatal(err)
		}
		for i := range 2 * services {
			group.Go(func() error {
				purpose := ServicePurpose(fmt.Sprintf("default/web-%d", i%services))
				address, err := pool.Address(ctx, owner, purpose)
				if err != nil {
					return err
				}
				mu.Lock()
				defer mu.Unlock()
				who := owner.Incarnation + " " + purpose
				if other := got[address]; other != "" && other != who {
					return fmt.Errorf("%s was given to %s and to %s", address, other, who)
				}
				got[address] = who
				return nil
			})
		}
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	var claims networkv1.PublicIPAddressList
	if err := c.List(ctx, &claims); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2*services || len(claims.Items) != 2*services {
		t.Fatalf("%d services have %d addresses, and %d are claimed", 2*services, len(got), len(claims.Items))
	}
	for _, claim := range claims.Items {
		if who := claim.Spec.OwnerIncarnation + " " + claim.Spec.Purpose; got[netip.MustParseAddr(claim.Spec.Address)] != who {
			t.Errorf("%s is claimed for %s, and was given to %q", claim.Spec.Address, who, got[netip.MustParseAddr(claim.Spec.Address)])
		}
	}
	if err := a.ReleaseServices(ctx, one(), func(networkv1.PublicIPAddressSpec) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if err := c.List(ctx, &claims); err != nil || len(claims.Items) != services {
		t.Fatalf("%d claims are left, %v", len(claims.Items), err)
	}
}

func TestAnAddressWhoseClaimFailedIsFreeForTheNext(t *testing.T) {
	ctx := t.Context()
	refused := errors.New("the server is away")
	failing := true
	c := interceptor.NewClient(newClient(t, "198.18.0.0/27"), interceptor.Funcs{
		Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
			if failing {
				return refused
			}
			return c.Create(ctx, o, opts...)
		},
	})
	pool, err := (Allocator{Client: c, Reader: c}).Pool(ctx, "local")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * 16 { // more often than there are addresses
		if _, err := pool.Address(ctx, one(), ServicePurpose("default/web")); !errors.Is(err, refused) || errors.Is(err, network.ErrExhausted) {
			t.Fatal(err)
		}
	}
	failing = false
	if address, err := pool.Address(ctx, one(), ServicePurpose("default/web")); err != nil || address.String() != "198.18.0.16" {
		t.Fatal(address, err)
	}
}
