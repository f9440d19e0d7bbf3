// Package network reconciles what callers make of networks over ARM: it takes
// the public addresses that are reserved, and lets what is deleted go once
// nothing refers to it and the roles that were given on it are gone. Routers are
// the host agent's business.
package network

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/controller/grant"
)

// again is how soon a deletion that something stands in the way of is looked at.
const again = 2 * time.Second

// Controller reconciles the kinds that stand for resources of Microsoft.Network.
type Controller struct {
	client    client.Client
	reader    client.Reader
	clock     clock.PassiveClock
	revoker   grant.Revoker
	allocator allocation.Allocator
}

// NewController makes the controller; reader reads the API server itself.
func NewController(c client.Client, reader client.Reader, clock clock.PassiveClock) *Controller {
	return &Controller{
		client: c, reader: reader, clock: clock,
		revoker: grant.Revoker{Client: c, Reader: reader}, allocator: allocation.Allocator{Client: c, Reader: reader},
	}
}

// Register adds a controller a kind to a manager. Each has one worker: addresses
// out of one prefix are given out one after the other.
func (c *Controller) Register(manager ctrl.Manager) error {
	for name, empty := range map[string]func() v1alpha1.Object{
		"virtualnetwork":       func() v1alpha1.Object { return &v1alpha1.VirtualNetwork{} },
		"networksecuritygroup": func() v1alpha1.Object { return &v1alpha1.NetworkSecurityGroup{} },
		"routetable":           func() v1alpha1.Object { return &v1alpha1.RouteTable{} },
		"addressreservation":   func() v1alpha1.Object { return &v1alpha1.AddressReservation{} },
	} {
		err := ctrl.NewControllerManagedBy(manager).
			Named("network-" + name).
			For(empty()).
			WithOptions(controller.Options{
				MaxConcurrentReconciles: 1,
				RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
			}).
			Complete(reconcile.Func(func(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
				return c.Reconcile(ctx, request.Name, empty())
			}))
		if err != nil {
			return fmt.Errorf("adding the controller of kind %s: %w", name, err)
		}
	}
	return nil
}

// Reconcile brings one object, of the kind of o, to where it shall be.
func (c *Controller) Reconcile(ctx context.Context, name string, o v1alpha1.Object) (reconcile.Result, error) {
	if err := c.client.Get(ctx, client.ObjectKey{Name: name}, o); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	o = o.DeepCopyObject().(v1alpha1.Object) //nolint:errcheck,forcetypeassert // a copy has the type of what it is of
	if o.GetDeletionTimestamp() != nil {
		return c.finalize(ctx, o)
	}
	if reservation, is := o.(*v1alpha1.AddressReservation); is {
		return c.reserve(ctx, reservation)
	}
	return reconcile.Result{}, nil
}

// finalize lets an object go that nothing refers to any more.
func (c *Controller) finalize(ctx context.Context, o v1alpha1.Object) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(o, v1alpha1.ResourceFinalizer) {
		return reconcile.Result{}, nil
	}
	used, err := c.used(ctx, o)
	if err != nil {
		return reconcile.Result{}, err
	}
	if used {
		return reconcile.Result{RequeueAfter: again}, nil
	}
	if reservation, is := o.(*v1alpha1.AddressReservation); is {
		if err := c.allocator.ReleaseAddresses(ctx, owner(reservation)); err != nil {
			return reconcile.Result{}, err
		}
	}
	if id := o.Common().ResourceID; id != "" {
		if err := c.revoker.Revoke(ctx, id); err != nil {
			return reconcile.Result{}, err
		}
	}
	controllerutil.RemoveFinalizer(o, v1alpha1.ResourceFinalizer)
	if err := c.client.Update(ctx, o); client.IgnoreNotFound(err) != nil {
		return conflict.Retry(reconcile.Result{}, fmt.Errorf("removing the finalizer: %w", err))
	}
	return reconcile.Result{}, nil
}

// used says whether something came to refer to an object while it was being
// deleted: the front end refuses to delete what is in use, and to use what is
// being deleted, but two requests at once may each miss the other.
func (c *Controller) used(ctx context.Context, o v1alpha1.Object) (bool, error) {
	if network, is := o.(*v1alpha1.VirtualNetwork); is {
		return len(network.Spec.Ports) > 0, nil
	}
	var networks v1alpha1.VirtualNetworkList
	if err := c.reader.List(ctx, &networks); err != nil {
		return false, fmt.Errorf("listing virtual networks: %w", err)
	}
	if reservation, is := o.(*v1alpha1.AddressReservation); is {
		return c.addressUsed(ctx, reservation, networks.Items)
	}
	for i := range networks.Items {
		if networks.Items[i].DeletionTimestamp != nil {
			continue
		}
		for _, subnet := range networks.Items[i].Spec.Subnets {
			if name := o.GetName(); strings.EqualFold(subnet.NetworkSecurityGroupName, name) || strings.EqualFold(subnet.RouteTableName, name) {
				return true, nil
			}
		}
	}
	return false, nil
}
