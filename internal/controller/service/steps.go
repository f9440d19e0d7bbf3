package service

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/naming"
)

// claim holds every service that is to be served by the finalizer, and then
// takes a public address for it.
func (c *Controller) claim(ctx context.Context, s *scope) error {
	var errs []error
	for _, b := range s.services {
		if !wanted(b.service) {
			continue
		}
		if why := refusal(b.service); why != "" {
			errs = append(errs, c.tell(ctx, s, b.service, "LoadBalancerRefused", why))
			continue
		}
		if err := c.hold(ctx, s, b); err != nil {
			errs = append(errs, client.IgnoreNotFound(err))
			continue
		}
		address, err := c.address(ctx, s, b.service)
		if err != nil {
			errs = append(errs, err, c.tell(ctx, s, b.service, "AllocationFailed", err.Error()))
			continue
		}
		b.address = address
	}
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

// address is the one that the balancer already has for a service, or a claimed one.
func (c *Controller) address(ctx context.Context, s *scope, service *corev1.Service) (netip.Addr, error) {
	for _, frontend := range s.balancer.Spec.Frontends {
		if frontend.Service == key(service) {
			return netip.ParseAddr(frontend.Address)
		}
	}
	return c.allocator.Address(ctx, naming.LocalHost, s.owner, purpose(service))
}

// program writes the frontends of all services that have an address, and drops all others.
func (c *Controller) program(ctx context.Context, s *scope) error {
	var frontends []networkv1.Frontend
	for _, b := range s.services {
		if b.address.IsValid() {
			frontends = append(frontends, s.frontend(b))
		} else if at := s.programmed(b.service); at != nil && wanted(b.service) && refusal(b.service) == "" {
			frontends = append(frontends, *at) // its turn failed now: what is served stays
		}
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
	s.balancer = changed
	return nil
}

// programmed is the frontend that the balancer's spec has for a service.
func (s *scope) programmed(service *corev1.Service) *networkv1.Frontend {
	for i := range s.balancer.Spec.Frontends {
		if s.balancer.Spec.Frontends[i].Service == key(service) {
			return &s.balancer.Spec.Frontends[i]
		}
	}
	return nil
}

// observed says that the host has programmed the balancer as it is written.
func (s *scope) observed() bool {
	return s.balancer.Status.ObservedGeneration >= s.balancer.Generation &&
		containerservicev1.ConditionTrue(s.balancer.Status.Conditions, containerservicev1.ConditionReady)
}

// publish tells a service its address once the host has programmed it.
func (c *Controller) publish(ctx context.Context, s *scope) error {
	if !s.observed() {
		return nil // the balancer's status wakes this controller
	}
	var errs []error
	for _, b := range s.services {
		if at := s.programmed(b.service); !b.address.IsValid() || at == nil || at.Address != b.address.String() {
			continue
		}
		mode := corev1.LoadBalancerIPModeVIP
		errs = append(errs, c.writeStatus(ctx, s, b, []corev1.LoadBalancerIngress{{IP: b.address.String(), IPMode: &mode}}))
	}
	return errors.Join(errs...)
}

func (c *Controller) writeStatus(ctx context.Context, s *scope, b *balanced, ingress []corev1.LoadBalancerIngress) error {
	if equality.Semantic.DeepEqual(b.service.Status.LoadBalancer.Ingress, ingress) {
		return nil
	}
	changed := b.service.DeepCopy()
	changed.Status.LoadBalancer.Ingress = ingress
	if err := s.tenant.Client.Status().Patch(ctx, changed, client.MergeFrom(b.service)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status of service %s: %w", key(b.service), err)
	}
	b.service = changed
	return nil
}

// release lets go of services that are no longer to be served, once the host
// has dropped their frontends: the address back, the status empty, the finalizer
// last. Addresses of services that vanished without being let go (their
// finalizer is the tenant's to remove) are given back as well.
func (c *Controller) release(ctx context.Context, s *scope) error {
	if !s.observed() {
		return nil // the balancer's status wakes this controller
	}
	purposes := map[string]bool{}
	for _, b := range s.services {
		purposes[purpose(b.service)] = true
	}
	for _, frontend := range s.balancer.Spec.Frontends {
		purposes[allocation.ServicePurpose(frontend.Service)] = true
	}
	errs := []error{c.allocator.ReleaseServices(ctx, s.owner, func(p string) bool { return purposes[p] })}
	for _, b := range s.services {
		gone := !wanted(b.service) || refusal(b.service) != ""
		if !gone || !slices.Contains(b.service.Finalizers, Finalizer) || s.programmed(b.service) != nil {
			continue
		}
		errs = append(errs, c.letGo(ctx, s, b))
	}
	return errors.Join(errs...)
}

func (c *Controller) letGo(ctx context.Context, s *scope, b *balanced) error {
	if err := c.allocator.ReleaseAddress(ctx, s.owner, purpose(b.service)); err != nil {
		return err
	}
	if err := c.writeStatus(ctx, s, b, nil); err != nil {
		return err
	}
	changed := b.service.DeepCopy()
	controllerutil.RemoveFinalizer(changed, Finalizer)
	patch := client.MergeFromWithOptions(b.service, client.MergeFromWithOptimisticLock{})
	if err := s.tenant.Client.Patch(ctx, changed, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("letting go of service %s: %w", key(b.service), err)
	}
	return nil
}

// tell writes a warning into the tenant, once for each thing there is to say.
func (c *Controller) tell(ctx context.Context, s *scope, service *corev1.Service, reason, message string) error {
	sum := sha256.Sum256([]byte(reason + message + string(service.UID)))
	now := metav1.NewTime(s.now)
	err := s.tenant.Client.Create(ctx, &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: service.Namespace, Name: service.Name + "." + hex.EncodeToString(sum[:6]),
		},
		InvolvedObject: corev1.ObjectReference{
			Kind: "Service", APIVersion: "v1", Namespace: service.Namespace, Name: service.Name, UID: service.UID,
		},
		Type: corev1.EventTypeWarning, Reason: reason, Message: message,
		Source:         corev1.EventSource{Component: "berth"},
		FirstTimestamp: now, LastTimestamp: now, Count: 1,
	})
	if err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("telling service %s: %w", key(service), err)
	}
	return nil
}
