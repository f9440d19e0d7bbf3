package network

import (
	"context"
	"net/http"
	"net/netip"

	hostv1 "berth.dev/berth/api/host/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/network"
)

// alternatives is how many free addresses a check names.
const alternatives = 5

// checkAddress says whether an address of a virtual network is free, and which
// others of its subnet are.
func (p *Provider) checkAddress(w http.ResponseWriter, r *arm.Request) error {
	o, err := p.existing(r, virtualNetworks())
	if err != nil {
		return err
	}
	text := r.URL.Query().Get("ipAddress")
	address, err := netip.ParseAddr(text)
	if err != nil || !address.Is4() {
		return arm.NewError(http.StatusBadRequest, "InvalidIPAddressFormat", "'%.60s' is not an IPv4 address. Give one as ipAddress.", text).At("ipAddress")
	}
	spec := o.(*networkv1.VirtualNetwork).Spec.Current() //nolint:errcheck,forcetypeassert // existing read one
	taken := takenIn(spec)
	for _, subnet := range spec.Subnets {
		prefix, err := netip.ParsePrefix(subnet.CIDR)
		if err != nil || !prefix.Contains(address) {
			continue
		}
		if network.IsAssignable(prefix, address) && !taken[address] {
			return arm.WriteJSON(w, http.StatusOK, object{"available": true, "availableIPAddresses": []string{}, "isPlatformReserved": false})
		}
		free := []string{}
		for other := prefix.Addr(); prefix.Contains(other) && len(free) < alternatives; other = other.Next() {
			if network.IsAssignable(prefix, other) && !taken[other] {
				free = append(free, other.String())
			}
		}
		return arm.WriteJSON(w, http.StatusOK, object{"available": false, "availableIPAddresses": free, "isPlatformReserved": !network.IsAssignable(prefix, address)})
	}
	return arm.NewError(http.StatusBadRequest, "PrivateIPAddressNotInAnySubnet", "Private static IP address %s does not belong to the range of any subnet in the virtual network %s.", address, o.Common().ResourceID).At("ipAddress")
}

// takenIn are the addresses that machines, their pods and internal balancers have.
func takenIn(spec networkv1.VirtualNetworkSpec) map[netip.Addr]bool {
	taken := map[netip.Addr]bool{}
	for _, port := range spec.Ports {
		for _, text := range append([]string{port.Address}, port.PodAddresses...) {
			if address, err := netip.ParseAddr(text); err == nil {
				taken[address] = true
			}
		}
	}
	for _, internal := range spec.InternalAddresses {
		if address, err := netip.ParseAddr(internal.Address); err == nil {
			taken[address] = true
		}
	}
	return taken
}

// usage is how much of something is taken.
func usage(id, name, words string, current, limit int) object {
	return object{"id": id, "currentValue": current, "limit": limit, "unit": "Count", "name": object{"value": name, "localizedValue": words}}
}

// subnetUsages says how many addresses each subnet of a network has given out.
func (p *Provider) subnetUsages(w http.ResponseWriter, r *arm.Request) error {
	o, err := p.existing(r, virtualNetworks())
	if err != nil {
		return err
	}
	spec := o.(*networkv1.VirtualNetwork).Spec.Current() //nolint:errcheck,forcetypeassert // existing read one
	taken := takenIn(spec)
	list := []object{}
	for _, subnet := range spec.Subnets {
		prefix, err := netip.ParsePrefix(subnet.CIDR)
		if err != nil {
			continue
		}
		used := 0
		for address := range taken {
			if prefix.Contains(address) {
				used++
			}
		}
		one := usage(spec.ResourceID+"/subnets/"+subnet.Name, "SubnetSpace", "Subnet size and usage", used, network.SubnetCapacity(prefix))
		list = append(list, one)
	}
	page, err := arm.Page(r, list, func(one object) string { return one["id"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

// usages says how much of the region a subscription has.
func (p *Provider) usages(w http.ResponseWriter, r *arm.Request) error {
	s := p.snapshot(r.Context())
	limit, err := p.publicCapacity(r.Context())
	if err != nil {
		return err
	}
	words := map[string]string{"virtualNetworks": "Virtual Networks", "networkSecurityGroups": "Network Security Groups", "routeTables": "Route Tables", "publicIPAddresses": "Public IP Addresses", "publicIPPrefixes": "Public IP Prefixes"}
	list := []object{}
	for _, k := range kinds() {
		all, err := s.in(k, r.Param("subscriptionID"), "")
		if err != nil {
			return err
		}
		most := -1 // no limit of its own
		if k.hub == "AddressReservation" {
			most = limit
		}
		list = append(list, usage("/subscriptions/"+r.Param("subscriptionID")+provider+"locations/"+p.Location+"/usages/"+k.name, k.name, words[k.name], len(all), most))
	}
	page, err := arm.Page(r, list, func(one object) string { return one["id"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

// publicCapacity is how many public addresses there are.
func (p *Provider) publicCapacity(ctx context.Context) (int, error) {
	var hosts hostv1.HostList
	if err := p.Client.List(ctx, &hosts); err != nil {
		return 0, err
	}
	sum := 0
	for _, host := range hosts.Items {
		if prefix, err := netip.ParsePrefix(host.Spec.PublicRange); err == nil {
			sum += 1 << (wholeAddress - prefix.Bits())
		}
	}
	return sum, nil
}
