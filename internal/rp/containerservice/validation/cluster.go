package validation

import (
	"fmt"
	"net/netip"
	"strings"
	"unicode"
)

const p = "properties."

// Cluster checks the rules of a managed cluster.
func Cluster(v Values) {
	checkTier(v)
	checkIdentity(v)
	checkAccess(v)
	checkAPIServer(v)
	checkNetwork(v)
	checkOutbound(v)
	checkSecurity(v)
	checkWindows(v)
	checkMesh(v)
}

func checkTier(v Values) {
	premium := v.is("sku.tier", "Premium")
	if v.is(p+"supportPlan", "AKSLongTermSupport") != premium {
		at, why := p+"supportPlan", "The support plan AKSLongTermSupport and the tier Premium go together: set both or none."
		if premium {
			at = "sku.tier"
		}
		v.wrong(at, why, "sku.tier", p+"supportPlan")
	}
	if v.on(p + "metricsProfile.costAnalysis.enabled") {
		v.needs(p+"metricsProfile.costAnalysis.enabled", v.is("sku.tier", "Standard", "Premium", "Paid"), "Cost analysis needs the tier Standard or Premium.", "sku.tier")
	}
}

func checkIdentity(v Values) {
	const identities = "identity.userAssignedIdentities"
	switch user := v.is("identity.type", "UserAssigned"); {
	case user && !v.filled(identities):
		v.wrong("identity.type", "An identity of the type UserAssigned needs one entry in userAssignedIdentities.", identities)
	case !user && v.filled(identities):
		v.wrong(identities, "userAssignedIdentities goes with the identity type UserAssigned.", "identity.type")
	}
	if named, _ := v.Get(identities).(map[string]any); len(named) > 1 {
		v.wrong(identities, fmt.Sprintf("There are %d identities; a cluster has at most one.", len(named)))
	}
	if id := v.text(p + "servicePrincipalProfile.clientId"); id != "" && !strings.EqualFold(id, "msi") && v.Sent(p+"servicePrincipalProfile.clientId") {
		v.needs(p+"servicePrincipalProfile.secret", v.filled(p+"servicePrincipalProfile.secret"), "A service principal needs its secret.", p+"servicePrincipalProfile.clientId")
	}
}

func checkAccess(v Values) {
	const directory = p + "aadProfile."
	managed := v.on(directory + "managed")
	if v.on(p + "disableLocalAccounts") {
		v.needs(p+"disableLocalAccounts", managed, "Local accounts can only be disabled in a cluster with directory logins: set aadProfile.managed.", directory+"managed")
	}
	if v.on(directory + "enableAzureRBAC") {
		v.needs(directory+"enableAzureRBAC", managed, "enableAzureRBAC needs aadProfile.managed.", directory+"managed")
	}
	for _, old := range []string{"clientAppID", "serverAppID", "serverAppSecret"} {
		if managed && v.filled(directory+old) {
			v.wrong(directory+old, old+" belongs to directory logins that are not managed; leave it out.", directory+"managed")
		}
	}
	if v.on(p+"podIdentityProfile.enabled") && v.is(p+"networkProfile.networkPlugin", "kubenet", "") {
		v.needs(p+"podIdentityProfile.enabled", v.on(p+"podIdentityProfile.allowNetworkPluginKubenet"), "Pod identities in a cluster of the network plugin kubenet need allowNetworkPluginKubenet.",
			p+"podIdentityProfile.allowNetworkPluginKubenet", p+"networkProfile.networkPlugin")
	}
	if v.on(p + "securityProfile.workloadIdentity.enabled") {
		v.needs(p+"securityProfile.workloadIdentity.enabled", v.on(p+"oidcIssuerProfile.enabled"), "Workload identities need the issuer: set oidcIssuerProfile.enabled.", p+"oidcIssuerProfile.enabled")
	}
}

func checkAPIServer(v Values) {
	const a = p + "apiServerAccessProfile."
	private := v.on(a + "enablePrivateCluster")
	for _, name := range []string{"privateDNSZone", "enablePrivateClusterPublicFQDN"} {
		if v.filled(a + name) {
			v.needs(a+name, private, name+" needs a private cluster: set enablePrivateCluster.", a+"enablePrivateCluster")
		}
	}
	if private && v.filled(a+"authorizedIPRanges") {
		v.wrong(a+"authorizedIPRanges", "A private cluster has no authorized address ranges.", a+"enablePrivateCluster")
	}
	for i, entry := range v.list(a + "authorizedIPRanges") {
		if text, _ := entry.(string); !isRange(text) && v.Sent(a+"authorizedIPRanges") {
			v.Fields.Invalid(fmt.Sprintf("%s[%d]", v.At(a+"authorizedIPRanges"), i), "'%.60s' is neither an address nor a range in CIDR notation.", text)
		}
	}
	if v.filled(p + "fqdnSubdomain") {
		v.needs(p+"fqdnSubdomain", strings.HasPrefix(strings.ToLower(v.text(a+"privateDNSZone")), "/subscriptions/"),
			"fqdnSubdomain needs a private cluster with a DNS zone of one's own; use dnsPrefix otherwise.", a+"privateDNSZone")
		if v.Sent(p+"dnsPrefix") && v.filled(p+"dnsPrefix") {
			v.wrong(p+"fqdnSubdomain", "dnsPrefix and fqdnSubdomain exclude each other.")
		}
	}
}

func isRange(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(text)
	return err == nil
}

func checkNetwork(v Values) {
	const n = p + "networkProfile."
	plugin := n + "networkPlugin"
	if v.is(n+"networkPolicy", "cilium") {
		v.needs(n+"networkPolicy", v.is(n+"networkDataplane", "cilium"), "The network policy cilium needs the networkDataplane cilium.", n+"networkDataplane")
	}
	if v.is(n+"networkPolicy", "azure") {
		v.needs(n+"networkPolicy", v.is(plugin, "azure"), "The network policy azure needs the network plugin azure.", plugin)
	}
	for _, name := range []string{"networkMode", "networkPluginMode"} {
		if v.filled(n + name) {
			v.needs(n+name, v.is(plugin, "azure"), name+" goes with the network plugin azure.", plugin)
		}
	}
	if v.is(n+"networkDataplane", "cilium") {
		v.needs(n+"networkDataplane", v.is(plugin, "azure"), "The networkDataplane cilium needs the network plugin azure.", plugin)
	}
	families := v.list(n + "ipFamilies")
	if len(families) == 2 && families[0] == families[1] {
		v.wrong(n+"ipFamilies", "ipFamilies names the same family twice.")
	}
	if v.on(n+"advancedNetworking.security.enabled") || v.on(n+"advancedNetworking.observability.enabled") {
		v.needs(n+"advancedNetworking.enabled", v.on(n+"advancedNetworking.enabled"), "Parts of advancedNetworking need advancedNetworking.enabled.",
			n+"advancedNetworking.security.enabled", n+"advancedNetworking.observability.enabled")
	}
}

func checkOutbound(v Values) {
	const n = p + "networkProfile."
	const l = n + "loadBalancerProfile."
	var ways []string
	for _, way := range []struct{ path, name string }{
		{l + "managedOutboundIPs.count", "managedOutboundIPs"}, {l + "outboundIPs.publicIPs", "outboundIPs"}, {l + "outboundIPPrefixes.publicIPPrefixes", "outboundIPPrefixes"},
	} {
		if v.Sent(way.path) && v.filled(way.path) {
			ways = append(ways, way.name)
		}
	}
	if len(ways) > 1 {
		v.Fields.Invalid(v.At(n+"loadBalancerProfile"), "%s exclude each other: the outbound addresses are either managed, or named, or of named prefixes.", strings.Join(ways, " and "))
	}
	if ports, there := v.number(l + "allocatedOutboundPorts"); there && int(ports)%8 != 0 {
		v.wrong(l+"allocatedOutboundPorts", fmt.Sprintf("The allocatedOutboundPorts %v is no multiple of 8.", ports))
	}
	outbound := n + "outboundType"
	if gateway := n + "natGatewayProfile"; v.Sent(gateway+".managedOutboundIPProfile.count") || v.Sent(gateway+".idleTimeoutInMinutes") {
		v.needs(gateway, v.is(outbound, "managedNATGateway", "userAssignedNATGateway"), "natGatewayProfile goes with the outboundType managedNATGateway.",
			outbound, gateway+".managedOutboundIPProfile.count", gateway+".idleTimeoutInMinutes")
	}
	if v.filled(p + "bootstrapProfile.containerRegistryId") {
		v.needs(p+"bootstrapProfile.containerRegistryId", v.is(p+"bootstrapProfile.artifactSource", "Cache"), "containerRegistryId goes with the artifactSource Cache.", p+"bootstrapProfile.artifactSource")
	}
}

func checkSecurity(v Values) {
	const s = p + "securityProfile."
	const kms = s + "azureKeyVaultKms."
	if v.on(kms + "enabled") {
		v.needs(kms+"keyId", v.filled(kms+"keyId"), "Encryption with a key vault needs the keyId.", kms+"enabled")
	}
	switch private := v.is(kms+"keyVaultNetworkAccess", "Private"); {
	case private && !v.filled(kms+"keyVaultResourceId"):
		v.wrong(kms+"keyVaultResourceId", "A key vault with private access needs the keyVaultResourceId.", kms+"keyVaultNetworkAccess")
	case !private && v.filled(kms+"keyVaultResourceId"):
		v.wrong(kms+"keyVaultResourceId", "keyVaultResourceId goes with the keyVaultNetworkAccess Private.", kms+"keyVaultNetworkAccess")
	}
	if v.on(s + "defender.securityMonitoring.enabled") {
		v.needs(s+"defender.logAnalyticsWorkspaceResourceId", v.filled(s+"defender.logAnalyticsWorkspaceResourceId"), "Security monitoring needs the logAnalyticsWorkspaceResourceId.", s+"defender.securityMonitoring.enabled")
	}
}

// checkWindows checks the profile of Windows nodes: the API's rules of names and passwords.
func checkWindows(v Values) {
	const w = p + "windowsProfile."
	if name := v.text(w + "adminUsername"); name != "" {
		switch {
		case len(name) > 20 || strings.HasSuffix(name, ".") || strings.ContainsAny(name, `\/"[]:|<>+=;,?*@& `):
			v.wrong(w+"adminUsername", `The adminUsername has 1 to 20 characters, none of \ / " [ ] : | < > + = ; , ? * @ & or a space, and does not end with a period.`)
		case deniedName(name):
			v.wrong(w+"adminUsername", fmt.Sprintf("The adminUsername '%s' is one of those that are not allowed.", name))
		}
	}
	if password := v.text(w + "adminPassword"); v.Sent(w+"adminPassword") && password != "" && (len(password) < 8 || len(password) > 123 || classes(password) < 3) {
		v.wrong(w+"adminPassword", "The adminPassword has 8 to 123 characters, of three of these: lower case, upper case, digits, others.")
	}
	if gmsa := w + "gmsaProfile."; v.filled(gmsa+"dnsServer") != v.filled(gmsa+"rootDomainName") {
		v.wrong(w+"gmsaProfile", "dnsServer and rootDomainName go together: set both or none.", gmsa+"dnsServer", gmsa+"rootDomainName")
	}
}

func deniedName(name string) bool {
	const denied = " administrator admin user user1 test user2 test1 user3 admin1 1 123 a actuser adm admin2 aspnet backup console david guest john owner root server sql support support_388945a0 sys test2 test3 user4 user5 "
	return strings.Contains(denied, " "+strings.ToLower(name)+" ")
}

// classes counts the kinds of characters in a password.
func classes(password string) int {
	var lower, upper, digit, other int
	for _, c := range password {
		switch {
		case unicode.IsLower(c):
			lower = 1
		case unicode.IsUpper(c):
			upper = 1
		case unicode.IsDigit(c):
			digit = 1
		default:
			other = 1
		}
	}
	return lower + upper + digit + other
}

func checkMesh(v Values) {
	const m = p + "serviceMeshProfile."
	istio := v.is(m+"mode", "Istio")
	for _, part := range []string{"istio.revisions", "istio.components.ingressGateways", "istio.components.egressGateways", "istio.certificateAuthority.plugin"} {
		if v.filled(m + part) {
			v.needs(m+part, istio, part+" goes with the service mesh mode Istio.", m+"mode")
		}
	}
}
