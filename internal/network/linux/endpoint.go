package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"berth.dev/berth/internal/network"
)

// EnsureEndpoint implements network.Fabric.
func (f *Fabric) EnsureEndpoint(ctx context.Context, endpoint network.Endpoint) (string, error) {
	if err := errors.Join(f.check(ctx), endpoint.Validate()); err != nil {
		return "", fmt.Errorf("ensuring endpoint %s: %w", endpoint.ID, err)
	}
	defer f.nouns.lock("endpoint/" + endpoint.ID)()
	if err := f.ensureEndpoint(ctx, endpoint); err != nil {
		return "", fmt.Errorf("ensuring endpoint %s: %w", endpoint.ID, err)
	}
	return f.names.endpoint(endpoint.ID), nil
}

func (f *Fabric) ensureEndpoint(ctx context.Context, endpoint network.Endpoint) error {
	edge, err := f.openEdge()
	if err != nil {
		return err
	}
	defer edge.close()
	if err := ensureNamespace(f.names.endpoint(endpoint.ID), withoutIPv6()); err != nil {
		return err
	}
	inside, err := open(f.names.endpoint(endpoint.ID))
	if err != nil {
		return err
	}
	defer inside.close()
	if _, err := inside.loopback(); err != nil {
		return err
	}
	link := pair{near: edge, nearName: f.names.endpointLink(endpoint.ID), far: inside, farName: machineLink}
	inEdge, eth0, err := link.ensure()
	if err != nil {
		return err
	}
	if err := inside.ensureAddresses(eth0, address{Addr: endpoint.Address}); err != nil {
		return err
	}
	if err := authorize(edge, inside, endpoint); err != nil {
		return err
	}
	if err := link.connect(ctx, inEdge, eth0); err != nil {
		return err
	}
	if err := inside.ensureRoutes(eth0, route{to: defaultRoute(), via: nextHop()}); err != nil {
		return err
	}
	return f.routeFromEdge(edge, inEdge, route{to: netip.PrefixFrom(endpoint.Address, 32)})
}

// DeleteEndpoint implements network.Fabric.
func (f *Fabric) DeleteEndpoint(ctx context.Context, id string) error {
	if err := errors.Join(f.check(ctx), network.ValidateID(id)); err != nil {
		return fmt.Errorf("deleting endpoint %s: %w", id, err)
	}
	defer f.nouns.lock("endpoint/" + id)()
	if err := f.detach(f.names.endpointLink(id), f.names.endpoint(id)); err != nil {
		return fmt.Errorf("deleting endpoint %s: %w", id, err)
	}
	return nil
}

// detach takes a namespace from the edge and removes it. The link goes first,
// and its routes with it, so that the address is free when this returns.
func (f *Fabric) detach(link, namespace string) error {
	edge, err := f.openEdge()
	if err == nil {
		defer edge.close()
		err = edge.removeLink(link)
	}
	if err != nil && !errors.Is(err, network.ErrNotFound) {
		return err
	}
	return removeNamespace(namespace)
}
