package managedcluster

import (
	"context"
	"fmt"
	"net/netip"

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
	if !s.outbound.IsValid() {
		s.outbound, err = p.allocator.Address(ctx, naming.LocalHost, s.owner(), allocation.PurposeOutbound)
		if err != nil {
			return reconcile.Result{}, err
		}
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
	switch err := p.config.Client.Get(ctx, key, vnet); {
	case err == nil:
		s.network = vnet
		if s.outbound, err = netip.ParseAddr(vnet.Spec.OutboundAddress); err != nil {
			return fmt.Errorf("reading the outbound address: %w", err)
		}
	case client.IgnoreNotFound(err) != nil:
		return fmt.Errorf("reading the virtual network: %w", err)
	}
	return nil
}
