package containerservice

import "berth.dev/berth/internal/arm"

// Properties are the tables of properties by resource type, for those who tell
// callers what the service does with each.
func Properties() map[string][]arm.Property {
	return map[string][]arm.Property{"managedClusters": clusterProperties(), "managedClusters/agentPools": agentPoolProperties()}
}

// clusterProperties is every property of a managed cluster that the API has,
// and what the service does with it. A property that is missing here is
// answered as unknown, so that a typing error never passes in silence.
func clusterProperties() []arm.Property {
	const p = "properties."
	table := []arm.Property{
		readOnly("id"), readOnly("name"), readOnly("type"), readOnly("systemData"), readOnly("eTag"),
		acts("location", arm.String), acts("tags", arm.Map), acts("tags{}", arm.String),
		inertOnly("kind", arm.String, "only the kind Base is built", "Base"),
		acts("sku", arm.Object),
		inertOnly("sku.name", arm.String, "only the SKU Base is built", "Base", "Basic"),
		inertOnly("sku.tier", arm.String, "only the tier Free is built: the others promise a replicated control plane or long-term support", "Free"),
		acts("identity", arm.Object),
		inertOnly("identity.type", arm.String, "only a system-assigned identity is built", "SystemAssigned"),
		readOnly("identity.principalId"), readOnly("identity.tenantId"),
		refused("identity.userAssignedIdentities", arm.Any, "user-assigned identities are not built"),
		refused("identity.delegatedResources", arm.Any, "delegated identities are not built"),
		refused("extendedLocation", arm.Any, "edge zones are not built"),
		refused("plan", arm.Any, "marketplace plans are not built"),
		refused("managedBy", arm.String, "resources that another resource manages are not built"),
		refused("zones", arm.Any, "availability zones are not built"),

		acts("properties", arm.Object),
		readOnly(p + "provisioningState"), readOnly(p + "maxAgentPools"), readOnly(p + "currentKubernetesVersion"),
		readOnly(p + "fqdn"), readOnly(p + "privateFQDN"), readOnly(p + "azurePortalFQDN"), readOnly(p + "resourceUID"), readOnly(p + "status"),
		acts(p+"powerState", arm.Object),
		inertOnly(p+"powerState.code", arm.String, "stopping a cluster is not built", "Running"),
		acts(p+"kubernetesVersion", arm.String), acts(p+"dnsPrefix", arm.String), acts(p+"nodeResourceGroup", arm.String),
		acts(p+"agentPoolProfiles", arm.Array), acts(p+"agentPoolProfiles[]", arm.Object),
	}
	table = append(table, networkProperties(p+"networkProfile")...)
	table = append(table, clusterFeatures(p)...)
	return append(table, poolProperties(p+"agentPoolProfiles[].")...)
}

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

// clusterFeatures are the properties of features around a cluster, most of them not built yet.
func clusterFeatures(p string) []arm.Property {
	return []arm.Property{
		inertOnly(p+"enableRBAC", arm.Boolean, "every cluster has Kubernetes RBAC, it cannot be off", true),
		refused(p+"disableLocalAccounts", arm.Boolean, "logins other than local accounts are not built"),
		refused(p+"enablePodSecurityPolicy", arm.Boolean, "Kubernetes has no pod security policies any more"),
		inertOnly(p+"supportPlan", arm.String, "long-term support is not built", "KubernetesOfficial"),
		inertOnly(p+"publicNetworkAccess", arm.String, "private clusters are not built", "Enabled"),
		refused(p+"fqdnSubdomain", arm.String, "private clusters are not built; use dnsPrefix"),
		acts(p+"servicePrincipalProfile", arm.Object),
		inertOnly(p+"servicePrincipalProfile.clientId", arm.String, "a service principal of one's own is not built; leave it out for a system-assigned identity", "msi"),
		refused(p+"servicePrincipalProfile.secret", arm.String, "a service principal of one's own is not built"),
		acts(p+"linuxProfile", arm.Object),
		inert(p+"linuxProfile.adminUsername", arm.String, "nodes have no SSH server"),
		acts(p+"linuxProfile.ssh", arm.Object),
		inert(p+"linuxProfile.ssh.publicKeys", arm.Any, "nodes have no SSH server"),
		refused(p+"windowsProfile", arm.Any, "Windows nodes are not built"),
		refused(p+"addonProfiles", arm.Any, "add-ons are not built"),
		refused(p+"podIdentityProfile", arm.Any, "pod identities are not built"),
		refused(p+"oidcIssuerProfile", arm.Any, "serving the issuer's keys is not built"),
		only(p+"identityProfile", arm.Map, "it names the identity of the nodes; only the cluster's own is accepted, and nothing issues tokens to it yet"),
		acts(p+"identityProfile{}", arm.Object), acts(p+"identityProfile{}.resourceId", arm.String),
		acts(p+"identityProfile{}.clientId", arm.String), acts(p+"identityProfile{}.objectId", arm.String),
		refused(p+"aadProfile", arm.Any, "logins with directory accounts are not built"),
		refused(p+"autoScalerProfile", arm.Any, "the cluster autoscaler is not built"),
		acts(p+"autoUpgradeProfile", arm.Object),
		inertOnly(p+"autoUpgradeProfile.upgradeChannel", arm.String, "automatic upgrades are not built", "none"),
		inertOnly(p+"autoUpgradeProfile.nodeOSUpgradeChannel", arm.String, "automatic upgrades of the node image are not built", "None", "NodeImage"),
		refused(p+"upgradeSettings", arm.Any, "overrides of upgrades are not built"),
		acts(p+"apiServerAccessProfile", arm.Object),
		inert(p+"apiServerAccessProfile.disableRunCommand", arm.Boolean, "run command is not built, so it is never enabled"),
		refused(p+"apiServerAccessProfile.authorizedIPRanges", arm.Any, "restricting the API server to address ranges is not built"),
		refused(p+"apiServerAccessProfile.enablePrivateCluster", arm.Boolean, "private clusters are not built"),
		refused(p+"apiServerAccessProfile.enablePrivateClusterPublicFQDN", arm.Boolean, "private clusters are not built"),
		refused(p+"apiServerAccessProfile.privateDNSZone", arm.String, "private clusters are not built"),
		refused(p+"apiServerAccessProfile.enableVnetIntegration", arm.Boolean, "it is not built"),
		refused(p+"apiServerAccessProfile.subnetId", arm.String, "subnets of one's own are not built"),
		refused(p+"diskEncryptionSetID", arm.String, "disk encryption sets are not built"),
		refused(p+"privateLinkResources", arm.Any, "private links are not built"),
		refused(p+"httpProxyConfig", arm.Any, "proxies are not built"),
		inertOnly(p+"securityProfile", arm.Any, "the features of the security profile are not built", 24.0, 48.0, 168.0),
		refused(p+"storageProfile", arm.Any, "storage drivers are not built"),
		refused(p+"ingressProfile", arm.Any, "managed ingress is not built"),
		inertOnly(p+"serviceMeshProfile", arm.Any, "service meshes are not built", "Disabled"),
		refused(p+"workloadAutoScalerProfile", arm.Any, "workload autoscalers are not built"),
		refused(p+"azureMonitorProfile", arm.Any, "monitoring is not built"),
		refused(p+"metricsProfile", arm.Any, "cost analysis is not built"),
		inertOnly(p+"nodeResourceGroupProfile", arm.Any, "locking the node resource group is not built", "Unrestricted"),
		inertOnly(p+"bootstrapProfile", arm.Any, "only the artifact source Direct is built", "Direct"),
		inertOnly(p+"nodeProvisioningProfile", arm.Any, "node auto-provisioning is not built", "Manual"),
		refused(p+"aiToolchainOperatorProfile", arm.Any, "the AI toolchain operator is not built"),
		refused(p+"creationData", arm.Any, "cluster snapshots are not built"),
		refused(p+"enableNamespaceResources", arm.Boolean, "namespaces as ARM resources are not built"),
		refused(p+"safeguardsProfile", arm.Any, "deployment safeguards are not built"),
		refused(p+"hostedSystemProfile", arm.Any, "hosted system components are not built"),
		refused(p+"schedulerProfile", arm.Any, "settings of the scheduler are not built"),
	}
}

func acts(path string, kind arm.Kind) arm.Property { return arm.Property{Path: path, Kind: kind} }

// only is a property that accepts one value, for which there is a rule in code.
func only(path string, kind arm.Kind, note string) arm.Property {
	return arm.Property{Path: path, Kind: kind, Note: note}
}

func readOnly(path string) arm.Property {
	return arm.Property{Path: path, Kind: arm.Any, Use: arm.ReadOnly}
}

func inert(path string, kind arm.Kind, why string) arm.Property {
	return arm.Property{Path: path, Kind: kind, Use: arm.Inert, Note: why}
}

func refused(path string, kind arm.Kind, note string) arm.Property {
	return arm.Property{Path: path, Kind: kind, Use: arm.Refused, Note: note}
}

// inertOnly refuses all values but those that ask for what is there anyway;
// these are kept and given back.
func inertOnly(path string, kind arm.Kind, note string, neutral ...any) arm.Property {
	return arm.Property{Path: path, Kind: kind, Use: arm.Refused, Note: note, Neutral: neutral}
}
