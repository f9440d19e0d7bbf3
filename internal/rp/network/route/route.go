// Package route is the wire form of user-defined routes and what they have to
// be, each and as a table. It knows no request and stores nothing.
package route

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/rp/network/addressspace"
)

// appliance is the type of a next hop that is an address of the network.
const appliance = string(network.HopAppliance)

// Problem is what is wrong with a route: the code, the property at fault below
// the route's properties, and what to do.
type Problem struct {
	Code, Property, Message string
	// Route is the index of the route.
	Route int
}

// Wire are the properties of a route in a body.
type Wire struct {
	AddressPrefix    string `json:"addressPrefix"`
	NextHopType      string `json:"nextHopType"`
	NextHopIPAddress string `json:"nextHopIpAddress"`
}

// types are the next hops that can be.
func types() []string {
	return []string{appliance, string(network.HopLocal), string(network.HopInternet), string(network.HopNone)}
}

// Hub is a route as it is stored.
func (w Wire) Hub(name string) networkv1.Route {
	r := networkv1.Route{Name: name, Prefix: w.AddressPrefix, NextHopType: w.NextHopType, NextHopIP: w.NextHopIPAddress}
	for _, known := range types() {
		if strings.EqualFold(known, r.NextHopType) {
			r.NextHopType = known
		}
	}
	return r
}

// Body are the properties of a route on the wire.
func Body(r networkv1.Route, state string) map[string]any {
	body := map[string]any{"provisioningState": state, "addressPrefix": r.Prefix, "nextHopType": r.NextHopType, "hasBgpOverride": false}
	if r.NextHopIP != "" {
		body["nextHopIpAddress"] = r.NextHopIP
	}
	return body
}

// Resolve are routes as the network has them; what is malformed is left out,
// which Check says.
func Resolve(routes []networkv1.Route) []network.Route {
	var all []network.Route
	for _, r := range routes {
		prefix, err := netip.ParsePrefix(r.Prefix)
		if err != nil {
			continue
		}
		one := network.Route{Name: r.Name, Prefix: prefix, Hop: network.HopType(r.NextHopType)}
		if one.Hop == network.HopAppliance {
			if one.Address, err = netip.ParseAddr(r.NextHopIP); err != nil {
				continue
			}
		}
		all = append(all, one)
	}
	return all
}

// Check holds the routes of a table against each other and against what can be done.
func Check(routes []networkv1.Route) []Problem {
	var problems []Problem
	for i, r := range routes {
		bad := func(code, property, format string, arguments ...any) {
			problems = append(problems, Problem{Route: i, Code: code, Property: property, Message: fmt.Sprintf("Route '%s': ", r.Name) + fmt.Sprintf(format, arguments...)})
		}
		if !regexp.MustCompile(`^[A-Za-z0-9]([-A-Za-z0-9_.]{0,78}[A-Za-z0-9_])?$`).MatchString(r.Name) {
			bad("InvalidResourceName", "name", "the name has 1 to 80 letters, digits and the characters . _ -, begins with a letter or digit and does not end with . or -.")
		}
		if _, problem := addressspace.Parse(r.Prefix, "the route"); problem != nil {
			bad(problem.Code, "addressPrefix", "%s", problem.Message)
		}
		checkHop(r, bad)
		for _, other := range routes[:i] {
			switch {
			case strings.EqualFold(other.Name, r.Name):
				bad("InvalidRequestFormat", "name", "there are two routes of the name.")
			case other.Prefix == r.Prefix:
				bad("RouteConflict", "addressPrefix", "the route '%s' has the same address prefix %s. Remove one of them.", other.Name, r.Prefix)
			}
		}
	}
	return problems
}

func checkHop(r networkv1.Route, bad func(code, property, format string, arguments ...any)) {
	switch {
	case strings.EqualFold(r.NextHopType, "VirtualNetworkGateway"):
		bad("PropertyNotSupported", "nextHopType", "gateways of virtual networks are not built. Supported: %s.", strings.Join(types(), ", "))
	case !slices.Contains(types(), r.NextHopType):
		bad("InvalidRouteNextHopType", "nextHopType", "the next hop type '%.40s' is none of %s.", r.NextHopType, strings.Join(types(), ", "))
	case r.NextHopType != appliance && r.NextHopIP != "":
		bad("InvalidRouteNextHopIpAddress", "nextHopIpAddress", "a next hop address is only for routes of the type %s.", appliance)
	case r.NextHopType == appliance:
		if address, err := netip.ParseAddr(r.NextHopIP); err != nil || !address.Is4() {
			bad("InvalidRouteNextHopIpAddress", "nextHopIpAddress", "'%.60s' is not an IPv4 address, which a route of the type %s needs.", r.NextHopIP, appliance)
		}
	}
}

// Properties is the table of a route as a resource of its own.
func Properties() []arm.Property {
	return append([]arm.Property{{Path: "name", Kind: arm.Any, Use: arm.ReadOnly}}, properties("")...)
}

// TableProperties is the table of a route table's properties.
func TableProperties() []arm.Property {
	const one = "properties.routes[]"
	list := []arm.Property{
		{Path: "location", Kind: arm.String}, {Path: "tags", Kind: arm.Map}, {Path: "tags{}", Kind: arm.String}, {Path: "properties", Kind: arm.Object},
		{Path: "properties.disableBgpRoutePropagation", Kind: arm.Boolean, Use: arm.Inert, Note: "nothing announces routes"},
		arm.Property{Path: "properties.routes", Kind: arm.Array}.AtMost(400), {Path: one, Kind: arm.Object}, {Path: one + ".name", Kind: arm.String},
	}
	list = append(list, addressspace.ReadOnly("", "id", "name", "type", "etag")...)
	list = append(list, addressspace.ReadOnly("properties.", "provisioningState", "resourceGuid", "subnets")...)
	return append(list, properties(one+".")...)
}

func properties(prefix string) []arm.Property {
	p := prefix + "properties."
	list := append(addressspace.ReadOnly(prefix, "id", "type", "etag"),
		arm.Property{Path: prefix + "properties", Kind: arm.Object},
		arm.Property{Path: p + "addressPrefix", Kind: arm.String}, arm.Property{Path: p + "nextHopType", Kind: arm.String}, arm.Property{Path: p + "nextHopIpAddress", Kind: arm.String})
	return append(list, addressspace.ReadOnly(p, "provisioningState", "hasBgpOverride")...)
}
