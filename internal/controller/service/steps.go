package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/network"
)

// claim takes an address for every service that is to be served. One that asks for
// a certain address is held by the finalizer first; one that takes any is held with
// the write that tells it which: what it has is found and given back if it vanishes
// before.
func (c *Controller) claim(ctx context.Context, s *scope) error {
	var errs []error
	var asking []*balanced
	for _, b := range s.services {
		if !wanted(b.service) {
			continue
		}
		if b.refused != nil {
			c.config.Metrics.refused()
			errs = append(errs, c.tell(ctx, s, b.service, "LoadBalancerRefused", b.refused.Error()))
			continue
		}
		asking = append(asking, b)
	}
	errs = append(errs, c.each(asking, func(b *balanced) error {
		if b.wish.any() {
			b.missing = c.public(ctx, s, b)
			return nil
		}
		return client.IgnoreNotFound(c.hold(ctx, s, b))
	}))
	for _, b := range asking {
		if !b.wish.any() {
			if !held(b.service) {
				continue // it is gone, or the next look holds it
			}
			b.missing = c.address(ctx, s, b)
		}
		if b.missing != nil {
			errs = append(errs, c.unaddressed(ctx, s, b))
		}
	}
	return errors.Join(errs...)
}

// unaddressed tells a service why it has no address. The error is nil where
// nothing but time helps.
func (c *Controller) unaddressed(ctx context.Context, s *scope, b *balanced) error {
	b.address = netip.Addr{}
	c.config.Metrics.unaddressed()
	told := c.tell(ctx, s, b.service, "AllocationFailed", b.missing.Error())
	if errors.Is(b.missing, allocation.ErrUnavailable) || errors.Is(b.missing, network.ErrExhausted) {
		s.again = unavailableRetry // nobody tells when there is one to have
		return told
	}
	return errors.Join(told, b.missing)
}

// each does something to services, several at a time: every write of one waits
// for its API server's disk, and a cluster may bring hundreds at once.
func (c *Controller) each(services []*balanced, do func(*balanced) error) error {
	errs := make([]error, len(services))
	var group errgroup.Group
	group.SetLimit(max(1, c.config.Parallel))
	for i, b := range services {
		group.Go(func() error {
			errs[i] = do(b)
			return nil
		})
	}
	_ = group.Wait() // all errors are in errs
	return errors.Join(errs...)
}

// hold adds the finalizer.
func (c *Controller) hold(ctx context.Context, s *scope, b *balanced) error {
	changed := b.service.DeepCopy()
	if !controllerutil.AddFinalizer(changed, Finalizer) {
		return nil
	}
	patch := client.MergeFromWithOptions(b.service, client.MergeFromWithOptimisticLock{})
	if err := s.tenant.Client.Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("holding service %s: %w", key(b.service), err)
	}
	b.service = changed
	return nil
}

// program writes the frontends of all services that have an address, and drops all others.
func (c *Controller) program(ctx context.Context, s *scope) error {
	var frontends []networkv1.Frontend
	var errs []error
	slices.SortStableFunc(s.services, s.order) // who has an address keeps it before who asks for it
	for _, b := range s.services {
		next := networkv1.Frontend{}
		switch at := s.programmed(b.service); {
		case b.address.IsValid():
			next = s.frontend(b)
		case at != nil && wanted(b.service) && b.refused == nil:
			next = *at // its turn failed now: what is served stays
		default:
			continue
		}
		if other := clash(frontends, next); other != "" {
			b.address = netip.Addr{}
			errs = append(errs, c.tell(ctx, s, b.service, "AllocationFailed", "a port of it is that of service "+other+" on the same address "+next.Address))
			continue
		}
		frontends = append(frontends, next)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	slices.SortFunc(frontends, func(a, b networkv1.Frontend) int { return strings.Compare(a.Service, b.Service) })
	if equality.Semantic.DeepEqual(frontends, s.balancer.Spec.Frontends) {
		return nil
	}
	changed := s.balancer.DeepCopy()
	changed.Spec.Frontends = frontends
	if err := c.config.Client.Update(ctx, changed); err != nil {
		return fmt.Errorf("writing the frontends: %w", err)
	}
	s.found(changed)
	return nil
}

// order puts services whose balancer stands before those that wait for one.
func (s *scope) order(a, b *balanced) int {
	switch here, there := s.programmed(a.service) != nil, s.programmed(b.service) != nil; {
	case here && !there:
		return -1
	case there && !here:
		return 1
	}
	return strings.Compare(key(a.service), key(b.service))
}

// observed says that the host has programmed the balancer as it is written.
func (s *scope) observed() bool {
	return s.balancer.Status.ObservedGeneration >= s.balancer.Generation &&
		containerservicev1.ConditionTrue(s.balancer.Status.Conditions, containerservicev1.ConditionReady)
}

// serves says that the host has programmed an address for a service, be it with
// less than what was written since: of many services that are made in a row, none
// waits for the last.
func (s *scope) serves(service *corev1.Service, address netip.Addr) bool {
	return s.observed() || s.served[key(service)] == address.String()
}

// publish tells a service its address once the host has programmed it, and holds it
// by the same write: hundreds may come at once, and each write costs its API server
// as much as serving it. Until then the balancer's status wakes this controller.
func (c *Controller) publish(ctx context.Context, s *scope) error {
	return c.each(s.services, func(b *balanced) error {
		if at := s.programmed(b.service); !b.address.IsValid() || at == nil || at.Address != b.address.String() || !s.serves(b.service, b.address) {
			return nil
		}
		mode := corev1.LoadBalancerIPModeVIP
		ingress := []corev1.LoadBalancerIngress{{IP: b.address.String(), IPMode: &mode}}
		if equality.Semantic.DeepEqual(b.service.Status.LoadBalancer.Ingress, ingress) {
			return client.IgnoreNotFound(c.hold(ctx, s, b))
		}
		changed := b.service.DeepCopy()
		controllerutil.AddFinalizer(changed, Finalizer)
		changed.Status.LoadBalancer.Ingress = ingress
		patch := client.MergeFromWithOptions(b.service, client.MergeFromWithOptimisticLock{})
		if err := s.tenant.Client.Status().Patch(ctx, changed, patch); err != nil {
			return client.IgnoreNotFound(fmt.Errorf("telling service %s its address: %w", key(b.service), err))
		}
		b.service, b.told = changed, true
		return client.IgnoreNotFound(c.hold(ctx, s, b)) // an API server may take the status alone
	})
}

// announce writes an event for each service that was told its address, once no
// other waits to be told: an event costs the cluster's API server as much as an
// address does. An event that a killed process owed is never written.
func (c *Controller) announce(ctx context.Context, s *scope) error {
	waiting := false
	for _, b := range s.services {
		if b.told {
			c.unannounced.add(s.cluster.Name, b)
		}
		waiting = waiting || b.address.IsValid() && len(b.service.Status.LoadBalancer.Ingress) == 0
	}
	return c.each(c.unannounced.due(s.cluster.Name, waiting), func(b *balanced) error {
		return c.say(ctx, s, b.service, note{"EnsuredLoadBalancer", "the load balancer answers on " + b.address.String(), corev1.EventTypeNormal})
	})
}

// release lets go of services that are no longer to be served, once the host
// has dropped their frontends: the addresses back, the status empty, the finalizer
// last. Addresses of services that vanished without being let go (their
// finalizer is the tenant's to remove) are given back as well.
func (c *Controller) release(ctx context.Context, s *scope) error {
	if !s.observed() {
		return nil // the balancer's status wakes this controller
	}
	return errors.Join(c.giveBack(ctx, s), c.each(s.services, func(b *balanced) error {
		gone := !wanted(b.service) || b.refused != nil
		if !gone || !held(b.service) || s.programmed(b.service) != nil {
			return nil
		}
		return c.letGo(ctx, s, b)
	}))
}

// letGo empties a service's status and takes the finalizer off.
func (c *Controller) letGo(ctx context.Context, s *scope, b *balanced) error {
	last := b.service.DeletionTimestamp != nil && len(b.service.Finalizers) == 1 // its status goes with it
	changed := b.service.DeepCopy()
	if !last && len(changed.Status.LoadBalancer.Ingress) > 0 {
		changed.Status.LoadBalancer.Ingress = nil
		if err := s.tenant.Client.Status().Patch(ctx, changed, client.MergeFrom(b.service)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("writing the status of service %s: %w", key(b.service), err)
		}
		b.service = changed.DeepCopy()
	}
	controllerutil.RemoveFinalizer(changed, Finalizer)
	patch := client.MergeFromWithOptions(b.service, client.MergeFromWithOptimisticLock{})
	if err := s.tenant.Client.Patch(ctx, changed, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("letting go of service %s: %w", key(b.service), err)
	}
	return nil
}
