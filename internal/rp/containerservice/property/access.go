package property

import "berth.dev/berth/internal/arm"

// accessProperties are about who may use a cluster and as whom it acts.
func accessProperties(p string) []arm.Property {
	const directory = "logins with directory accounts are not built"
	return []arm.Property{
		inertOnly(p+"enableRBAC", arm.Boolean, "every cluster has Kubernetes RBAC, it cannot be off", true),
		refused(p+"disableLocalAccounts", arm.Boolean, "logins other than local accounts are not built"),
		refused(p+"enablePodSecurityPolicy", arm.Boolean, "Kubernetes has no pod security policies any more"),
		inertOnly(p+"supportPlan", arm.String, "long-term support is not built", "KubernetesOfficial").OneOf("KubernetesOfficial", "AKSLongTermSupport"),
		acts(p+"servicePrincipalProfile", arm.Object),
		inertOnly(p+"servicePrincipalProfile.clientId", arm.String, "a service principal of one's own is not built; leave it out for a system-assigned identity", "msi"),
		refused(p+"servicePrincipalProfile.secret", arm.String, "a service principal of one's own is not built").WriteOnly(),
		refused(p+"servicePrincipalProfile.keyVaultSecretRef", arm.Any, "a service principal of one's own is not built"),
		only(p+"identityProfile", arm.Map, "kubeletidentity is the identity of the nodes: the cluster's own, or where the cluster has a user-assigned one, another such one that both the caller and it may assign; nothing issues tokens to it yet"),
		acts(p+"identityProfile{}", arm.Object), acts(p+"identityProfile{}.resourceId", arm.String),
		acts(p+"identityProfile{}.clientId", arm.String), acts(p+"identityProfile{}.objectId", arm.String),
		acts(p+"aadProfile", arm.Object),
		refused(p+"aadProfile.managed", arm.Boolean, directory),
		refused(p+"aadProfile.enableAzureRBAC", arm.Boolean, directory),
		refused(p+"aadProfile.adminGroupObjectIDs", arm.Array, directory), acts(p+"aadProfile.adminGroupObjectIDs[]", arm.String).Like(aGUID, guidForm),
		refused(p+"aadProfile.tenantID", arm.String, directory).Like(aGUID, guidForm),
		refused(p+"aadProfile.clientAppID", arm.String, directory), refused(p+"aadProfile.serverAppID", arm.String, directory),
		refused(p+"aadProfile.serverAppSecret", arm.String, directory).WriteOnly(),
		acts(p+"podIdentityProfile", arm.Object),
		refused(p+"podIdentityProfile.enabled", arm.Boolean, "pod identities are not built"),
		refused(p+"podIdentityProfile.allowNetworkPluginKubenet", arm.Boolean, "pod identities are not built"),
		refused(p+"podIdentityProfile.userAssignedIdentities", arm.Any, "pod identities are not built"),
		refused(p+"podIdentityProfile.userAssignedIdentityExceptions", arm.Any, "pod identities are not built"),
		acts(p+"oidcIssuerProfile", arm.Object), readOnly(p + "oidcIssuerProfile.issuerURL"),
		refused(p+"oidcIssuerProfile.enabled", arm.Boolean, "serving the issuer's keys is not built"),
	}
}

// apiServerProperties are about how the API server is reached.
func apiServerProperties(p string) []arm.Property {
	const private = "private clusters are not built"
	a := p + "apiServerAccessProfile."
	return []arm.Property{
		inertOnly(p+"publicNetworkAccess", arm.String, private, "Enabled").OneOf("Enabled", "Disabled"),
		refused(p+"fqdnSubdomain", arm.String, "private clusters are not built; use dnsPrefix"),
		acts(p+"apiServerAccessProfile", arm.Object),
		acts(a+"disableRunCommand", arm.Boolean),
		acts(a+"authorizedIPRanges", arm.Array),
		acts(a+"authorizedIPRanges[]", arm.String),
		refused(a+"enablePrivateCluster", arm.Boolean, private),
		refused(a+"enablePrivateClusterPublicFQDN", arm.Boolean, private),
		refused(a+"privateDNSZone", arm.String, private).Like(`(?i)^(system|none|/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft.Network/privateDnsZones/[^/]+)$`,
			"system, none or the id of a private DNS zone"),
		refused(a+"enableVnetIntegration", arm.Boolean, "it is not built"),
		refused(a+"subnetId", arm.String, "subnets of one's own are not built").Like(anID, idForm),
		refused(p+"privateLinkResources", arm.Any, "private links are not built"),
		acts(p+"httpProxyConfig", arm.Object),
		refused(p+"httpProxyConfig.enabled", arm.Boolean, "proxies are not built"),
		refused(p+"httpProxyConfig.httpProxy", arm.String, "proxies are not built").Like(aURL, urlForm),
		refused(p+"httpProxyConfig.httpsProxy", arm.String, "proxies are not built").Like(aURL, urlForm),
		refused(p+"httpProxyConfig.noProxy", arm.Array, "proxies are not built"), acts(p+"httpProxyConfig.noProxy[]", arm.String),
		refused(p+"httpProxyConfig.trustedCa", arm.String, "proxies are not built").Like(inBase64, base64Form),
	}
}
