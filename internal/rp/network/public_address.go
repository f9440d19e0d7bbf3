package network

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/rp/network/addressspace"
	"berth.dev/berth/internal/rp/nodegroup"
)

// wholeAddress is the length of a range that is one address.
const wholeAddress = 32

func publicAddresses() *kind {
	return &kind{
		name: "publicIPAddresses", hub: "AddressReservation", pattern: resourceName, form: resourceNameForm,
		table: AddressProperties(),
		empty: func() networkv1.Object { return &networkv1.AddressReservation{} },
		read:  readAddress, properties: addressBody, around: reservedAround, inUse: "PublicIPAddressCannotBeDeleted", users: reservationUsers,
		selects: func(o networkv1.Object) bool { return reservation(o).Spec.Bits == wholeAddress },
	}
}

func publicPrefixes() *kind {
	return &kind{
		name: "publicIPPrefixes", hub: "AddressReservation", pattern: resourceName, form: resourceNameForm,
		table: PrefixProperties(),
		empty: func() networkv1.Object { return &networkv1.AddressReservation{} },
		read:  readPrefix, properties: prefixBody, around: reservedAround, inUse: "PublicIpPrefixCannotBeDeleted", users: reservationUsers,
		selects: func(o networkv1.Object) bool { return reservation(o).Spec.Bits != wholeAddress },
	}
}

// reservation is an object of the kind that publicAddresses makes.
func reservation(o networkv1.Object) *networkv1.AddressReservation {
	return o.(*networkv1.AddressReservation) //nolint:errcheck,forcetypeassert // kinds hand their own objects on
}

// reservedProperties are what addresses and prefixes have in common.
func reservedProperties() []arm.Property {
	list := append(addressspace.ReadOnly("", "id", "name", "type", "etag"),
		arm.Property{Path: "location", Kind: arm.String}, arm.Property{Path: "tags", Kind: arm.Map}, arm.Property{Path: "tags{}", Kind: arm.String},
		arm.Property{Path: "sku", Kind: arm.Object}, arm.Property{Path: "sku.name", Kind: arm.String}.OneOf("Basic", "Standard"), arm.Property{Path: "sku.tier", Kind: arm.String}.OneOf("Regional"),
		arm.Property{Path: "zones", Kind: arm.Array, Use: arm.Inert, Note: "an address is the same from everywhere"}.AtMost(3),
		arm.Property{Path: "zones[]", Kind: arm.String},
		arm.Property{Path: "extendedLocation", Kind: arm.Any, Use: arm.Refused, Note: "there is one region"},
		arm.Property{Path: "properties", Kind: arm.Object},
		arm.Property{Path: "properties.publicIPAddressVersion", Kind: arm.String, Use: arm.Refused, Neutral: []any{"IPv4"}, Note: "public addresses are of IPv4"},
		arm.Property{Path: "properties.ipTags", Kind: arm.Any, Use: arm.Refused, Note: "tags of addresses are not built"},
		arm.Property{Path: "properties.natGateway", Kind: arm.Any, Use: arm.Refused, Note: "NAT gateways are not built"},
	)
	return append(list, addressspace.ReadOnly("properties.", "provisioningState", "resourceGuid")...)
}

// AddressProperties is the table of a public address's properties.
func AddressProperties() []arm.Property {
	const p = "properties."
	refused := func(name, note string, neutral ...any) arm.Property {
		return arm.Property{Path: p + name, Kind: arm.Any, Use: arm.Refused, Note: note, Neutral: neutral}
	}
	list := append(reservedProperties(),
		arm.Property{Path: p + "publicIPAllocationMethod", Kind: arm.String, Use: arm.Inert, Note: "the address is taken when the resource is made, and kept as long as it lives"}.OneOf("Static", "Dynamic"),
		arm.Property{Path: p + "idleTimeoutInMinutes", Kind: arm.Integer, Use: arm.Inert, Note: "the service that uses the address says it, with an annotation"}.Between(4, 30),
		arm.Property{Path: p + "deleteOption", Kind: arm.String, Use: arm.Inert, Note: "no machine takes it along"}.OneOf("Delete", "Detach"),
		refused("dnsSettings", "DNS names of public addresses are not built"),
		refused("ddosSettings", "there is no such protection"),
		refused("migrationPhase", "there is nothing to migrate from", "None"),
		refused("linkedPublicIPAddress", "addresses are not linked"), refused("servicePublicIPAddress", "addresses are not linked"),
	)
	list = append(list, addressspace.Reference(p+"publicIPPrefix")...)
	return append(list, addressspace.ReadOnly(p, "ipAddress", "ipConfiguration")...)
}

// PrefixProperties is the table of a public prefix's properties.
func PrefixProperties() []arm.Property {
	const p = "properties."
	list := append(reservedProperties(),
		arm.Property{Path: p + "prefixLength", Kind: arm.Integer}.Between(28, 31),
		arm.Property{Path: p + "customIPPrefix", Kind: arm.Any, Use: arm.Refused, Note: "ranges of one's own are the operator's to bring: berth up --public-range"},
	)
	return append(list, addressspace.ReadOnly(p, "ipPrefix", "publicIPAddresses", "loadBalancerFrontendIpConfiguration")...)
}

type addressWire struct {
	SKU struct {
		Name string `json:"name"`
	} `json:"sku"`
	Properties struct {
		PrefixLength int32      `json:"prefixLength"`
		Prefix       *reference `json:"publicIPPrefix"`
	} `json:"properties"`
}

// readReserved reads what addresses and prefixes have in common. An address
// has an SKU for its life.
func (d *draft) readReserved(sent addressWire, basic bool) error {
	spec := &reservation(d.next).Spec
	sku := sent.SKU.Name
	switch before := spec.Kept["sku"]; {
	case sku == "" && before != "":
		sku = before
	case sku == "" && basic:
		sku = "Basic"
	case sku == "" || strings.EqualFold(sku, "standard"):
		sku = "Standard"
	default:
		sku = "Basic"
	}
	if d.old != nil && spec.Kept["sku"] != "" && !strings.EqualFold(sku, spec.Kept["sku"]) {
		d.fields.Add("PropertyChangeNotAllowed", d.content.Path("sku.name"), "The SKU of %s cannot be changed.", spec.ResourceID)
	}
	zones := d.kept("")["zones"]
	spec.Kept = d.kept("properties.")
	if spec.Kept == nil {
		spec.Kept = map[string]string{}
	}
	spec.Kept["sku"] = sku
	if zones != "" {
		spec.Kept["zones"] = zones
	}
	if d.old != nil {
		return nil
	}
	spec.Incarnation = naming.Incarnation()
	return nil
}

func readAddress(d *draft) error {
	var sent addressWire
	if err := d.content.Decode(&sent); err != nil {
		return err
	}
	spec := &reservation(d.next).Spec
	if err := d.readReserved(sent, true); err != nil {
		return err
	}
	before := spec.PrefixName
	spec.Bits, spec.PrefixName = wholeAddress, ""
	if sent.Properties.Prefix != nil && sent.Properties.Prefix.ID != "" {
		path := d.content.Path("properties.publicIPPrefix.id")
		name, err := d.reference(publicPrefixes(), sent.Properties.Prefix.ID, before, path)
		if err != nil {
			return err
		}
		spec.PrefixName = name
	}
	if d.old != nil && spec.PrefixName != before {
		d.fields.Add("PropertyChangeNotAllowed", d.content.Path("properties.publicIPPrefix.id"), "The prefix that %s is out of cannot be changed.", spec.ResourceID)
	}
	if d.old != nil || len(d.fields.Details()) > 0 {
		return nil
	}
	if spec.PrefixName != "" {
		return d.roomInPrefix(spec.PrefixName)
	}
	return d.room(wholeAddress)
}

func readPrefix(d *draft) error {
	var sent addressWire
	if err := d.content.Decode(&sent); err != nil {
		return err
	}
	spec := &reservation(d.next).Spec
	if err := d.readReserved(sent, false); err != nil {
		return err
	}
	switch bits := sent.Properties.PrefixLength; {
	case d.old == nil && bits == 0:
		d.fields.Add("InvalidRequestFormat", "properties.prefixLength", "The prefixLength is missing: give 28 to 31, for 16 to 2 addresses.")
	case d.old == nil:
		spec.Bits = bits
	case bits != 0 && bits != spec.Bits:
		d.fields.Add("PropertyChangeNotAllowed", d.content.Path("properties.prefixLength"), "The prefixLength of %s cannot be changed.", spec.ResourceID)
	}
	if d.old != nil || len(d.fields.Details()) > 0 {
		return nil
	}
	return d.room(int(spec.Bits))
}

// room says in advance that the pool has no place for a range: who takes it
// later finds out again.
func (d *draft) room(bits int) error {
	ranges, err := d.publicRanges()
	if err != nil {
		return err
	}
	var claims networkv1.PublicIPAddressList
	if err := d.p.Client.List(d.r.Context(), &claims); err != nil {
		return err
	}
	var taken []netip.Addr
	for _, claim := range claims.Items {
		if address, err := netip.ParseAddr(claim.Spec.Address); err == nil {
			taken = append(taken, address)
		}
	}
	for _, public := range ranges {
		if _, err := network.AllocatePublicRange(public, bits, taken); err == nil {
			return nil
		}
	}
	d.fields.Add("PublicIPCountLimitReached", "properties", "The service has no /%d of public addresses left: %d addresses are taken. Delete addresses, services or clusters that have some, or have the operator give it a larger range.", bits, len(taken))
	return nil
}

// roomInPrefix says in advance that a prefix has no address left.
func (d *draft) roomInPrefix(name string) error {
	if err := d.s.load(&d.s.reservations); err != nil {
		return err
	}
	size, taken := 0, 0
	for _, other := range d.s.reservations.Items {
		if other.Name == name {
			size = 1 << (wholeAddress - other.Spec.Bits)
		}
		if other.Spec.PrefixName == name {
			taken++
		}
	}
	if taken >= size {
		d.fields.Add("PublicIpPrefixOutOfIpAddresses", d.content.Path("properties.publicIPPrefix.id"), "All %d addresses of the prefix are taken. Delete one, or take one out of another prefix.", size)
	}
	return nil
}

// reservedAround adds what stands beside the properties.
func reservedAround(o networkv1.Object, body object) {
	properties, _ := body["properties"].(object)
	kept := o.Common().Kept
	sku := kept["sku"]
	if sku == "" {
		sku = "Standard"
	}
	body["sku"] = object{"name": sku, "tier": "Regional"}
	delete(properties, "sku")
	if zones := kept["zones"]; zones != "" {
		body["zones"] = json.RawMessage(zones)
		delete(properties, "zones")
	}
}

func addressBody(s *snapshot, o networkv1.Object) (object, error) {
	r := reservation(o)
	body := object{"publicIPAddressVersion": "IPv4", "publicIPAllocationMethod": "Static", "idleTimeoutInMinutes": 4, "ipTags": []any{}}
	if prefix, err := netip.ParsePrefix(r.Status.Range); err == nil {
		body["ipAddress"] = prefix.Addr().String()
	}
	if r.Spec.PrefixName != "" {
		if err := s.load(&s.reservations); err != nil {
			return nil, err
		}
		for _, other := range s.reservations.Items {
			if other.Name == r.Spec.PrefixName {
				body["publicIPPrefix"] = object{"id": other.Spec.ResourceID}
			}
		}
	}
	configuration, err := s.configurationOf(r)
	if err == nil && configuration != "" {
		body["ipConfiguration"] = object{"id": configuration}
	}
	return body, err
}

func prefixBody(s *snapshot, o networkv1.Object) (object, error) {
	r := reservation(o)
	body := object{"publicIPAddressVersion": "IPv4", "prefixLength": r.Spec.Bits, "ipTags": []any{}}
	if r.Status.Range != "" {
		body["ipPrefix"] = r.Status.Range
	}
	if err := s.load(&s.reservations); err != nil {
		return nil, err
	}
	addresses := []object{}
	for _, other := range s.reservations.Items {
		if other.Spec.PrefixName == r.Name {
			addresses = append(addresses, object{"id": other.Spec.ResourceID})
		}
	}
	if len(addresses) > 0 {
		body["publicIPAddresses"] = addresses
	}
	return body, nil
}

// reservationUsers are the addresses out of a prefix, and the clusters that
// name an address or prefix or have a service or their way out on it.
func reservationUsers(s *snapshot, o networkv1.Object) ([]string, error) {
	r := reservation(o)
	if err := s.load(&s.reservations, &s.clusters); err != nil {
		return nil, err
	}
	var users []string
	for _, other := range s.reservations.Items {
		if other.Spec.PrefixName == r.Name {
			users = append(users, other.Spec.ResourceID)
		}
	}
	for i := range s.clusters.Items {
		outbound := s.clusters.Items[i].Spec.Outbound
		for _, id := range append(append([]string{}, outbound.PublicIPIDs...), outbound.PublicIPPrefixIDs...) {
			if strings.EqualFold(id, r.Spec.ResourceID) {
				users = append(users, clusterID(&s.clusters.Items[i]))
			}
		}
	}
	configuration, err := s.configurationOf(r)
	if configuration != "" {
		users = append(users, configuration)
	}
	return users, err
}

// configurationOf is the frontend of a balancer that has an address of a
// reservation, "" if none has.
func (s *snapshot) configurationOf(r *networkv1.AddressReservation) (string, error) {
	reserved, err := netip.ParsePrefix(r.Status.Range)
	if err != nil {
		return "", nil //nolint:nilerr // nothing is reserved yet
	}
	if err := s.load(&s.balancers, &s.networks); err != nil {
		return "", err
	}
	holds := func(text string) bool {
		address, err := netip.ParseAddr(text)
		return err == nil && reserved.Contains(address)
	}
	for i := range s.balancers.Items {
		for _, frontend := range s.balancers.Items[i].Spec.Frontends {
			if holds(frontend.Address) {
				cluster, err := s.cluster(s.balancers.Items[i].Name)
				if err != nil || cluster == nil {
					return "", err
				}
				return nodegroup.FrontendID(cluster, frontend), nil
			}
		}
	}
	for i := range s.networks.Items {
		for _, outbound := range s.networks.Items[i].Spec.Current().Outbounds {
			if n := slices.IndexFunc(outbound.Addresses, holds); n >= 0 {
				cluster, err := s.cluster(outbound.ClusterIncarnation)
				if err != nil || cluster == nil {
					return "", err
				}
				return nodegroup.OutboundID(cluster, n), nil
			}
		}
	}
	return "", nil
}
