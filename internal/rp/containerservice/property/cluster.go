package property

import "berth.dev/berth/internal/arm"

// Cluster is every property of a managed cluster that the API has,
// and what the service does with it. A property that is missing here is
// answered as unknown, so that a typing error never passes in silence.
func Cluster() []arm.Property {
	const p = "properties."
	table := []arm.Property{
		readOnly("id"), readOnly("name"), readOnly("type"), readOnly("systemData"), readOnly("eTag"),
		acts("location", arm.String), acts("tags", arm.Map), acts("tags{}", arm.String),
		inertOnly("kind", arm.String, "only the kind Base is built", "Base"),
		acts("sku", arm.Object),
		inertOnly("sku.name", arm.String, "only the SKU Base is built", "Base", "Basic").OneOf("Base", "Basic", "Automatic"),
		inertOnly("sku.tier", arm.String, "only the tier Free is built: the others promise a replicated control plane or long-term support", "Free").
			OneOf("Free", "Standard", "Premium", "Paid"),
		acts("identity", arm.Object),
		only("identity.type", arm.String, "SystemAssigned or UserAssigned; one that is given up loses its roles; nothing issues tokens to either yet").
			OneOf("None", "SystemAssigned", "UserAssigned"),
		readOnly("identity.principalId"), readOnly("identity.tenantId"),
		only("identity.userAssignedIdentities", arm.Map, "one identity, on which the caller needs assign/action; it cannot be deleted while the cluster has it"),
		acts("identity.userAssignedIdentities{}", arm.Object),
		readOnly("identity.userAssignedIdentities{}.clientId"), readOnly("identity.userAssignedIdentities{}.principalId"),
		refused("identity.delegatedResources", arm.Any, "delegated identities are not built"),
		acts("extendedLocation", arm.Object),
		refused("extendedLocation.name", arm.String, "edge zones are not built"),
		refused("extendedLocation.type", arm.String, "edge zones are not built").OneOf("EdgeZone"),
		refused("plan", arm.Any, "marketplace plans are not built"),
		refused("managedBy", arm.String, "resources that another resource manages are not built"),
		refused("zones", arm.Any, "availability zones are not built"),

		acts("properties", arm.Object),
		readOnly(p + "provisioningState"), readOnly(p + "maxAgentPools"), readOnly(p + "currentKubernetesVersion"),
		readOnly(p + "fqdn"), readOnly(p + "privateFQDN"), readOnly(p + "azurePortalFQDN"), readOnly(p + "resourceUID"), readOnly(p + "status"),
		readOnly(p + "powerState"),
		acts(p+"kubernetesVersion", arm.String), acts(p+"dnsPrefix", arm.String), acts(p+"nodeResourceGroup", arm.String),
		acts(p+"agentPoolProfiles", arm.Array), acts(p+"agentPoolProfiles[]", arm.Object),
	}
	table = append(table, networkProperties(p+"networkProfile")...)
	for _, part := range [][]arm.Property{
		accessProperties(p), apiServerProperties(p), nodeProperties(p), securityProperties(p), addonProperties(p), autoscalerProperties(p + "autoScalerProfile"), upgradeProperties(p), newerProperties(p),
	} {
		table = append(table, part...)
	}
	return append(table, poolProperties(p+"agentPoolProfiles[].")...)
}
