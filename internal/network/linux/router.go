package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"berth.dev/berth/internal/network"
)

// EnsureNetwork implements network.Fabric. The packet filter is written before
// the router has a way to anywhere.
func (f *Fabric) EnsureNetwork(ctx context.Context, desired network.Network) error {
	if err := errors.Join(f.check(ctx), desired.Validate()); err != nil {
		return fmt.Errorf("ensuring network %s: %w", desired.ID, err)
	}
	defer f.nouns.lock("network/" + desired.ID)()
	if err := f.ensureNetwork(ctx, desired); err != nil {
		return fmt.Errorf("ensuring network %s: %w", desired.ID, err)
	}
	return nil
}

func (f *Fabric) ensureNetwork(ctx context.Context, n network.Network) error {
	edge, err := f.openEdge()
	if err != nil {
		return err
	}
	defer edge.close()
	if err := ensureNamespace(f.names.router(n.ID), routingSettings()); err != nil {
		return err
	}
	router, err := open(f.names.router(n.ID))
	if err != nil {
		return err
	}
	defer router.close()
	// The tables of user-defined routes are there before anything is led to them,
	// and again once all links are.
	if err := f.ensureUserRoutes(router, n); err != nil {
		return err
	}
	if err := f.ensureFilter(router, n); err != nil {
		return err
	}
	if err := f.ensureInside(router, n); err != nil {
		return err
	}
	if err := f.balance(router, n); err != nil {
		return err
	}
	if err := f.ensureUplink(ctx, edge, router, n); err != nil {
		return err
	}
	if err := f.ensureUserRoutes(router, n); err != nil {
		return err
	}
	generation, err := router.generation()
	if err != nil {
		return err
	}
	f.programmed.remember(n, generation)
	return nil
}

// ensureFilter writes the packet filter, unless it is as it was written.
func (f *Fabric) ensureFilter(router *session, n network.Network) error {
	generation, err := router.generation()
	if err != nil {
		return err
	}
	if f.programmed.current(n, generation) {
		return nil
	}
	return f.writeRouter(router, n)
}

// ensureInside gives a router its gateways, the holes below what is not
// attached, and the routes to what is.
func (f *Fabric) ensureInside(router *session, n network.Network) error {
	lo, err := router.loopback()
	if err != nil {
		return err
	}
	var gateways []address
	for _, gateway := range n.Gateways() {
		gateways = append(gateways, address{Addr: gateway})
	}
	if err := router.ensureAddresses(lo, gateways...); err != nil {
		return err
	}
	// Below every address and pod range that is not attached lies a hole, or
	// traffic to it would follow the default route.
	if err := router.ensureBlackholes(edgeMetric, n.Space()...); err != nil {
		return err
	}
	return f.ensurePorts(router, n)
}

// ensureUplink attaches a router to the edge, which routes the network's
// public addresses to it. The first of them is the router's own; the others it
// only translates.
func (f *Fabric) ensureUplink(ctx context.Context, edge, router *session, n network.Network) error {
	link := pair{near: edge, nearName: f.names.networkLink(n.ID), far: router, farName: uplink}
	inEdge, up, err := link.ensure()
	if err != nil {
		return err
	}
	public := n.PublicAddresses()
	// A network that is used has its address on the link from now on; one that is
	// not keeps none, and the routes go before the address does.
	if len(public) > 0 {
		if err := router.ensureAddresses(up, address{Addr: public[0]}); err != nil {
			return err
		}
	}
	if err := link.connect(ctx, inEdge, up); err != nil {
		return err
	}
	if err := router.ensureRoutes(up, route{to: defaultRoute(), via: nextHop()}); err != nil {
		return err
	}
	var routes []route
	for i, address := range public {
		r := route{to: netip.PrefixFrom(address, 32)}
		if i > 0 {
			r.via = public[0]
		}
		routes = append(routes, r)
	}
	if err := f.routeFromEdge(edge, inEdge, routes...); err != nil || len(public) > 0 {
		return err
	}
	return router.ensureAddresses(up)
}

// DeleteNetwork implements network.Fabric.
func (f *Fabric) DeleteNetwork(ctx context.Context, id string) error {
	if err := errors.Join(f.check(ctx), network.ValidateID(id)); err != nil {
		return fmt.Errorf("deleting network %s: %w", id, err)
	}
	defer f.nouns.lock("network/" + id)()
	f.balanced.forget(id)
	f.programmed.forget(id)
	if err := f.forgetHealth(id); err != nil {
		return fmt.Errorf("deleting network %s: %w", id, err)
	}
	if err := f.detach(f.names.networkLink(id), f.names.router(id)); err != nil {
		return fmt.Errorf("deleting network %s: %w", id, err)
	}
	return nil
}

// gatewayOf is the address that a router has for a machine. Subnets are
// disjoint and begin with their gateway, so it is the last one before the machine's.
func (s *session) gatewayOf(machine netip.Addr) (netip.Addr, error) {
	lo, err := s.loopback()
	if err != nil {
		return netip.Addr{}, err
	}
	own, err := s.addresses(lo)
	if err != nil {
		return netip.Addr{}, err
	}
	var gateways []netip.Addr
	for _, a := range own {
		if gateway := fromIP(a.IP); gateway.Less(machine) {
			gateways = append(gateways, gateway)
		}
	}
	if len(gateways) == 0 {
		return netip.Addr{}, fmt.Errorf("namespace %s has no subnet for %s (yet): %w", s.file.Name(), machine, network.ErrNotFound)
	}
	return slices.MaxFunc(gateways, netip.Addr.Compare), nil
}
