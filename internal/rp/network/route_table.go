package network

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/rp/network/route"
)

func routeTables() *kind {
	return &kind{
		name: "routeTables", hub: "RouteTable", pattern: resourceName, form: resourceNameForm,
		table: route.TableProperties(),
		empty: func() networkv1.Object { return &networkv1.RouteTable{} },
		read:  readTable, properties: tableBody, inUse: "InUseRouteTableCannotBeDeleted",
		users: func(s *snapshot, o networkv1.Object) ([]string, error) {
			return s.subnetsWith(func(n networkv1.Subnet) bool { return n.RouteTableName == o.GetName() })
		},
		child: &child{
			name: "routes", pattern: resourceName, form: resourceNameForm, table: route.Properties(), read: readRoute,
			index: func(o networkv1.Object, name string) int { return routeIndex(table(o).Spec.Routes, name) },
			drop: func(o networkv1.Object, at int) {
				spec := &table(o).Spec
				spec.Routes = slices.Delete(spec.Routes, at, at+1)
			},
		},
	}
}

// table is an object of the kind that routeTables makes.
func table(o networkv1.Object) *networkv1.RouteTable {
	return o.(*networkv1.RouteTable) //nolint:errcheck,forcetypeassert // kinds hand their own objects on
}

func routeIndex(routes []networkv1.Route, name string) int {
	return slices.IndexFunc(routes, func(r networkv1.Route) bool { return strings.EqualFold(r.Name, name) })
}

type routeWire struct {
	Name       string     `json:"name"`
	Properties route.Wire `json:"properties"`
}

type tableWire struct {
	Properties struct {
		Routes []routeWire `json:"routes"`
	} `json:"properties"`
}

// readTable puts a body into the next table. Without a list of routes they
// stay as they are.
func readTable(d *draft) error {
	var sent tableWire
	if err := d.content.Decode(&sent); err != nil {
		return err
	}
	spec := &table(d.next).Spec
	spec.Kept = d.kept("properties.")
	if d.content.Has("properties.routes") {
		spec.Routes = nil
		for _, wire := range sent.Properties.Routes {
			spec.Routes = append(spec.Routes, wire.Properties.Hub(wire.Name))
		}
	}
	return d.checkTable()
}

// readRoute puts the body of one route into the next table.
func readRoute(d *draft) error {
	var sent routeWire
	if err := d.content.Decode(&sent); err != nil {
		return err
	}
	spec := &table(d.next).Spec
	r := sent.Properties.Hub(d.child)
	if at := routeIndex(spec.Routes, d.child); at >= 0 {
		r.Name = spec.Routes[at].Name
		spec.Routes[at] = r
	} else {
		spec.Routes = append(spec.Routes, r)
	}
	if len(spec.Routes) > 400 {
		d.fields.Add("RouteLimitExceeded", "name", "The route table has 400 routes already, the most that it may have.")
	}
	return d.checkTable()
}

// checkTable holds the next table against all rules, those of the networks
// that follow it included.
func (d *draft) checkTable() error {
	routes := table(d.next).Spec.Routes
	for _, problem := range route.Check(routes) {
		property := "properties." + problem.Property
		if problem.Property == "name" {
			property = "name"
		}
		d.fields.Add(problem.Code, d.nested("routes", problem.Route, routes[problem.Route].Name, property), "%s", problem.Message)
	}
	if d.old == nil || len(d.fields.Details()) > 0 {
		return nil
	}
	if err := d.s.load(&d.s.networks, &d.s.tables); err != nil {
		return err
	}
	for i := range d.s.tables.Items {
		if d.s.tables.Items[i].Name == d.next.GetName() {
			d.s.tables.Items[i] = *table(d.next)
		}
	}
	for i := range d.s.networks.Items {
		follows := slices.ContainsFunc(d.s.networks.Items[i].Spec.Subnets, func(n networkv1.Subnet) bool { return n.RouteTableName == d.next.GetName() })
		if !follows {
			continue
		}
		err := d.s.checkRoutes(&d.s.networks.Items[i], func(message string) {
			d.fields.Add("InvalidRouteTable", d.content.Path("properties.routes"), "%s", message)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// maxFollowed is how many routes the subnets of one network may follow
// together: the search for circles looks from each to each.
const maxFollowed = 1000

// checkRoutes says what is wrong with the tables that a network's subnets follow.
func (s *snapshot) checkRoutes(n *networkv1.VirtualNetwork, wrong func(message string)) error {
	spec := n.Spec.Current()
	desired := network.Network{ID: spec.Incarnation, AddressSpace: ranges(spec.AddressSpace), Ports: ports(spec)}
	for _, pods := range spec.PodCIDRs {
		desired.PodRanges = append(desired.PodRanges, ranges([]string{pods.CIDR})...)
	}
	followed, leads := 0, false
	for _, subnet := range spec.Subnets {
		found, err := s.tableOf(subnet.RouteTableName)
		if err != nil {
			return err
		}
		one := network.Subnet{Name: subnet.Name}
		if prefix := ranges([]string{subnet.CIDR}); len(prefix) == 1 {
			one.Range = prefix[0]
		}
		if found != nil {
			one.Routes = route.Resolve(found.Spec.Routes)
		}
		followed += len(one.Routes)
		leads = leads || slices.ContainsFunc(one.Routes, func(r network.Route) bool { return r.Hop == network.HopAppliance })
		desired.Subnets = append(desired.Subnets, one)
	}
	if !leads {
		return nil
	}
	if followed > maxFollowed {
		wrong(fmt.Sprintf("The subnets of the virtual network '%s' would follow %d routes together; they may follow %d. Merge routes, or have fewer subnets follow the table.", spec.ResourceID, followed, maxFollowed))
		return nil
	}
	for _, subnet := range desired.Subnets {
		for _, r := range subnet.Routes {
			if _, inside := desired.SubnetOf(r.Address); r.Hop == network.HopAppliance && !inside {
				wrong(fmt.Sprintf("The route '%s', which the subnet '%s' follows, leads to %s, which lies in no subnet of the virtual network '%s'.", r.Name, subnet.Name, r.Address, spec.ResourceID))
				return nil
			}
		}
	}
	if err := desired.CheckRoutes(); err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		wrong("In the virtual network '" + spec.ResourceID + "', " + first + ". Give the appliance a subnet of its own that follows no such route.")
	}
	return nil
}

// ranges are those of texts that are ranges: what is wrong with others is said elsewhere.
func ranges(texts []string) []netip.Prefix {
	var all []netip.Prefix
	for _, text := range texts {
		if prefix, err := netip.ParsePrefix(text); err == nil {
			all = append(all, prefix.Masked())
		}
	}
	return all
}

// ports are the machines of a network as far as routes ask for them.
func ports(spec networkv1.VirtualNetworkSpec) []network.Port {
	var all []network.Port
	for _, p := range spec.Ports {
		address, err := netip.ParseAddr(p.Address)
		if err != nil {
			continue
		}
		port := network.Port{ID: p.Incarnation, Subnet: p.Subnet, Address: address}
		if pods := ranges([]string{p.PodCIDR}); len(pods) == 1 {
			port.PodRange = pods[0]
		}
		all = append(all, port)
	}
	return all
}

// tableBody are a table's properties on the wire.
func tableBody(s *snapshot, o networkv1.Object) (object, error) {
	routes := []object{}
	for _, r := range table(o).Spec.Routes {
		routes = append(routes, object{"name": r.Name, "properties": object(route.Body(r, succeeded))})
	}
	own, err := nodeRoutes(s, table(o))
	if err != nil {
		return nil, err
	}
	body := object{"routes": append(routes, own...), "disableBgpRoutePropagation": false}
	return body, s.addSubnets(body, func(n networkv1.Subnet) bool { return n.RouteTableName == o.GetName() })
}
