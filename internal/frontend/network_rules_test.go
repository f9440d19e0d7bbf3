package frontend_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// network makes a request to a path below Microsoft.Network.
func (r *rig) network(method, path, body string, header ...string) answer {
	r.t.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return r.call(method, networksAt+path+separator+strings.TrimPrefix(networkVersion, "?"), body, header...)
}

// networked is a rig with the network vnet (10.1.0.0/16 with the subnets a and
// b), the group nsg on b, the table rt on a, and the address ip.
func networked(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.group()
	for path, body := range map[string]string{"networkSecurityGroups/nsg": `{"location":"local"}`, "routeTables/rt": `{"location":"local"}`, "publicIPAddresses/ip": `{"location":"local","sku":{"name":"Standard"}}`} {
		if a := r.network(http.MethodPut, path, body); a.status != http.StatusCreated {
			t.Fatal(path, a.raw)
		}
	}
	body := fmt.Sprintf(`{"location":"local","properties":{"addressSpace":{"addressPrefixes":["10.1.0.0/16"]},"subnets":[
		{"name":"a","properties":{"addressPrefix":"10.1.0.0/24","routeTable":{"id":"%[1]srouteTables/rt"}}},
		{"name":"b","properties":{"addressPrefix":"10.1.1.0/24","networkSecurityGroup":{"id":"%[1]snetworkSecurityGroups/nsg"}}}]}}`, networksAt)
	if a := r.network(http.MethodPut, "virtualNetworks/vnet", body); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	r.writes = 0
	return r
}

func TestBadNetworksAreRefusedAndChangeNothing(t *testing.T) {
	r := networked(t)
	if a := r.network(http.MethodPut, "routeTables/loop", `{"location":"local","properties":{"routes":[{"name":"r","properties":{"addressPrefix":"0.0.0.0/0","nextHopType":"VirtualAppliance","nextHopIpAddress":"10.1.0.9"}}]}}`); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	vnet := func(space, subnets string) string {
		return `{"location":"local","properties":{"addressSpace":{"addressPrefixes":[` + space + `]},"subnets":[` + subnets + `]}}`
	}
	subnet := func(name, prefix string) string {
		return `{"name":"` + name + `","properties":{"addressPrefix":"` + prefix + `"}}`
	}
	rule := func(changes string) string {
		return `{"properties":{"protocol":"Tcp","access":"Allow","direction":"Inbound","priority":200,"sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRange":"80",` + changes + `"description":""}}`
	}
	route := func(prefix, hop, address string) string {
		return `{"properties":{"addressPrefix":"` + prefix + `","nextHopType":"` + hop + `","nextHopIpAddress":"` + address + `"}}`
	}
	for name, c := range map[string]struct {
		path, body string
		want
	}{
		"no address space":             {"virtualNetworks/new", vnet("", ""), want{400, "InvalidRequestFormat", "properties.addressSpace.addressPrefixes", "no address space"}},
		"a range that is none":         {"virtualNetworks/new", vnet(`"10.1.0.0"`, ""), want{400, "InvalidAddressPrefixFormat", "properties.addressSpace.addressPrefixes", "CIDR notation"}},
		"a range with host bits":       {"virtualNetworks/new", vnet(`"10.1.0.5/16"`, ""), want{400, "InvalidCIDRNotation", "", "should be 10.1.0.0/16"}},
		"a range of IPv6":              {"virtualNetworks/new", vnet(`"fd00::/48"`, ""), want{400, "PropertyNotSupported", "", "IPv6"}},
		"two ranges that overlap":      {"virtualNetworks/new", vnet(`"10.1.0.0/16","10.1.128.0/17"`, ""), want{400, "AddressPrefixesOverlap", "", "10.1.128.0/17"}},
		"the range of all":             {"virtualNetworks/new", vnet(`"0.0.0.0/0"`, ""), want{400, "InvalidAddressPrefix", "", "between /2 and /29"}},
		"link-local addresses":         {"virtualNetworks/new", vnet(`"169.254.0.0/16"`, ""), want{400, "AddressPrefixReserved", "", "link-local"}},
		"addresses of the edge":        {"virtualNetworks/new", vnet(`"198.18.4.0/24"`, ""), want{400, "AddressPrefixReserved", "", "public addresses"}},
		"a subnet outside":             {"virtualNetworks/new", vnet(`"10.1.0.0/16"`, subnet("a", "10.2.0.0/24")), want{400, "NetcfgSubnetRangeOutsideVnet", "properties.subnets[0].properties.addressPrefix", "outside"}},
		"subnets that overlap":         {"virtualNetworks/new", vnet(`"10.1.0.0/16"`, subnet("a", "10.1.0.0/24")+","+subnet("b", "10.1.0.128/25")), want{400, "NetcfgSubnetRangesOverlap", "properties.subnets[1].properties.addressPrefix", "'a'"}},
		"a subnet that is too small":   {"virtualNetworks/new", vnet(`"10.1.0.0/16"`, subnet("a", "10.1.0.0/30")), want{400, "NetcfgInvalidSubnet", "", "too small"}},
		"two subnets of a name":        {"virtualNetworks/new", vnet(`"10.1.0.0/16"`, subnet("a", "10.1.0.0/24")+","+subnet("A", "10.1.1.0/24")), want{400, "InvalidRequestFormat", "", "two subnets"}},
		"name servers of one's own":    {"virtualNetworks/new", strings.Replace(vnet(`"10.1.0.0/16"`, ""), `"addressSpace"`, `"dhcpOptions":{"dnsServers":["10.1.0.9"]},"addressSpace"`, 1), want{400, "PropertyNotSupported", "properties.dhcpOptions.dnsServers", "name servers"}},
		"a name of one letter":         {"virtualNetworks/x", vnet(`"10.1.0.0/16"`, ""), want{400, "InvalidResourceName", "name", "2 to 64"}},
		"another region":               {"virtualNetworks/new", strings.Replace(vnet(`"10.1.0.0/16"`, ""), "local", "westeurope", 1), want{400, "LocationNotAvailableForResourceType", "location", "westeurope"}},
		"a subnet over another":        {"virtualNetworks/vnet/subnets/c", `{"properties":{"addressPrefix":"10.1.1.128/25"}}`, want{400, "NetcfgSubnetRangesOverlap", "properties.addressPrefix", "'b'"}},
		"a group that is not there":    {"virtualNetworks/vnet/subnets/c", `{"properties":{"addressPrefix":"10.1.2.0/24","networkSecurityGroup":{"id":"` + networksAt + `networkSecurityGroups/absent"}}}`, want{400, "InvalidResourceReference", "properties.networkSecurityGroup.id", "was not found"}},
		"a group that is a table":      {"virtualNetworks/vnet/subnets/c", `{"properties":{"addressPrefix":"10.1.2.0/24","networkSecurityGroup":{"id":"` + networksAt + `routeTables/rt"}}}`, want{400, "InvalidResourceReference", "", "not the id"}},
		"a rule with two priorities":   {"networkSecurityGroups/nsg/securityRules/r", rule(`"priority":99,`), want{400, "InvalidRequestContent", "", "twice"}},
		"ports that are no range":      {"networkSecurityGroups/nsg/securityRules/r", strings.Replace(rule(""), `"80"`, `"90-80"`, 1), want{400, "SecurityRuleInvalidPortRange", "properties.destinationPortRange", "90-80"}},
		"a priority that is too high":  {"networkSecurityGroups/nsg/securityRules/r", strings.Replace(rule(""), "200", "4097", 1), want{400, "SecurityRuleInvalidPriority", "properties.priority", "4096"}},
		"a protocol that is not built": {"networkSecurityGroups/nsg/securityRules/r", strings.Replace(rule(""), "Tcp", "Esp", 1), want{400, "SecurityRuleParameterContainsUnsupportedValue", "properties.protocol", "Esp"}},
		"a tag that is not built":      {"networkSecurityGroups/nsg/securityRules/r", strings.Replace(rule(""), `"sourceAddressPrefix":"*"`, `"sourceAddressPrefix":"Storage"`, 1), want{400, "SecurityRuleInvalidAddressPrefix", "properties.sourceAddressPrefix", "service tags"}},
		"groups of applications":       {"networkSecurityGroups/nsg/securityRules/r", rule(`"sourceApplicationSecurityGroups":[{"id":"x"}],`), want{400, "PropertyNotSupported", "properties.sourceApplicationSecurityGroups", "not built"}},
		"two rules of a priority": {"networkSecurityGroups/new", `{"location":"local","properties":{"securityRules":[{"name":"x",` + strings.TrimPrefix(rule(""), "{") + `,{"name":"y",` + strings.TrimPrefix(rule(""), "{") + `]}}`,
			want{400, "SecurityRuleConflict", "properties.securityRules[1].properties.priority", "rule x"}},
		"a gateway":                      {"routeTables/rt/routes/r", route("10.9.0.0/16", "VirtualNetworkGateway", ""), want{400, "PropertyNotSupported", "properties.nextHopType", "not built"}},
		"a hop without an address":       {"routeTables/rt/routes/r", route("10.9.0.0/16", "VirtualAppliance", ""), want{400, "InvalidRouteNextHopIpAddress", "properties.nextHopIpAddress", "IPv4"}},
		"an address without a hop":       {"routeTables/rt/routes/r", route("10.9.0.0/16", "None", "10.1.0.9"), want{400, "InvalidRouteNextHopIpAddress", "", "only for routes"}},
		"a hop outside of the network":   {"routeTables/rt/routes/r", route("10.9.0.0/16", "VirtualAppliance", "10.2.0.9"), want{400, "InvalidRouteTable", "properties.routes", "lies in no subnet"}},
		"a route that comes back":        {"routeTables/rt/routes/r", route("10.9.0.0/16", "VirtualAppliance", "10.1.0.9"), want{400, "InvalidRouteTable", "properties.routes", "circle"}},
		"a route with host bits":         {"routeTables/rt/routes/r", route("10.9.0.1/16", "None", ""), want{400, "InvalidCIDRNotation", "properties.addressPrefix", "10.9.0.0/16"}},
		"a public address of IPv6":       {"publicIPAddresses/new", `{"location":"local","properties":{"publicIPAddressVersion":"IPv6"}}`, want{400, "PropertyNotSupported", "properties.publicIPAddressVersion", "IPv4"}},
		"a DNS name":                     {"publicIPAddresses/new", `{"location":"local","properties":{"dnsSettings":{"domainNameLabel":"x"}}}`, want{400, "PropertyNotSupported", "properties.dnsSettings", "not built"}},
		"another SKU":                    {"publicIPAddresses/ip", `{"location":"local","sku":{"name":"Basic"}}`, want{400, "PropertyChangeNotAllowed", "sku.name", "cannot be changed"}},
		"a prefix of no length":          {"publicIPPrefixes/new", `{"location":"local"}`, want{400, "InvalidRequestFormat", "properties.prefixLength", "28 to 31"}},
		"a prefix that is too large":     {"publicIPPrefixes/new", `{"location":"local","properties":{"prefixLength":24}}`, want{400, "InvalidParameter", "properties.prefixLength", "28 to 31"}},
		"a property that nobody knows":   {"virtualNetworks/new", strings.Replace(vnet(`"10.1.0.0/16"`, ""), `"addressSpace"`, `"colour":"red","addressSpace"`, 1), want{400, "InvalidRequestContent", "properties.colour", "unknown"}},
		"a table for a subnet in a loop": {"virtualNetworks/vnet/subnets/a", `{"properties":{"addressPrefix":"10.1.0.0/24","routeTable":{"id":"` + networksAt + `routeTables/loop"}}}`, want{400, "InvalidRouteTable", "properties.subnets", "circle"}},
	} {
		t.Run(name, func(t *testing.T) {
			r.t, r.writes = t, 0
			check(t, r.network(http.MethodPut, c.path, c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
			}
		})
	}
}

func FuzzNoBodyOfANetworkResourceMakesTheServiceFail(f *testing.F) {
	paths := []string{
		"virtualNetworks/demo", "virtualNetworks/demo/subnets/a", "networkSecurityGroups/demo", "networkSecurityGroups/demo/securityRules/r",
		"routeTables/demo", "routeTables/demo/routes/r", "publicIPAddresses/demo", "publicIPPrefixes/demo",
	}
	for i, body := range []string{vnetBody, subnetBody, `{"location":"local"}`, ruleBody, `{"location":"local"}`, routeBody, `{"location":"local"}`, `{"location":"local","properties":{"prefixLength":30}}`} {
		f.Add(i, body)
	}
	f.Add(0, `{"location":"local","properties":{"addressSpace":{"addressPrefixes":["255.255.255.255/32","::/0","0.0.0.0/32"]},"subnets":[{"properties":null},{"name":"","properties":{"networkSecurityGroup":{"id":"/"}}}]}}`)
	f.Add(4, `{"location":"local","properties":{"routes":[{"name":"a","properties":{"addressPrefix":"0.0.0.0/0","nextHopType":"VirtualAppliance","nextHopIpAddress":"10.1.0.9"}}]}}`)
	fuzzed := newFuzzed(f, false, nil)
	f.Fuzz(func(t *testing.T, at int, body string) {
		if at < 0 {
			at = -(at + 1)
		}
		fuzzed.send(t, http.MethodPut, networksAt+paths[at%len(paths)]+networkVersion, body)
	})
}
