package network

import (
	"net/netip"
	"slices"
	"strings"

	hostv1 "berth.dev/berth/api/host/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/network/addressspace"
	"berth.dev/berth/internal/rp/nodegroup"
)

func virtualNetworks() *kind {
	return &kind{
		name: "virtualNetworks", hub: "VirtualNetwork",
		pattern: `^[A-Za-z0-9]([-A-Za-z0-9_.]{0,62}[A-Za-z0-9_])$`, form: "2 to 64 letters, digits and the characters . _ -, begins with a letter or digit and does not end with . or -",
		table: addressspace.NetworkProperties(),
		empty: func() networkv1.Object { return &networkv1.VirtualNetwork{} },
		read:  readNetwork, properties: networkBody, inUse: "InUseSubnetCannotBeDeleted",
		users: func(s *snapshot, o networkv1.Object) ([]string, error) { return s.clustersIn(virtual(o), "") },
		child: &child{
			name: "subnets", pattern: resourceName, form: resourceNameForm, table: addressspace.SubnetProperties(),
			read: readSubnet, inUse: "InUseSubnetCannotBeDeleted",
			index: func(o networkv1.Object, name string) int { return subnetIndex(virtual(o).Spec.Subnets, name) },
			drop: func(o networkv1.Object, at int) {
				spec := &virtual(o).Spec
				spec.Subnets = slices.Delete(spec.Subnets, at, at+1)
			},
			users: func(s *snapshot, o networkv1.Object, at int) ([]string, error) {
				return s.clustersIn(virtual(o), virtual(o).Spec.Subnets[at].Name)
			},
		},
	}
}

// virtual is an object of the kind that virtualNetworks makes.
func virtual(o networkv1.Object) *networkv1.VirtualNetwork {
	return o.(*networkv1.VirtualNetwork) //nolint:errcheck,forcetypeassert // kinds hand their own objects on
}

func subnetIndex(subnets []networkv1.Subnet, name string) int {
	return slices.IndexFunc(subnets, func(s networkv1.Subnet) bool { return strings.EqualFold(s.Name, name) })
}

type reference struct {
	ID string `json:"id"`
}

type subnetWire struct {
	Name       string `json:"name"`
	Properties struct {
		AddressPrefix        string     `json:"addressPrefix"`
		AddressPrefixes      []string   `json:"addressPrefixes"`
		NetworkSecurityGroup *reference `json:"networkSecurityGroup"`
		RouteTable           *reference `json:"routeTable"`
	} `json:"properties"`
}

type networkWire struct {
	Properties struct {
		AddressSpace struct {
			AddressPrefixes []string `json:"addressPrefixes"`
		} `json:"addressSpace"`
		Subnets []subnetWire `json:"subnets"`
	} `json:"properties"`
}

// readNetwork puts a body into the next network. Without a list of subnets they
// stay as they are.
func readNetwork(d *draft) error {
	var sent networkWire
	if err := d.content.Decode(&sent); err != nil {
		return err
	}
	spec := &virtual(d.next).Spec
	if d.old == nil {
		spec.HostName, spec.Incarnation = naming.LocalHost, naming.Incarnation()
	}
	spec.AddressSpace = sent.Properties.AddressSpace.AddressPrefixes
	if d.content.Has("properties.subnets") {
		before := spec.Subnets
		spec.Subnets = nil
		for i, wire := range sent.Properties.Subnets {
			d.checkName(wire.Name, resourceName, resourceNameForm)
			subnet, err := d.subnet(wire, before, i)
			if err != nil {
				return err
			}
			spec.Subnets = append(spec.Subnets, subnet)
		}
	}
	return d.checkNetwork()
}

// readSubnet puts the body of one subnet into the next network.
func readSubnet(d *draft) error {
	var sent subnetWire
	if err := d.content.Decode(&sent); err != nil {
		return err
	}
	sent.Name = d.child
	spec := &virtual(d.next).Spec
	at := subnetIndex(spec.Subnets, d.child)
	subnet, err := d.subnet(sent, spec.Subnets, at)
	if err != nil {
		return err
	}
	if at >= 0 {
		spec.Subnets[at] = subnet
	} else {
		spec.Subnets = append(spec.Subnets, subnet)
	}
	return d.checkNetwork()
}

// subnet is a subnet as it is stored; before are those that were there.
func (d *draft) subnet(wire subnetWire, before []networkv1.Subnet, at int) (networkv1.Subnet, error) {
	path := func(property string) string { return d.nested("subnets", at, wire.Name, "properties."+property) }
	subnet := networkv1.Subnet{Name: wire.Name, CIDR: wire.Properties.AddressPrefix, Kept: d.kept(path(""))}
	if subnet.CIDR == "" && len(wire.Properties.AddressPrefixes) == 1 {
		subnet.CIDR = wire.Properties.AddressPrefixes[0]
	}
	var old networkv1.Subnet
	if i := subnetIndex(before, wire.Name); i >= 0 {
		old = before[i]
		subnet.Name = old.Name
	}
	var err error
	if to := wire.Properties.NetworkSecurityGroup; to != nil && to.ID != "" {
		if subnet.NetworkSecurityGroupName, err = d.reference(securityGroups(), to.ID, old.NetworkSecurityGroupName, path("networkSecurityGroup.id")); err != nil {
			return subnet, err
		}
	}
	if to := wire.Properties.RouteTable; to != nil && to.ID != "" {
		subnet.RouteTableName, err = d.reference(routeTables(), to.ID, old.RouteTableName, path("routeTable.id"))
	}
	return subnet, err
}

// checkNetwork holds the whole next network against all rules.
func (d *draft) checkNetwork() error {
	next := virtual(d.next)
	subnets := make([]addressspace.Subnet, 0, len(next.Spec.Subnets))
	for _, subnet := range next.Spec.Subnets {
		subnets = append(subnets, addressspace.Subnet{Name: subnet.Name, CIDR: subnet.CIDR})
	}
	taken, err := d.publicRanges()
	if err != nil {
		return err
	}
	name := requestID(d.r, virtualNetworks()).Name()
	for _, problem := range addressspace.Check(name, next.Spec.AddressSpace, subnets, taken) {
		path := d.content.Path("properties.addressSpace.addressPrefixes")
		if problem.Subnet >= 0 {
			path = d.nested("subnets", problem.Subnet, subnets[problem.Subnet].Name, "properties.addressPrefix")
		}
		d.fields.Add(problem.Code, path, "%s", problem.Message)
	}
	if len(d.fields.Details()) > 0 {
		return nil
	}
	if d.old != nil {
		if err := d.checkUsed(); err != nil {
			return err
		}
	}
	return d.s.checkRoutes(next, func(message string) {
		d.fields.Add("InvalidRouteTable", d.content.Path("properties.subnets"), "%s", message)
	})
}

// publicRanges are the pools of the hosts' edges.
func (d *draft) publicRanges() ([]netip.Prefix, error) {
	var hosts hostv1.HostList
	if err := d.p.Client.List(d.r.Context(), &hosts); err != nil {
		return nil, err
	}
	var ranges []netip.Prefix
	for _, host := range hosts.Items {
		if prefix, err := netip.ParsePrefix(host.Spec.PublicRange); err == nil {
			ranges = append(ranges, prefix.Masked())
		}
	}
	return ranges, nil
}

// checkUsed refuses to take away or move what clusters have: subnets and pod
// ranges that the address space would run into.
func (d *draft) checkUsed() error {
	old, next := virtual(d.old), virtual(d.next)
	for i, subnet := range old.Spec.Subnets {
		at := subnetIndex(next.Spec.Subnets, subnet.Name)
		if at >= 0 && next.Spec.Subnets[at].CIDR == subnet.CIDR {
			continue
		}
		users, err := d.s.clustersIn(old, subnet.Name)
		if err != nil {
			return err
		}
		if len(users) == 0 {
			continue
		}
		if at < 0 {
			return inUse("InUseSubnetCannotBeDeleted", old.Spec.ResourceID+"/subnets/"+subnet.Name, users)
		}
		d.fields.Add("InUseSubnetCannotBeUpdated", d.nested("subnets", i, subnet.Name, "properties.addressPrefix"),
			"Subnet %s is in use by %s and cannot be updated from %s to %s.", subnet.Name, strings.Join(users, ", "), subnet.CIDR, next.Spec.Subnets[at].CIDR)
	}
	for _, pods := range next.Spec.PodCIDRs {
		within, err := netip.ParsePrefix(pods.CIDR)
		if err != nil {
			continue
		}
		for _, text := range next.Spec.AddressSpace {
			if prefix, err := netip.ParsePrefix(text); err == nil && prefix.Overlaps(within) && !slices.Contains(old.Spec.AddressSpace, text) {
				user, err := d.podUser(pods.ClusterIncarnation)
				if err != nil {
					return err
				}
				d.fields.Add("AddressPrefixReserved", d.content.Path("properties.addressSpace.addressPrefixes"),
					"The address prefix %s overlaps %s, the range of the pods of %s. Choose another one.", text, pods.CIDR, user)
			}
		}
	}
	return nil
}

func (d *draft) podUser(incarnation string) (string, error) {
	cluster, err := d.s.cluster(incarnation)
	if err != nil || cluster == nil {
		return "a cluster", err
	}
	return clusterID(cluster), nil
}

// networkBody are a network's properties on the wire.
func networkBody(s *snapshot, o networkv1.Object) (object, error) {
	spec := virtual(o).Spec.Current()
	subnets := []object{}
	for _, subnet := range spec.Subnets {
		body, err := s.subnetBody(spec, subnet)
		if err != nil {
			return nil, err
		}
		subnets = append(subnets, object{"name": subnet.Name, "properties": body})
	}
	return object{
		"addressSpace": object{"addressPrefixes": spec.AddressSpace}, "subnets": subnets,
		"virtualNetworkPeerings": []any{}, "enableDdosProtection": false, "enableVmProtection": false,
	}, nil
}

func (s *snapshot) subnetBody(spec networkv1.VirtualNetworkSpec, subnet networkv1.Subnet) (object, error) {
	body := object{
		"addressPrefix": subnet.CIDR, "delegations": []any{},
		"privateEndpointNetworkPolicies": "Disabled", "privateLinkServiceNetworkPolicies": "Enabled",
	}
	keep(body, subnet.Kept)
	group, err := s.groupID(subnet.NetworkSecurityGroupName)
	if err != nil {
		return nil, err
	}
	if group != "" {
		body["networkSecurityGroup"] = object{"id": group}
	}
	table, err := s.tableOf(subnet.RouteTableName)
	if err != nil {
		return nil, err
	}
	if table != nil {
		body["routeTable"] = object{"id": table.Spec.ResourceID}
	}
	configurations, err := s.configurationsIn(spec, subnet.Name)
	if err != nil {
		return nil, err
	}
	if len(configurations) > 0 {
		body["ipConfigurations"] = configurations
	}
	return body, nil
}

// configurationsIn are the addresses that machines have in a subnet, as the
// interfaces that hold them.
func (s *snapshot) configurationsIn(spec networkv1.VirtualNetworkSpec, subnet string) ([]object, error) {
	var list []object
	for _, port := range spec.Ports {
		if !strings.EqualFold(port.Subnet, subnet) {
			continue
		}
		cluster, err := s.cluster(port.ClusterIncarnation)
		if err != nil {
			return nil, err
		}
		if cluster == nil {
			continue
		}
		list = append(list, object{"id": nodegroup.InterfaceID(cluster, strings.TrimSuffix(port.MachineName, "-"+port.Incarnation)) + "/ipConfigurations/ipconfig1"})
	}
	return list, nil
}
