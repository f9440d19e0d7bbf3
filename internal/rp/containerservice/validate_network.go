package containerservice

import "net/netip"

// The sizes of ranges.
const (
	// nodePodBits is the prefix length of a node's pod range.
	nodePodBits = 24
	// minServiceBits and maxServiceBits bound the prefix length of the range of
	// services: the API server takes no more than 20 bits of addresses, and no
	// less than 8 addresses.
	minServiceBits = 12
	maxServiceBits = 29
)

// reservedRanges are those that no cluster may use.
func reservedRanges() []string {
	return []string{"169.254.0.0/16", "172.30.0.0/16", "172.31.0.0/16", "192.0.2.0/24", "127.0.0.0/8", "0.0.0.0/8", "224.0.0.0/3"}
}

const networkPath = "properties.networkProfile."

// convertNetwork fills in the address plan.
func convertNetwork(d *draft, request networkRequest) {
	network := &d.next.Spec.Network
	if d.old == nil {
		chooseMode(d, request)
	}
	if network.FlatPods() {
		d.noPodRange(request)
	} else {
		network.PodCIDR = d.pickRange("podCidr", request.PodCIDR, request.PodCIDRs, network.PodCIDR, defaultPodCIDR)
	}
	network.ServiceCIDR = d.pickRange("serviceCidr", request.ServiceCIDR, request.ServiceCIDRs, network.ServiceCIDR, DefaultServiceCIDR)
	switch {
	case request.DNSServiceIP != "":
		network.DNSServiceIP = request.DNSServiceIP
	case network.DNSServiceIP == "":
		// The tenth address of the range; validateNetwork says if that does not fit.
		if services, err := netip.ParsePrefix(network.ServiceCIDR); err == nil {
			network.DNSServiceIP = nth(services, 10).String()
		}
	}
}

// pickRange is the range that the caller gave as one value or as a list of
// one, the present one, or the default.
func (d *draft) pickRange(name, single string, list []string, present, fallback string) string {
	path := d.body.Path(networkPath + name + "s")
	switch {
	case len(list) > 1:
		d.fields.Invalid(path, "There are %d ranges in '%s'; only one, of IPv4, is supported.", len(list), path)
	case len(list) == 1 && single != "" && single != list[0]:
		d.fields.Invalid(path, "The ranges in '%s' and in its singular form differ.", path)
	case len(list) == 1:
		return list[0]
	}
	for _, value := range []string{single, present} {
		if value != "" {
			return value
		}
	}
	return fallback
}

// validateNetwork checks the address plan but for what it has to do with the
// hosts' ranges, which is for admitNetwork.
func validateNetwork(d *draft) {
	network := d.next.Spec.Network
	var pods netip.Prefix
	podsOK := false
	if !network.FlatPods() {
		pods, podsOK = d.parseRange("podCidr", network.PodCIDR)
	}
	services, servicesOK := d.parseRange("serviceCidr", network.ServiceCIDR)
	if podsOK {
		d.checkOverlaps("podCidr", pods)
	}
	if servicesOK {
		d.checkServiceRange(services, network.DNSServiceIP)
	}
	if podsOK && servicesOK && pods.Overlaps(services) {
		d.fields.Invalid(d.body.Path(networkPath+"serviceCidr"), "The serviceCidr %s overlaps the podCidr %s.", services, pods)
	}
}

func (d *draft) parseRange(name, value string) (netip.Prefix, bool) {
	path := d.body.Path(networkPath + name)
	prefix, err := netip.ParsePrefix(value)
	switch {
	case err != nil:
		d.fields.Invalid(path, "The %s '%.60s' is not a range in CIDR notation, such as 10.244.0.0/16.", name, value)
	case !prefix.Addr().Is4():
		d.fields.Invalid(path, "The %s '%s' is not a range of IPv4; only IPv4 is supported.", name, value)
	case prefix != prefix.Masked():
		d.fields.Invalid(path, "The %s '%s' is not canonical: its first address is %s.", name, value, prefix.Masked())
	default:
		return prefix, true
	}
	return netip.Prefix{}, false
}

// checkOverlaps holds a range against the virtual network and the reserved ranges.
func (d *draft) checkOverlaps(name string, prefix netip.Prefix) {
	path := d.body.Path(networkPath + name)
	if vnet, err := netip.ParsePrefix(d.next.Spec.Network.VNetCIDR); err == nil && prefix.Overlaps(vnet) {
		d.fields.Invalid(path, "The %s %s overlaps the range %s of the virtual network.", name, prefix, vnet)
	}
	for _, reserved := range reservedRanges() {
		if prefix.Overlaps(netip.MustParsePrefix(reserved)) {
			d.fields.Invalid(path, "The %s %s overlaps the reserved range %s.", name, prefix, reserved)
		}
	}
}

func (d *draft) checkServiceRange(services netip.Prefix, dns string) {
	path := d.body.Path(networkPath + "serviceCidr")
	d.checkOverlaps("serviceCidr", services)
	if services.Bits() < minServiceBits {
		d.fields.Invalid(path, "The serviceCidr %s is too large: it has to be a /%d or smaller.", services, minServiceBits)
	}
	if services.Bits() > maxServiceBits {
		d.fields.Invalid(path, "The serviceCidr %s is too small: it has to be a /%d or larger.", services, maxServiceBits)
		return
	}
	at := d.body.Path(networkPath + "dnsServiceIP")
	address, err := netip.ParseAddr(dns)
	switch {
	case err != nil || !address.Is4():
		d.fields.Invalid(at, "The dnsServiceIP '%.60s' is not an IPv4 address.", dns)
	case !services.Contains(address):
		d.fields.Invalid(at, "The dnsServiceIP %s is not in the serviceCidr %s.", address, services)
	case address == services.Addr() || address == nth(services, 1):
		d.fields.Invalid(at, "The dnsServiceIP %s is one of the first two addresses of the serviceCidr %s, which are the network's and that of the kubernetes service.", address, services)
	case !services.Contains(address.Next()):
		d.fields.Invalid(at, "The dnsServiceIP %s is the last address of the serviceCidr %s, which services cannot have.", address, services)
	}
}

// nth is the address n after the first of a range.
func nth(prefix netip.Prefix, n int) netip.Addr {
	address := prefix.Addr()
	for range n {
		address = address.Next()
	}
	return address
}

// admitNetwork holds the address plan against the public ranges of the hosts'
// edges: an address in both could not be reached from inside the cluster.
func admitNetwork(d *draft, publicRanges []netip.Prefix) {
	check := func(name, value string) {
		prefix, err := netip.ParsePrefix(value)
		if err != nil {
			return // validateNetwork has said so
		}
		for _, public := range publicRanges {
			if prefix.Overlaps(public) {
				d.fields.Invalid(d.body.Path(networkPath+name), "The %s %s overlaps the range %s of the service's public addresses.", name, prefix, public)
			}
		}
	}
	network := d.next.Spec.Network
	check("podCidr", network.PodCIDR)
	check("serviceCidr", network.ServiceCIDR)
}
