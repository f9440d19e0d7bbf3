package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

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
	if err := writeRouter(router, n); err != nil {
		return err
	}
	lo, err := router.loopback()
	if err != nil {
		return err
	}
	if err := router.ensureAddresses(lo, address{Addr: network.Gateway(n.NodeRange)}); err != nil {
		return err
	}
	// Below every address and pod range that is not attached lies a hole, or
	// traffic to it would follow the default route.
	if err := router.ensureBlackholes(edgeMetric, n.NodeRange, n.PodRange); err != nil {
		return err
	}
	if err := f.ensurePorts(router, n); err != nil {
		return err
	}
	if err := f.ensureUplink(ctx, edge, router, n); err != nil {
		return err
	}
	if !f.balanced.changed(n) {
		return nil
	}
	if err := forgetStale(router, n); err != nil {
		return err
	}
	f.balanced.remember(n)
	return nil
}

// ensureUplink attaches a router to the edge, which routes the network's
// public addresses to it.
func (f *Fabric) ensureUplink(ctx context.Context, edge, router *session, n network.Network) error {
	link := pair{near: edge, nearName: f.names.networkLink(n.ID), far: router, farName: uplink}
	inEdge, up, err := link.ensure()
	if err != nil {
		return err
	}
	if err := router.ensureAddresses(up, address{Addr: n.OutboundAddress}); err != nil {
		return err
	}
	if err := link.connect(ctx, inEdge, up); err != nil {
		return err
	}
	if err := router.ensureRoutes(up, route{to: defaultRoute(), via: nextHop()}); err != nil {
		return err
	}
	routes := []route{{to: netip.PrefixFrom(n.OutboundAddress, 32)}}
	seen := map[netip.Addr]bool{n.OutboundAddress: true}
	for _, frontend := range n.Frontends {
		if !seen[frontend.Address] {
			routes = append(routes, route{to: netip.PrefixFrom(frontend.Address, 32), via: n.OutboundAddress})
		}
		seen[frontend.Address] = true
	}
	return f.routeFromEdge(edge, inEdge, routes...)
}

// ensurePorts removes the links of ports that are no longer listed and mends
// the routes of those that are attached.
func (f *Fabric) ensurePorts(router *session, n network.Network) error {
	listed := map[string]network.Port{}
	for _, port := range n.Ports {
		listed[f.names.portLink(port.ID)] = port
	}
	if err := router.removeVeths(func(name string) bool {
		_, keep := listed[name]
		return strings.HasPrefix(name, portPrefix) && !keep
	}); err != nil {
		return err
	}
	links, err := router.links()
	if err != nil {
		return err
	}
	// A range may have moved from one port to another: first all let go.
	for _, onlyRemove := range []bool{true, false} {
		for _, link := range links {
			port, ok := listed[link.Attrs().Name]
			if !ok {
				continue
			}
			err := router.pruneRoutes(link, portRoutes(port)...)
			if err == nil && !onlyRemove {
				err = errors.Join(router.up(link), router.ensureRoutes(link, portRoutes(port)...))
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// portRoutes are what a router sends to a port, and so what it takes from it.
func portRoutes(port network.Port) []route {
	return []route{
		{to: netip.PrefixFrom(port.Address, 32)},
		{to: port.PodRange, via: port.Address},
	}
}

// DeleteNetwork implements network.Fabric.
func (f *Fabric) DeleteNetwork(ctx context.Context, id string) error {
	if err := errors.Join(f.check(ctx), network.ValidateID(id)); err != nil {
		return fmt.Errorf("deleting network %s: %w", id, err)
	}
	defer f.nouns.lock("network/" + id)()
	f.balanced.forget(id)
	if err := f.detach(f.names.networkLink(id), f.names.router(id)); err != nil {
		return fmt.Errorf("deleting network %s: %w", id, err)
	}
	return nil
}

// AttachPort implements network.Fabric.
func (f *Fabric) AttachPort(ctx context.Context, networkID string, port network.Port, namespace string) error {
	if err := errors.Join(f.check(ctx), network.ValidateID(networkID), port.Validate()); err != nil {
		return fmt.Errorf("attaching port %s: %w", port.ID, err)
	}
	defer f.nouns.lock("network/" + networkID)()
	if err := f.attachPort(ctx, networkID, port, namespace); err != nil {
		return fmt.Errorf("attaching port %s: %w", port.ID, err)
	}
	return nil
}

func (f *Fabric) attachPort(ctx context.Context, networkID string, port network.Port, namespace string) error {
	router, err := open(f.names.router(networkID))
	if err != nil {
		return err
	}
	defer router.close()
	gateway, err := router.gateway()
	if err != nil {
		return err
	}
	machine, err := open(namespace)
	if err != nil {
		return err
	}
	defer machine.close()
	link := pair{near: router, nearName: f.names.portLink(port.ID), far: machine, farName: machineLink, hardware: portHardware(port.ID)}
	near, eth0, err := link.ensure()
	if err != nil {
		return err
	}
	if err := machine.ensureAddresses(eth0, address{Addr: port.Address}); err != nil {
		return err
	}
	if err := link.connect(ctx, near, eth0); err != nil {
		return err
	}
	if err := router.ensureRoutes(near, portRoutes(port)...); err != nil {
		return err
	}
	return machine.ensureDefault(eth0, gateway)
}

// gateway is the address that a router has for its machines: the one of its
// loopback link.
func (s *session) gateway() (netip.Addr, error) {
	lo, err := s.loopback()
	if err != nil {
		return netip.Addr{}, err
	}
	own, err := s.addresses(lo)
	if err != nil {
		return netip.Addr{}, err
	}
	if len(own) != 1 {
		return netip.Addr{}, fmt.Errorf("namespace %s is not a whole router: %w", s.file.Name(), network.ErrNotFound)
	}
	return fromIP(own[0].IP), nil
}
