package property

import "berth.dev/berth/internal/arm"

// networkProperties are those of the network profile.
func networkProperties(path string) []arm.Property {
	n := path + "."
	table := []arm.Property{
		acts(path, arm.Object),
		acts(n+"podCidr", arm.String), acts(n+"serviceCidr", arm.String), acts(n+"dnsServiceIP", arm.String),
		acts(n+"podCidrs", arm.Array), acts(n+"podCidrs[]", arm.String),
		acts(n+"serviceCidrs", arm.Array), acts(n+"serviceCidrs[]", arm.String),
		acts(n+"ipFamilies", arm.Array).AtMost(2), inertOnly(n+"ipFamilies[]", arm.String, "only IPv4 is built", "IPv4").OneOf("IPv4", "IPv6"),
		only(n+"networkPlugin", arm.String, "for life; without one kubenet, from the api-version 2025-02-01 on azure with the mode overlay; none waits for a plugin of one's own, for which nodes have pod ranges that the network routes").
			OneOf("azure", "kubenet", "none"),
		inertOnly(n+"outboundType", arm.String, "only loadBalancer and none are built; for life", "loadBalancer", "none").
			OneOf("loadBalancer", "userDefinedRouting", "managedNATGateway", "userAssignedNATGateway", "none"),
		inertOnly(n+"loadBalancerSku", arm.String, "only the standard load balancer is built", "standard").OneOf("standard", "basic"),
		inertOnly(n+"networkPolicy", arm.String, "network policies are not built", "none").OneOf("none", "calico", "azure", "cilium"),
		inertOnly(n+"networkDataplane", arm.String, "only the data plane of kube-proxy is built", "azure").OneOf("azure", "cilium"),
		inert(n+"dockerBridgeCidr", arm.String, "nodes have no Docker, and so no bridge of it"),
		only(n+"networkPluginMode", arm.String, "for life; a cluster of the plugin azure cannot become an overlay").OneOf("overlay"),
		inertOnly(n+"networkMode", arm.String, "pods are routed, not bridged", "transparent").OneOf("transparent", "bridge"),
		acts(n+"advancedNetworking", arm.Object),
		refused(n+"advancedNetworking.enabled", arm.Boolean, "advanced networking is not built"),
		acts(n+"advancedNetworking.observability", arm.Object),
		refused(n+"advancedNetworking.observability.enabled", arm.Boolean, "observing the network is not built"),
		acts(n+"advancedNetworking.security", arm.Object),
		refused(n+"advancedNetworking.security.enabled", arm.Boolean, "policies of names are not built"),
		refused(n+"advancedNetworking.security.advancedNetworkPolicies", arm.String, "policies of names are not built").OneOf("None", "FQDN", "L7"),
		refused(n+"kubeProxyConfig", arm.Any, "settings of kube-proxy are not built"),
		refused(n+"staticEgressGatewayProfile", arm.Any, "static egress gateways are not built"),
		refused(n+"podLinkLocalAccess", arm.Any, "settings of link-local access are not built"),
	}
	table = append(table, balancerProperties(n+"loadBalancerProfile")...)
	return append(table, gatewayProperties(n+"natGatewayProfile")...)
}

// balancerProperties are those of the outbound side of the load balancer.
func balancerProperties(path string) []arm.Property {
	l := path + "."
	return []arm.Property{
		acts(path, arm.Object),
		readOnly(l + "effectiveOutboundIPs"),
		acts(l+"managedOutboundIPs", arm.Object),
		acts(l+"managedOutboundIPs.count", arm.Integer).Between(1, 100),
		refused(l+"managedOutboundIPs.countIPv6", arm.Integer, "only IPv4 is built").Between(0, 100),
		acts(l+"outboundIPs", arm.Object),
		acts(l+"outboundIPs.publicIPs", arm.Array),
		acts(l+"outboundIPs.publicIPs[]", arm.Object), acts(l+"outboundIPs.publicIPs[].id", arm.String).Like(anID, idForm),
		acts(l+"outboundIPPrefixes", arm.Object),
		acts(l+"outboundIPPrefixes.publicIPPrefixes", arm.Array),
		acts(l+"outboundIPPrefixes.publicIPPrefixes[]", arm.Object), acts(l+"outboundIPPrefixes.publicIPPrefixes[].id", arm.String).Like(anID, idForm),
		acts(l+"allocatedOutboundPorts", arm.Integer).Between(0, 64000),
		inertOnly(l+"idleTimeoutInMinutes", arm.Integer, "only the default idle timeout of 30 minutes is built", 30.0).Between(4, 120),
		inertOnly(l+"backendPoolType", arm.String, "only NodeIPConfiguration is built", "NodeIPConfiguration").OneOf("NodeIPConfiguration", "NodeIP"),
		refused(l+"enableMultipleStandardLoadBalancers", arm.Boolean, "several load balancers are not built"),
	}
}

// gatewayProperties are those of the outbound side that a NAT gateway is.
func gatewayProperties(path string) []arm.Property {
	const why = "NAT gateways are not built"
	g := path + "."
	return []arm.Property{
		acts(path, arm.Object),
		readOnly(g + "effectiveOutboundIPs"),
		acts(g+"managedOutboundIPProfile", arm.Object),
		inertOnly(g+"managedOutboundIPProfile.count", arm.Integer, why, 1.0).Between(1, 16),
		inertOnly(g+"idleTimeoutInMinutes", arm.Integer, why, 4.0).Between(4, 120),
	}
}
