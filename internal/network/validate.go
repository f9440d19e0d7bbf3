package network

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
)

// Validate says what no driver could make of an edge.
func (e Edge) Validate() error {
	var errs []error
	if !e.PublicRange.IsValid() || !e.PublicRange.Addr().Is4() || e.PublicRange != e.PublicRange.Masked() {
		return fmt.Errorf("public range %q is not a canonical IPv4 range", e.PublicRange)
	}
	seen := map[netip.Addr]bool{e.PublicRange.Addr(): true}
	for _, address := range append([]netip.Addr{e.HostAddress}, e.ServiceAddresses...) {
		if !e.PublicRange.Contains(address) {
			errs = append(errs, fmt.Errorf("address %s is not in the public range %s", address, e.PublicRange))
		}
		if seen[address] {
			errs = append(errs, fmt.Errorf("address %s is used twice; the first of a public range is the edge's own", address))
		}
		seen[address] = true
	}
	return errors.Join(errs...)
}

// Validate says what no driver could make of an endpoint.
func (e Endpoint) Validate() error {
	if err := ValidateID(e.ID); err != nil {
		return err
	}
	if !e.Address.Is4() {
		return fmt.Errorf("address %q of endpoint %s is not an IPv4 address", e.Address, e.ID)
	}
	return nil
}

// Validate says what no driver could make of a network.
func (n Network) Validate() error {
	errs := []error{ValidateID(n.ID)}
	if !n.NodeRange.IsValid() || !n.NodeRange.Addr().Is4() || n.NodeRange != n.NodeRange.Masked() {
		errs = append(errs, fmt.Errorf("node range %q is not a canonical IPv4 range", n.NodeRange))
	}
	if !n.PodRange.IsValid() || !n.PodRange.Addr().Is4() || n.PodRange != n.PodRange.Masked() {
		errs = append(errs, fmt.Errorf("pod range %q is not a canonical IPv4 range", n.PodRange))
	}
	if !n.OutboundAddress.Is4() {
		errs = append(errs, fmt.Errorf("outbound address %q is not an IPv4 address", n.OutboundAddress))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if n.NodeRange.Overlaps(n.PodRange) {
		errs = append(errs, fmt.Errorf("node range %s overlaps pod range %s", n.NodeRange, n.PodRange))
	}
	if n.NodeRange.Contains(n.OutboundAddress) || n.PodRange.Contains(n.OutboundAddress) {
		errs = append(errs, fmt.Errorf("outbound address %s lies in a private range", n.OutboundAddress))
	}
	errs = append(errs, n.validatePorts(), n.validateFrontends())
	return errors.Join(errs...)
}

// Validate says what no driver could make of a port, whatever its network.
func (p Port) Validate() error {
	if err := ValidateID(p.ID); err != nil {
		return err
	}
	if !p.Address.Is4() || !p.PodRange.IsValid() || p.PodRange != p.PodRange.Masked() || !p.PodRange.Addr().Is4() {
		return fmt.Errorf("port %s needs an IPv4 address and a canonical IPv4 pod range, has %q and %q", p.ID, p.Address, p.PodRange)
	}
	return nil
}

func (n Network) validatePorts() error {
	var errs []error
	ids, addresses := map[string]bool{}, map[netip.Addr]bool{Gateway(n.NodeRange): true}
	var ranges []netip.Prefix
	for _, port := range n.Ports {
		if err := port.Validate(); err != nil {
			errs = append(errs, err)
			continue
		}
		if ids[port.ID] || addresses[port.Address] || !n.NodeRange.Contains(port.Address) {
			errs = append(errs, fmt.Errorf("port %s: its id or address %s is used twice, is the gateway's, or is not in %s", port.ID, port.Address, n.NodeRange))
		}
		if _, used := firstOverlap(port.PodRange, ranges); used || !contains(n.PodRange, port.PodRange) {
			errs = append(errs, fmt.Errorf("port %s: its pod range %s is used twice or is not in %s", port.ID, port.PodRange, n.PodRange))
		}
		ids[port.ID], addresses[port.Address], ranges = true, true, append(ranges, port.PodRange)
	}
	return errors.Join(errs...)
}

func (n Network) validateFrontends() error {
	var errs []error
	type key struct {
		address  netip.Addr
		protocol string
		port     uint16
	}
	seen := map[key]bool{}
	for _, frontend := range n.Frontends {
		if !frontend.Address.Is4() || n.NodeRange.Contains(frontend.Address) || n.PodRange.Contains(frontend.Address) {
			errs = append(errs, fmt.Errorf("frontend address %q is not a public IPv4 address", frontend.Address))
		}
		for _, rule := range frontend.Rules {
			k := key{frontend.Address, rule.Protocol, rule.Port}
			if seen[k] || rule.Port == 0 || rule.NodePort == 0 || rule.Protocol != "TCP" && rule.Protocol != "UDP" {
				errs = append(errs, fmt.Errorf("frontend %s: rule %s %d to node port %d is a duplicate or not TCP or UDP with two ports",
					frontend.Address, rule.Protocol, rule.Port, rule.NodePort))
			}
			seen[k] = true
		}
	}
	return errors.Join(errs...)
}

// Rotation is the frontend's backends that are ports of the network, each
// once: traffic never goes to an address that is not a machine's.
func (n Network) Rotation(frontend Frontend) []netip.Addr {
	ports := map[netip.Addr]bool{}
	for _, port := range n.Ports {
		ports[port.Address] = true
	}
	var rotation []netip.Addr
	for _, backend := range frontend.Backends {
		if ports[backend] {
			rotation = append(rotation, backend)
			delete(ports, backend)
		}
	}
	return rotation
}

// ValidateID accepts an incarnation: what fits in the name of a link behind one letter.
func ValidateID(id string) error {
	if !regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,13}$`).MatchString(id) {
		return fmt.Errorf("id %q is not 1 to 14 letters, digits and dashes", id)
	}
	return nil
}

func contains(outer, inner netip.Prefix) bool {
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}
