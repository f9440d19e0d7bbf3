package linux

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/vishvananda/netlink"

	"berth.dev/berth/internal/network"
)

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
	attached := map[string]netlink.Link{}
	for _, link := range links {
		if _, ok := listed[link.Attrs().Name]; ok {
			attached[link.Attrs().Name] = link
		}
	}
	if err := f.sourceChecks(router, n, attached); err != nil {
		return err
	}
	// An address may have moved from one port to another: first all let go.
	routes, err := router.routes()
	if err != nil {
		return err
	}
	missing := map[string][]route{}
	for name, link := range attached {
		present, err := router.keepOf(routes, link, portRoutes(listed[name]))
		if err != nil {
			return err
		}
		for _, r := range portRoutes(listed[name]) {
			if !present[r.to] {
				missing[name] = append(missing[name], r)
			}
		}
	}
	for name, link := range attached {
		if err := errors.Join(router.up(link), router.addRoutes(link, missing[name])); err != nil {
			return err
		}
	}
	return nil
}

// applianceAddress is what a link to an appliance has: without an address, the
// kernel checks sources strictly whatever the link is set to.
func applianceAddress() netip.Addr { return netip.AddrFrom4([4]byte{169, 254, 1, 2}) }

// sourceChecks lets appliances send what is not from themselves, as long as it
// is from somewhere that the router knows, and nobody else. The strict check is
// that of all links; a link can only be laxer.
func (f *Fabric) sourceChecks(router *session, n network.Network, attached map[string]netlink.Link) error {
	const strict, loose = "1", "2"
	appliances := n.Appliances()
	all, err := router.addresses(nil)
	if err != nil {
		return err
	}
	hasAddress := map[int]bool{}
	for _, a := range all {
		hasAddress[a.LinkIndex] = true
	}
	var settings []setting
	for _, port := range n.Ports {
		name := f.names.portLink(port.ID)
		if attached[name] == nil {
			continue
		}
		value := strict
		var own []address
		if appliances[port.ID] {
			value, own = loose, []address{{Addr: applianceAddress(), linkScope: true}}
		}
		if len(own) > 0 || hasAddress[attached[name].Attrs().Index] {
			if err := router.ensureAddresses(attached[name], own...); err != nil {
				return err
			}
		}
		settings = append(settings, setting{name: "ipv4/conf/" + name + "/rp_filter", value: value, optional: true})
	}
	return inNamespace(router.file, func() error { return apply(settings) })
}

// portRoutes are what a router sends to a port, and so what it takes from it.
func portRoutes(port network.Port) []route {
	routes := []route{{to: netip.PrefixFrom(port.Address, 32)}}
	if port.PodRange.IsValid() {
		routes = append(routes, route{to: port.PodRange, via: port.Address})
	}
	for _, pod := range port.PodAddresses {
		routes = append(routes, route{to: netip.PrefixFrom(pod, 32), via: port.Address})
	}
	return routes
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
	gateway, err := router.gatewayOf(port.Address)
	if err != nil {
		return err
	}
	machine, err := open(namespace)
	if err != nil {
		return err
	}
	defer machine.close()
	// Its process may have ended since the path was found, and its number be another's.
	if isHost, err := machine.is(f.host); err != nil {
		return err
	} else if isHost {
		return fmt.Errorf("namespace %s is the host's and no machine's: %w", namespace, network.ErrNotFound)
	}
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
	if err := machine.ensureDefault(eth0, gateway); err != nil {
		return err
	}
	return f.leadTo(router, networkID, near)
}

// leadTo leads the user-defined routes of a network that name a machine to the
// link that it has got now.
func (f *Fabric) leadTo(router *session, networkID string, near netlink.Link) error {
	n, known := f.programmed.desired(networkID)
	if !known || len(n.Appliances()) == 0 {
		return nil // whoever knows more is about to ensure the network
	}
	return errors.Join(
		f.sourceChecks(router, n, map[string]netlink.Link{near.Attrs().Name: near}),
		f.ensureUserRoutes(router, n),
	)
}
