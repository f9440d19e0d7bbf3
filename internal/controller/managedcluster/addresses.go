package managedcluster

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/naming"
)

// addresses takes what exists only once: the public addresses of the API server
// and of outbound traffic, and the ids of the components. Once the objects
// that use them exist, those are the record.
type addresses struct {
	config    Config
	allocator allocation.Allocator
}

func (p *addresses) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if err := p.find(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	if s.givesUp() {
		return reconcile.Result{}, nil // what was claimed and not used yet is kept, and found by the next
	}
	var err error
	if !s.apiServer.IsValid() {
		s.apiServer, err = p.allocator.Address(ctx, naming.LocalHost, s.owner(), allocation.PurposeAPIServer)
		if err != nil {
			return reconcile.Result{}, err
		}
	}
	if s.outbound, err = p.outbound(ctx, s); err != nil {
		return reconcile.Result{}, err
	}
	if s.userID == 0 {
		s.userID, err = p.allocator.IDRange(ctx, s.owner())
	}
	return reconcile.Result{}, err
}

// find takes over what the control plane and the network were made with.
func (p *addresses) find(ctx context.Context, s *scope) error {
	key := client.ObjectKey{Name: s.incarnation()}
	plane := &v1alpha1.ControlPlane{}
	var reader client.Reader = p.config.Client
	if s.cluster.Operation(meta.ScopeCluster) != nil { // what a cache has of a former operation must not end this one
		reader = p.config.Reader
	}
	switch err := reader.Get(ctx, key, plane); {
	case err == nil:
		s.controlPlane = plane
		if s.apiServer, err = netip.ParseAddr(plane.Spec.Address); err != nil {
			return fmt.Errorf("reading the control plane's address: %w", err)
		}
		s.userID = plane.Spec.UserID
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("reading the control plane: %w", err)
	}
	vnet := &networkv1.VirtualNetwork{}
	switch err := p.config.Client.Get(ctx, client.ObjectKey{Name: s.networkName()}, vnet); {
	case err == nil:
		s.network = vnet
		if recorded := outboundOf(vnet, s.incarnation()); recorded != nil {
			s.outbound = recorded.Addresses
		}
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("reading the virtual network: %w", err)
	}
	return nil
}

// outboundOf is a cluster's entry in its virtual network, nil if there is none.
func outboundOf(vnet *networkv1.VirtualNetwork, incarnation string) *networkv1.Outbound {
	outbounds := vnet.Spec.Current().Outbounds
	for i := range outbounds {
		if outbounds[i].ClusterIncarnation == incarnation {
			return &outbounds[i]
		}
	}
	return nil
}

// outbound are the public addresses that traffic is to leave with. What the
// network was given is the record of them, until an operation may ask for others.
func (p *addresses) outbound(ctx context.Context, s *scope) ([]string, error) {
	profile := s.cluster.Spec.Outbound
	if len(s.outbound) > 0 && s.cluster.Operation(meta.ScopeCluster) == nil {
		return s.outbound, nil
	}
	var addresses []string
	for n := range profile.Managed() {
		address, err := p.allocator.Address(ctx, naming.LocalHost, s.owner(), networkv1.PurposeOutbound(n))
		if err != nil {
			return s.outbound, err
		}
		addresses = append(addresses, address.String())
	}
	for _, id := range append(slices.Clone(profile.PublicIPIDs), profile.PublicIPPrefixIDs...) {
		reserved, err := p.reserved(ctx, id)
		if err != nil {
			return s.outbound, err
		}
		addresses = append(addresses, reserved...)
	}
	return addresses, nil
}

// reserved are the addresses of a public address or prefix that a caller made.
func (p *addresses) reserved(ctx context.Context, id string) ([]string, error) {
	reservation := &networkv1.AddressReservation{}
	if err := p.config.Client.Get(ctx, client.ObjectKey{Name: naming.Object(id)}, reservation); err != nil {
		return nil, fmt.Errorf("reading the public addresses %s that the cluster is to leave with: %w", id, err)
	}
	prefix, err := netip.ParsePrefix(reservation.Status.Range)
	if err != nil {
		return nil, fmt.Errorf("the public addresses %s are not reserved yet", id)
	}
	var addresses []string
	for address := prefix.Masked().Addr(); prefix.Contains(address); address = address.Next() {
		addresses = append(addresses, address.String())
	}
	return addresses, nil
}
