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
	if e.Announce != "" && e.PublicRange.Bits() < largestAnnouncedBits {
		errs = append(errs, fmt.Errorf("public range %s is too large to be announced on link %s: /%d is the largest", e.PublicRange, e.Announce, largestAnnouncedBits))
	}
	return errors.Join(errs...)
}

// largestAnnouncedBits bounds the addresses that a host answers for one by one.
const largestAnnouncedBits = 20

// Validate says what no driver could make of an endpoint.
func (e Endpoint) Validate() error {
	if err := ValidateID(e.ID); err != nil {
		return err
	}
	if !e.Address.Is4() {
		return fmt.Errorf("address %q of endpoint %s is not an IPv4 address", e.Address, e.ID)
	}
	for _, p := range e.Authorized {
		if !canonical(p) {
			return fmt.Errorf("authorized range %q of endpoint %s is not a canonical IPv4 range", p, e.ID)
		}
	}
	return nil
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
