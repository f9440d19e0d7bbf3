package network

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
)

const (
	// conditionReady is true if the range of the status is reserved.
	conditionReady = "Ready"
	// reasonExhausted says that there is no room for the range.
	reasonExhausted = "PublicIPCountLimitReached"
	// wholeAddress is the length of a range that is one address.
	wholeAddress = 32
	// exhaustedRetry is how soon a range that found no room is tried again.
	exhaustedRetry = 15 * time.Second
)

func owner(r *v1alpha1.AddressReservation) allocation.Owner {
	return allocation.Owner{Name: r.Name, Incarnation: r.Spec.Incarnation}
}

// reserve takes the range of a reservation and says which one it is. Once it
// has one, it keeps it.
func (c *Controller) reserve(ctx context.Context, r *v1alpha1.AddressReservation) (reconcile.Result, error) {
	if r.Status.Range != "" && r.Status.ObservedGeneration == r.Generation && apimeta.IsStatusConditionTrue(r.Status.Conditions, conditionReady) {
		return reconcile.Result{}, nil
	}
	within, err := c.rangeOf(ctx, r)
	if err != nil && !errors.Is(err, network.ErrExhausted) {
		return reconcile.Result{}, err
	}
	outcome, result := condition.True("reserved"), reconcile.Result{}
	original := r.DeepCopy()
	if err == nil {
		r.Status.Range = within.String()
	} else {
		outcome, result = condition.Outcome{Reason: reasonExhausted, Message: err.Error()}, reconcile.Result{RequeueAfter: exhaustedRetry}
	}
	r.Status.ObservedGeneration = r.Generation
	condition.Stamp{Generation: r.Generation, Time: c.clock.Now()}.Set(&r.Status.Conditions, conditionReady, outcome)
	if err := c.client.Status().Patch(ctx, r, client.MergeFrom(original)); client.IgnoreNotFound(err) != nil {
		return conflict.Retry(reconcile.Result{}, fmt.Errorf("writing the status: %w", err))
	}
	return result, nil
}

// rangeOf is the range of a reservation, taken now unless it has one.
func (c *Controller) rangeOf(ctx context.Context, r *v1alpha1.AddressReservation) (netip.Prefix, error) {
	if r.Spec.PrefixName == "" {
		return c.allocator.Range(ctx, naming.LocalHost, owner(r), int(r.Spec.Bits))
	}
	if within, err := netip.ParsePrefix(r.Status.Range); err == nil {
		return within, nil
	}
	var prefix v1alpha1.AddressReservation
	if err := c.reader.Get(ctx, client.ObjectKey{Name: r.Spec.PrefixName}, &prefix); err != nil {
		return netip.Prefix{}, fmt.Errorf("reading the prefix %s: %w", r.Spec.PrefixName, err)
	}
	whole, err := netip.ParsePrefix(prefix.Status.Range)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("the prefix %s has no range yet: %w", prefix.Spec.ResourceID, err)
	}
	var all v1alpha1.AddressReservationList
	if err := c.reader.List(ctx, &all); err != nil {
		return netip.Prefix{}, fmt.Errorf("listing reservations: %w", err)
	}
	taken := map[string]bool{}
	for _, other := range all.Items {
		if other.Spec.PrefixName == r.Spec.PrefixName && other.Name != r.Name {
			taken[other.Status.Range] = true
		}
	}
	for address := whole.Addr(); whole.Contains(address); address = address.Next() {
		if one := netip.PrefixFrom(address, wholeAddress); !taken[one.String()] {
			return one, nil
		}
	}
	return netip.Prefix{}, fmt.Errorf("all addresses of the prefix %s are taken: %w", prefix.Spec.ResourceID, network.ErrExhausted)
}

// addressUsed says whether a balancer, a way out or another reservation has
// something of a reservation.
func (c *Controller) addressUsed(ctx context.Context, r *v1alpha1.AddressReservation, networks []v1alpha1.VirtualNetwork) (bool, error) {
	var all v1alpha1.AddressReservationList
	var balancers v1alpha1.LoadBalancerList
	if err := errors.Join(c.reader.List(ctx, &all), c.reader.List(ctx, &balancers)); err != nil {
		return false, fmt.Errorf("listing who uses public addresses: %w", err)
	}
	for _, other := range all.Items {
		if other.Spec.PrefixName == r.Name {
			return true, nil
		}
	}
	within, err := netip.ParsePrefix(r.Status.Range)
	if err != nil {
		return false, nil //nolint:nilerr // nothing is reserved, so nothing is used
	}
	holds := func(text string) bool {
		address, err := netip.ParseAddr(text)
		return err == nil && within.Contains(address)
	}
	for _, balancer := range balancers.Items {
		for _, frontend := range balancer.Spec.Frontends {
			if holds(frontend.Address) {
				return true, nil
			}
		}
	}
	for i := range networks {
		for _, outbound := range networks[i].Spec.Current().Outbounds {
			for _, address := range outbound.Addresses {
				if holds(address) {
					return true, nil
				}
			}
		}
	}
	return false, nil
}
