package property

import "berth.dev/berth/internal/arm"

// networkProperties are those of the network profile.
func networkProperties(path string) []arm.Property {
	n := path + "."
	return []arm.Property{
		acts(path, arm.Object),
		acts(n+"podCidr", arm.String), acts(n+"serviceCidr", arm.String), acts(n+"dnsServiceIP", arm.String),
		acts(n+"podCidrs", arm.Array), acts(n+"podCidrs[]", arm.String),
		acts(n+"serviceCidrs", arm.Array), acts(n+"serviceCidrs[]", arm.String),
		acts(n+"ipFamilies", arm.Array), inertOnly(n+"ipFamilies[]", arm.String, "only IPv4 is built", "IPv4"),
		inertOnly(n+"networkPlugin", arm.String, "only kubenet is built, a pod range per node that the virtual network routes", "kubenet"),
		inertOnly(n+"outboundType", arm.String, "only loadBalancer is built", "loadBalancer"),
		inertOnly(n+"loadBalancerSku", arm.String, "only the standard load balancer is built", "standard"),
		inertOnly(n+"networkPolicy", arm.String, "network policies are not built", "none"),
		inertOnly(n+"networkDataplane", arm.String, "only the data plane of kube-proxy is built", "azure"),
		inert(n+"dockerBridgeCidr", arm.String, "nodes have no Docker, and so no bridge of it"),
		refused(n+"networkPluginMode", arm.String, "overlay networks are not built"),
		refused(n+"networkMode", arm.String, "it goes with the network plugin azure, which is not built"),
		refused(n+"advancedNetworking", arm.Any, "advanced networking is not built"),
		refused(n+"natGatewayProfile", arm.Any, "NAT gateways are not built"),
		refused(n+"kubeProxyConfig", arm.Any, "settings of kube-proxy are not built"),
		refused(n+"staticEgressGatewayProfile", arm.Any, "static egress gateways are not built"),
		refused(n+"podLinkLocalAccess", arm.Any, "settings of link-local access are not built"),
		acts(n+"loadBalancerProfile", arm.Object),
		readOnly(n + "loadBalancerProfile.effectiveOutboundIPs"),
		acts(n+"loadBalancerProfile.managedOutboundIPs", arm.Object),
		inertOnly(n+"loadBalancerProfile.managedOutboundIPs.count", arm.Integer, "only one outbound address is built", 1.0),
		refused(n+"loadBalancerProfile.managedOutboundIPs.countIPv6", arm.Integer, "only IPv4 is built"),
		refused(n+"loadBalancerProfile.outboundIPs", arm.Any, "outbound addresses of one's own are not built"),
		refused(n+"loadBalancerProfile.outboundIPPrefixes", arm.Any, "outbound prefixes are not built"),
		refused(n+"loadBalancerProfile.allocatedOutboundPorts", arm.Integer, "limits of outbound ports are not built"),
		inertOnly(n+"loadBalancerProfile.idleTimeoutInMinutes", arm.Integer, "only the default idle timeout of 30 minutes is built", 30.0),
		inertOnly(n+"loadBalancerProfile.backendPoolType", arm.String, "only NodeIPConfiguration is built", "NodeIPConfiguration"),
		refused(n+"loadBalancerProfile.enableMultipleStandardLoadBalancers", arm.Boolean, "several load balancers are not built"),
	}
}
