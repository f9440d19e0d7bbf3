package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/controller/allocation"
)

// joinAction is what an identity must be allowed to do with a public address to
// put it on a balancer.
const joinAction = "Microsoft.Network/publicIPAddresses/join/action"

// userAnnotation on an AddressReservation is the incarnation of the cluster
// whose balancer has it: of two clusters that ask for one address, one gets it.
const userAnnotation = "network.berth.dev/balancer"

// Permissions says what the identities of clusters may do.
type Permissions interface {
	// Allows says whether a principal may do an action on a scope.
	Allows(ctx context.Context, principalID, action, scope string) (bool, error)
}

// public gives a service that asks for no certain address one of the pool. It is
// called for many services at a time.
func (c *Controller) public(ctx context.Context, s *scope, b *balanced) (err error) {
	if at := s.programmed(b.service); at != nil && s.claimed[at.Address] {
		b.address, err = netip.ParseAddr(at.Address)
		return err
	}
	pool, err := s.pool()
	if err != nil {
		return err
	}
	b.address, err = pool.Address(ctx, s.owner, purpose(b.service))
	return err
}

// address gives a service the internal address, or the public one of its
// owner's, that it asks for. Those are entries of objects that services share,
// so one follows the other.
func (c *Controller) address(ctx context.Context, s *scope, b *balanced) error {
	at := s.programmed(b.service)
	switch {
	case b.wish.static():
		return c.static(ctx, s, b)
	case at != nil && s.keeps(b.wish, at):
		address, err := netip.ParseAddr(at.Address)
		b.address, b.subnet = address, at.Subnet
		return err
	}
	address, subnet, err := c.allocator.EnsureInternal(ctx, s.balancer.Spec.VirtualNetworkName, allocation.Internal{
		ClusterIncarnation: s.owner.Incarnation, Service: key(b.service), Subnet: b.wish.subnet, Address: b.wish.address,
	})
	b.address, b.subnet = address, subnet
	return err
}

// keeps says that the internal address which a service has is what it asks for.
func (s *scope) keeps(w wish, at *networkv1.Frontend) bool {
	return at.Internal && s.inside[at.Address] && (w.subnet == "" || strings.EqualFold(w.subnet, at.Subnet)) &&
		(!w.address.IsValid() || w.address.String() == at.Address)
}

// static finds the publicIPAddress that a service names, or whose address it
// asks for, and marks it as this cluster's before it is used.
func (c *Controller) static(ctx context.Context, s *scope, b *balanced) error {
	var reservations networkv1.AddressReservationList
	if err := c.config.Reader.List(ctx, &reservations); err != nil {
		return fmt.Errorf("listing public addresses: %w", err)
	}
	reservation := s.find(reservations.Items, b.wish)
	if reservation != nil {
		allowed, err := c.mayJoin(ctx, s, reservation.Spec.ResourceID)
		if err != nil {
			return err
		}
		if !allowed {
			reservation = nil // who may not use it is not told that it is there
		}
	}
	if reservation == nil {
		return s.notFound(b.wish)
	}
	prefix, err := netip.ParsePrefix(reservation.Status.Range)
	if err != nil {
		return fmt.Errorf("%w: the publicIPAddress %s has none yet", allocation.ErrUnavailable, reservation.Spec.ResourceID)
	}
	if b.wish.address.IsValid() && prefix.Addr() != b.wish.address {
		return fmt.Errorf("%w: the publicIPAddress %s has the address %s, and %s is asked for", allocation.ErrUnavailable, reservation.Spec.ResourceID, prefix.Addr(), b.wish.address)
	}
	if err := c.take(ctx, s, reservation); err != nil {
		return err
	}
	b.address = prefix.Addr()
	return nil
}

// find is the publicIPAddress of the cluster's subscription that a service asks for.
func (s *scope) find(all []networkv1.AddressReservation, w wish) *networkv1.AddressReservation {
	for i := range all {
		id, err := arm.ParseResourceID(all[i].Spec.ResourceID)
		if err != nil || all[i].Spec.Bits != 32 || all[i].DeletionTimestamp != nil || !strings.EqualFold(id.SubscriptionID, s.cluster.Spec.SubscriptionID) {
			continue
		}
		if w.reservation == "" {
			if all[i].Status.Range == w.address.String()+"/32" && (w.group == "" || strings.EqualFold(id.ResourceGroup, w.group)) {
				return &all[i]
			}
			continue
		}
		group := w.group
		if group == "" {
			group = s.cluster.Spec.NodeResourceGroup
		}
		if strings.EqualFold(id.Name(), w.reservation) && strings.EqualFold(id.ResourceGroup, group) {
			return &all[i]
		}
	}
	return nil
}

// notFound tells how to get what was asked for.
func (s *scope) notFound(w wish) error {
	if w.reservation != "" {
		return fmt.Errorf("%w: the cluster's identity finds no publicIPAddress %s in the resource group %s. Make it with az network public-ip create, name its group in the annotation %s, and give the identity the role Network Contributor there",
			allocation.ErrUnavailable, w.reservation, orElse(w.group, s.cluster.Spec.NodeResourceGroup), annotationGroup)
	}
	return fmt.Errorf("%w: the cluster's identity finds no publicIPAddress with the address %s. Make one with az network public-ip create, ask for its address, and give the identity the role Network Contributor on its resource group",
		allocation.ErrUnavailable, w.address)
}

func orElse(text, other string) string {
	if text == "" {
		return other
	}
	return text
}

// mayJoin says whether the cluster's identity may use a public address. What
// lies in its node resource group is its own.
func (c *Controller) mayJoin(ctx context.Context, s *scope, id string) (bool, error) {
	parsed, err := arm.ParseResourceID(id)
	if err != nil {
		return false, fmt.Errorf("reading the id of a public address: %w", err)
	}
	if strings.EqualFold(parsed.ResourceGroup, s.cluster.Spec.NodeResourceGroup) {
		return true, nil
	}
	for _, principal := range []string{s.cluster.Spec.IdentityPrincipalID, s.cluster.Spec.UserAssignedPrincipalID} {
		if principal == "" {
			continue
		}
		if allowed, err := c.config.Permissions.Allows(ctx, principal, joinAction, id); err != nil || allowed {
			return allowed, err
		}
	}
	return false, nil
}

// take marks a public address as this cluster's, under its resourceVersion.
func (c *Controller) take(ctx context.Context, s *scope, reservation *networkv1.AddressReservation) error {
	user := reservation.Annotations[userAnnotation]
	if user == s.owner.Incarnation {
		return nil
	}
	if user != "" {
		err := c.config.Reader.Get(ctx, client.ObjectKey{Name: user}, &networkv1.LoadBalancer{})
		if err == nil {
			return fmt.Errorf("%w: the publicIPAddress %s is in use by another cluster", allocation.ErrUnavailable, reservation.Spec.ResourceID)
		}
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("looking for the user of %s: %w", reservation.Spec.ResourceID, err)
		}
	}
	if err := c.notOutbound(ctx, s, reservation); err != nil {
		return err
	}
	changed := reservation.DeepCopy()
	if changed.Annotations == nil {
		changed.Annotations = map[string]string{}
	}
	changed.Annotations[userAnnotation] = s.owner.Incarnation
	if err := c.config.Client.Update(ctx, changed); err != nil {
		return fmt.Errorf("taking the publicIPAddress %s: %w", reservation.Spec.ResourceID, err)
	}
	return nil
}

// notOutbound refuses the address that another cluster leaves with.
func (c *Controller) notOutbound(ctx context.Context, s *scope, reservation *networkv1.AddressReservation) error {
	var networks networkv1.VirtualNetworkList
	if err := c.config.Reader.List(ctx, &networks); err != nil {
		return fmt.Errorf("listing the virtual networks: %w", err)
	}
	for i := range networks.Items {
		for _, outbound := range networks.Items[i].Spec.Current().Outbounds {
			for _, address := range outbound.Addresses {
				if address+"/32" == reservation.Status.Range && outbound.ClusterIncarnation != s.owner.Incarnation {
					return fmt.Errorf("%w: the publicIPAddress %s is what another cluster leaves with", allocation.ErrUnavailable, reservation.Spec.ResourceID)
				}
			}
		}
	}
	return nil
}

// giveBack lets go of all addresses that no service of the cluster has any more.
func (c *Controller) giveBack(ctx context.Context, s *scope) error {
	used, waiting := map[string]bool{}, map[string]bool{}
	for _, frontend := range s.balancer.Spec.Frontends {
		used[frontend.Address] = true
	}
	for _, b := range s.services {
		if wanted(b.service) && b.refused == nil && !b.address.IsValid() {
			waiting[key(b.service)] = true // its turn failed; what it claimed before may be what it gets
		}
	}
	errs := []error{c.allocator.ReleaseServices(ctx, s.owner, func(claim networkv1.PublicIPAddressSpec) bool {
		return used[claim.Address] || waiting[strings.TrimPrefix(claim.Purpose, allocation.ServicePurpose(""))]
	})}
	if len(s.inside) > 0 {
		errs = append(errs, c.allocator.ReleaseInternal(ctx, s.balancer.Spec.VirtualNetworkName, s.owner.Incarnation, func(entry networkv1.InternalAddress) bool {
			return used[entry.Address] || waiting[entry.Service]
		}))
	}
	return errors.Join(append(errs, c.untake(ctx, s, used, len(waiting) > 0))...)
}

// untake takes the mark off the public addresses that are no longer used.
func (c *Controller) untake(ctx context.Context, s *scope, used map[string]bool, waiting bool) error {
	if waiting {
		return nil
	}
	var reservations networkv1.AddressReservationList
	if err := c.config.Client.List(ctx, &reservations); err != nil {
		return fmt.Errorf("listing public addresses: %w", err)
	}
	var errs []error
	for i := range reservations.Items {
		reservation := &reservations.Items[i]
		if reservation.Annotations[userAnnotation] != s.owner.Incarnation || used[strings.TrimSuffix(reservation.Status.Range, "/32")] {
			continue
		}
		changed := reservation.DeepCopy()
		delete(changed.Annotations, userAnnotation)
		if err := c.config.Client.Update(ctx, changed); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("letting go of the publicIPAddress %s: %w", reservation.Spec.ResourceID, err))
		}
	}
	return errors.Join(errs...)
}

// readClaims reads which addresses of the pool, and of its network, this
// cluster's services have.
func (c *Controller) readClaims(ctx context.Context, s *scope) error {
	var claims networkv1.PublicIPAddressList
	if err := c.config.Client.List(ctx, &claims); err != nil {
		return fmt.Errorf("listing public addresses: %w", err)
	}
	s.claimed = map[string]bool{}
	for _, claim := range claims.Items {
		if claim.Spec.OwnerIncarnation == s.owner.Incarnation && strings.HasPrefix(claim.Spec.Purpose, allocation.ServicePurpose("")) {
			s.claimed[claim.Spec.Address] = true
		}
	}
	vnet := &networkv1.VirtualNetwork{}
	err := c.config.Client.Get(ctx, client.ObjectKey{Name: s.balancer.Spec.VirtualNetworkName}, vnet)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading the virtual network: %w", err)
	}
	s.inside = map[string]bool{}
	for _, entry := range vnet.Spec.InternalAddresses {
		if entry.ClusterIncarnation == s.owner.Incarnation {
			s.inside[entry.Address] = true
		}
	}
	return nil
}
