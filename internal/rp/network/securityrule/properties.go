package securityrule

import "berth.dev/berth/internal/arm"

// Properties is the table of a rule as a resource of its own.
func Properties() []arm.Property {
	return append([]arm.Property{{Path: "name", Kind: arm.Any, Use: arm.ReadOnly}}, properties("")...)
}

// GroupProperties is the table of a security group's properties.
func GroupProperties() []arm.Property {
	const rule = "properties.securityRules[]"
	list := []arm.Property{
		{Path: "location", Kind: arm.String}, {Path: "tags", Kind: arm.Map}, {Path: "tags{}", Kind: arm.String}, {Path: "properties", Kind: arm.Object},
		{Path: "properties.flushConnection", Kind: arm.Boolean, Use: arm.Refused, Note: "connections that were let in stay until they end"},
		arm.Property{Path: "properties.securityRules", Kind: arm.Array}.AtMost(1000), {Path: rule, Kind: arm.Object}, {Path: rule + ".name", Kind: arm.String},
	}
	for _, name := range []string{"id", "name", "type", "etag"} {
		list = append(list, arm.Property{Path: name, Kind: arm.Any, Use: arm.ReadOnly})
	}
	for _, name := range []string{"provisioningState", "resourceGuid", "defaultSecurityRules", "subnets", "networkInterfaces", "flowLogs"} {
		list = append(list, arm.Property{Path: "properties." + name, Kind: arm.Any, Use: arm.ReadOnly})
	}
	return append(list, properties(rule+".")...)
}

func properties(prefix string) []arm.Property {
	p := prefix + "properties."
	const groups = "application security groups are not built: name addresses"
	list := []arm.Property{
		{Path: prefix + "id", Kind: arm.Any, Use: arm.ReadOnly}, {Path: prefix + "type", Kind: arm.Any, Use: arm.ReadOnly}, {Path: prefix + "etag", Kind: arm.Any, Use: arm.ReadOnly},
		{Path: prefix + "properties", Kind: arm.Object}, {Path: p + "provisioningState", Kind: arm.Any, Use: arm.ReadOnly},
		arm.Property{Path: p + "description", Kind: arm.String}.Like(`^.{0,140}$`, "up to 140 characters"),
		{Path: p + "protocol", Kind: arm.String}, {Path: p + "access", Kind: arm.String}, {Path: p + "direction", Kind: arm.String}, {Path: p + "priority", Kind: arm.Integer},
		{Path: p + "sourceApplicationSecurityGroups", Kind: arm.Any, Use: arm.Refused, Note: groups},
		{Path: p + "destinationApplicationSecurityGroups", Kind: arm.Any, Use: arm.Refused, Note: groups},
	}
	for _, name := range []string{"sourcePortRange", "destinationPortRange", "sourceAddressPrefix", "destinationAddressPrefix"} {
		plural := map[string]string{"sourcePortRange": "sourcePortRanges", "destinationPortRange": "destinationPortRanges",
			"sourceAddressPrefix": "sourceAddressPrefixes", "destinationAddressPrefix": "destinationAddressPrefixes"}[name]
		list = append(list, arm.Property{Path: p + name, Kind: arm.String},
			arm.Property{Path: p + plural, Kind: arm.Array}.AtMost(1000), arm.Property{Path: p + plural + "[]", Kind: arm.String})
	}
	return list
}
