package containerservice

import (
	"fmt"
	"net/netip"
	"slices"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/network"
)

// maxAuthorizedRanges is how many ranges AKS takes.
const maxAuthorizedRanges = 200

// convertAuthorized takes the ranges that reach the API server over; an empty
// list opens it to all again. A single address is a range of one, as AKS shows it.
func convertAuthorized(d *draft, sent *[]string) {
	if sent == nil {
		return
	}
	const path = "properties.apiServerAccessProfile.authorizedIPRanges"
	if len(*sent) > maxAuthorizedRanges {
		d.fields.Invalid(d.body.Path(path), "There are %d authorized ranges; %d are the most.", len(*sent), maxAuthorizedRanges)
		return
	}
	var ranges []string
	for i, text := range *sent {
		canonical := text
		if address, err := netip.ParseAddr(text); err == nil && address.Is4() {
			canonical = netip.PrefixFrom(address, address.BitLen()).String()
		}
		parsed, err := network.ParseRange(canonical)
		if err != nil {
			d.fields.Invalid(d.body.Path(fmt.Sprintf("%s[%d]", path, i)), "The authorized range is not usable: %s.", err)
			continue
		}
		if !slices.Contains(ranges, parsed.String()) {
			ranges = append(ranges, parsed.String())
		}
	}
	d.next.Spec.AuthorizedIPRanges = ranges
}

// apiServerBody is what a caller said of the access to the API server.
func apiServerBody(c *containerservicev1alpha1.ManagedCluster) object {
	body := object{}
	if c.Spec.DisableRunCommand {
		body["disableRunCommand"] = true
	}
	if len(c.Spec.AuthorizedIPRanges) > 0 {
		body["authorizedIPRanges"] = c.Spec.AuthorizedIPRanges
	}
	return body
}
