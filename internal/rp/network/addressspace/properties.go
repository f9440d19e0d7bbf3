package addressspace

import "berth.dev/berth/internal/arm"

// Reference is a resource that a property names by its id. What a read added to
// it may be sent back.
func Reference(path string) []arm.Property {
	list := []arm.Property{{Path: path, Kind: arm.Object}, {Path: path + ".id", Kind: arm.String}}
	for _, name := range []string{"name", "type", "location", "tags", "etag", "properties"} {
		list = append(list, arm.Property{Path: path + "." + name, Kind: arm.Any, Use: arm.ReadOnly})
	}
	return list
}

// ReadOnly are properties that are the service's own to say.
func ReadOnly(prefix string, names ...string) []arm.Property {
	var list []arm.Property
	for _, name := range names {
		list = append(list, arm.Property{Path: prefix + name, Kind: arm.Any, Use: arm.ReadOnly})
	}
	return list
}

func refused(path string, kind arm.Kind, note string, neutral ...any) arm.Property {
	return arm.Property{Path: path, Kind: kind, Use: arm.Refused, Note: note, Neutral: neutral}
}

// NetworkProperties is the table of a virtual network's properties.
func NetworkProperties() []arm.Property {
	const p = "properties."
	list := append(ReadOnly("", "id", "name", "type", "etag"),
		arm.Property{Path: "location", Kind: arm.String}, arm.Property{Path: "tags", Kind: arm.Map}, arm.Property{Path: "tags{}", Kind: arm.String},
		refused("extendedLocation", arm.Any, "there is one region"),
		arm.Property{Path: "properties", Kind: arm.Object},
		arm.Property{Path: p + "addressSpace", Kind: arm.Object},
		arm.Property{Path: p + "addressSpace.addressPrefixes", Kind: arm.Array}.AtMost(64), arm.Property{Path: p + "addressSpace.addressPrefixes[]", Kind: arm.String},
		refused(p+"addressSpace.ipamPoolPrefixAllocations", arm.Any, "pools of addresses are not built"),
		arm.Property{Path: p + "dhcpOptions", Kind: arm.Object},
		refused(p+"dhcpOptions.dnsServers", arm.Any, "name servers of one's own are not built: nodes resolve with the service's, and pods with their cluster's, which a ConfigMap changes"),
		refused(p+"virtualNetworkPeerings", arm.Any, "peerings are not built: networks do not see each other"),
		refused(p+"enableDdosProtection", arm.Boolean, "there is no such protection"),
		refused(p+"enableVmProtection", arm.Boolean, "there is no such protection"),
		refused(p+"ddosProtectionPlan", arm.Any, "there is no such protection"),
		refused(p+"bgpCommunities", arm.Any, "BGP is not built"),
		refused(p+"encryption", arm.Any, "encryption between nodes is not built"),
		refused(p+"ipAllocations", arm.Any, "allocations of addresses are not built"),
		refused(p+"flowTimeoutInMinutes", arm.Integer, "the idle time of connections cannot be chosen per network"),
		refused(p+"privateEndpointVNetPolicies", arm.String, "private endpoints are not built", "Disabled"),
	)
	list = append(list, ReadOnly(p, "provisioningState", "resourceGuid", "flowLogs", "defaultPublicNatGateway")...)
	list = append(list, arm.Property{Path: p + "subnets", Kind: arm.Array}.AtMost(256), arm.Property{Path: p + "subnets[]", Kind: arm.Object})
	return append(list, subnetProperties(p+"subnets[].", true)...)
}

// SubnetProperties is the table of a subnet as a resource of its own.
func SubnetProperties() []arm.Property { return subnetProperties("", false) }

func subnetProperties(prefix string, inline bool) []arm.Property {
	p := prefix + "properties."
	list := ReadOnly(prefix, "id", "type", "etag")
	name := arm.Property{Path: prefix + "name", Kind: arm.String}
	if !inline {
		name = arm.Property{Path: prefix + "name", Kind: arm.Any, Use: arm.ReadOnly}
	}
	list = append(list, name, arm.Property{Path: prefix + "properties", Kind: arm.Object},
		arm.Property{Path: p + "addressPrefix", Kind: arm.String},
		arm.Property{Path: p + "addressPrefixes", Kind: arm.Array}.AtMost(1), arm.Property{Path: p + "addressPrefixes[]", Kind: arm.String})
	list = append(list, Reference(p+"networkSecurityGroup")...)
	list = append(list, Reference(p+"routeTable")...)
	list = append(list,
		refused(p+"natGateway", arm.Any, "NAT gateways are not built: a cluster's traffic leaves through its load balancer"),
		refused(p+"serviceGateway", arm.Any, "service gateways are not built"),
		refused(p+"serviceEndpoints", arm.Any, "service endpoints are not built"),
		refused(p+"serviceEndpointPolicies", arm.Any, "service endpoints are not built"),
		refused(p+"delegations", arm.Any, "delegations are not built"),
		refused(p+"ipAllocations", arm.Any, "allocations of addresses are not built"),
		refused(p+"ipamPoolPrefixAllocations", arm.Any, "pools of addresses are not built"),
		refused(p+"applicationGatewayIPConfigurations", arm.Any, "application gateways are not built"),
		refused(p+"sharingScope", arm.Any, "subnets are not shared"),
		arm.Property{Path: p + "privateEndpointNetworkPolicies", Kind: arm.String, Use: arm.Inert, Note: "there are no private endpoints that it could speak of"}.
			OneOf("Enabled", "Disabled", "NetworkSecurityGroupEnabled", "RouteTableEnabled"),
		arm.Property{Path: p + "privateLinkServiceNetworkPolicies", Kind: arm.String, Use: arm.Inert, Note: "there are no private link services that it could speak of"}.
			OneOf("Enabled", "Disabled"),
		arm.Property{Path: p + "defaultOutboundAccess", Kind: arm.Boolean, Use: arm.Inert, Note: "what leaves is decided by each cluster's outboundType"},
	)
	return append(list, ReadOnly(p, "provisioningState", "ipConfigurations", "ipConfigurationProfiles", "purpose", "resourceNavigationLinks", "serviceAssociationLinks", "privateEndpoints")...)
}
