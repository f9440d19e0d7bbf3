package validation

import (
	"encoding/json"
	"strings"
	"testing"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/containerservice/property"
)

// read holds a body against the table and the rules and returns what is wrong
// but for what is not supported.
func read(t *testing.T, table []arm.Property, body string, check func(Values)) []arm.Detail {
	t.Helper()
	schema, err := arm.NewSchema(table)
	if err != nil {
		t.Fatal(err)
	}
	fields := &arm.FieldErrors{}
	read, err := schema.Recording().Read([]byte(body), fields)
	if err != nil {
		t.Fatal(err)
	}
	if details := fields.Details(); len(details) > 0 {
		t.Fatalf("the table refuses the body before the rules: %v", details)
	}
	check(Values{Get: read.Value, At: read.Path, Sent: read.Has, Fields: fields})
	return fields.Details()
}

type rule struct{ good, bad, target string }

func clusterRules() map[string]rule {
	const vault = `"securityProfile":{"azureKeyVaultKms":{"enabled":true,"keyId":"https://v/keys/k/1"`
	const id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.X/y/z"
	const zone = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/privateDnsZones/z"
	properties := func(text string) string { return `{"properties":{` + text + `}}` }
	network := func(text string) string { return properties(`"networkProfile":{` + text + `}`) }
	return map[string]rule{
		"long-term support with the tier":    {`{"sku":{"tier":"Premium"},"properties":{"supportPlan":"AKSLongTermSupport"}}`, `{"sku":{"tier":"Free"},"properties":{"supportPlan":"AKSLongTermSupport"}}`, "properties.supportPlan"},
		"the tier with long-term support":    {`{"sku":{"tier":"Standard"}}`, `{"sku":{"tier":"Premium"}}`, "sku.tier"},
		"cost analysis in a paid tier":       {`{"sku":{"tier":"standard"},"properties":{"metricsProfile":{"costAnalysis":{"enabled":true}}}}`, properties(`"metricsProfile":{"costAnalysis":{"enabled":true}}`), "properties.metricsProfile.costAnalysis.enabled"},
		"a user-assigned identity":           {`{"identity":{"type":"UserAssigned","userAssignedIdentities":{"` + id + `":{}}}}`, `{"identity":{"type":"UserAssigned"}}`, "identity.type"},
		"identities with their type":         {`{"identity":{"type":"SystemAssigned"}}`, `{"identity":{"type":"SystemAssigned","userAssignedIdentities":{"` + id + `":{}}}}`, "identity.userAssignedIdentities"},
		"one identity":                       {`{}`, `{"identity":{"type":"UserAssigned","userAssignedIdentities":{"a":{},"b":{}}}}`, "identity.userAssignedIdentities"},
		"a service principal's secret":       {properties(`"servicePrincipalProfile":{"clientId":"a","secret":"b"}`), properties(`"servicePrincipalProfile":{"clientId":"a"}`), "properties.servicePrincipalProfile.secret"},
		"no local accounts":                  {properties(`"disableLocalAccounts":true,"aadProfile":{"managed":true}`), properties(`"disableLocalAccounts":true`), "properties.disableLocalAccounts"},
		"roles of the directory":             {properties(`"aadProfile":{"managed":true,"enableAzureRBAC":true}`), properties(`"aadProfile":{"enableAzureRBAC":true}`), "properties.aadProfile.enableAzureRBAC"},
		"the older directory login":          {properties(`"aadProfile":{"serverAppID":"a"}`), properties(`"aadProfile":{"managed":true,"serverAppID":"a"}`), "properties.aadProfile.serverAppID"},
		"pod identities with kubenet":        {properties(`"podIdentityProfile":{"enabled":true,"allowNetworkPluginKubenet":true}`), properties(`"podIdentityProfile":{"enabled":true}`), "properties.podIdentityProfile.enabled"},
		"workload identities":                {properties(`"securityProfile":{"workloadIdentity":{"enabled":true}},"oidcIssuerProfile":{"enabled":true}`), properties(`"securityProfile":{"workloadIdentity":{"enabled":true}}`), "properties.securityProfile.workloadIdentity.enabled"},
		"a private zone":                     {properties(`"apiServerAccessProfile":{"enablePrivateCluster":true,"privateDNSZone":"none"}`), properties(`"apiServerAccessProfile":{"privateDNSZone":"none"}`), "properties.apiServerAccessProfile.privateDNSZone"},
		"a public name of a private cluster": {properties(`"apiServerAccessProfile":{"enablePrivateCluster":true,"enablePrivateClusterPublicFQDN":true}`), properties(`"apiServerAccessProfile":{"enablePrivateClusterPublicFQDN":true}`), "properties.apiServerAccessProfile.enablePrivateClusterPublicFQDN"},
		"ranges of a private cluster":        {properties(`"apiServerAccessProfile":{"authorizedIPRanges":["1.2.3.4","10.0.0.0/8"]}`), properties(`"apiServerAccessProfile":{"enablePrivateCluster":true,"authorizedIPRanges":["1.2.3.4"]}`), "properties.apiServerAccessProfile.authorizedIPRanges"},
		"ranges that are ranges":             {`{}`, properties(`"apiServerAccessProfile":{"authorizedIPRanges":["1.2.3.4","all"]}`), "properties.apiServerAccessProfile.authorizedIPRanges[1]"},
		"a subdomain":                        {properties(`"fqdnSubdomain":"a","apiServerAccessProfile":{"enablePrivateCluster":true,"privateDNSZone":"` + zone + `"}`), properties(`"fqdnSubdomain":"a"`), "properties.fqdnSubdomain"},
		"a subdomain or a prefix":            {properties(`"dnsPrefix":"a"`), properties(`"dnsPrefix":"a","fqdnSubdomain":"a","apiServerAccessProfile":{"enablePrivateCluster":true,"privateDNSZone":"` + zone + `"}`), "properties.fqdnSubdomain"},
		"the policy cilium":                  {network(`"networkPlugin":"azure","networkPolicy":"cilium","networkDataplane":"cilium"`), network(`"networkPlugin":"azure","networkPolicy":"cilium"`), "properties.networkProfile.networkPolicy"},
		"the policy azure":                   {network(`"networkPlugin":"azure","networkPolicy":"azure"`), network(`"networkPlugin":"kubenet","networkPolicy":"azure"`), "properties.networkProfile.networkPolicy"},
		"the data plane cilium":              {network(`"networkPlugin":"azure","networkDataplane":"cilium"`), network(`"networkPlugin":"kubenet","networkDataplane":"cilium"`), "properties.networkProfile.networkDataplane"},
		"an overlay":                         {network(`"networkPlugin":"azure","networkPluginMode":"overlay"`), network(`"networkPlugin":"kubenet","networkPluginMode":"overlay"`), "properties.networkProfile.networkPluginMode"},
		"the network mode":                   {network(`"networkPlugin":"azure","networkMode":"bridge"`), network(`"networkPlugin":"none","networkMode":"bridge"`), "properties.networkProfile.networkMode"},
		"two families":                       {network(`"ipFamilies":["IPv4","IPv6"]`), network(`"ipFamilies":["IPv4","IPv4"]`), "properties.networkProfile.ipFamilies"},
		"parts of advanced networking":       {network(`"advancedNetworking":{"enabled":true,"security":{"enabled":true}}`), network(`"advancedNetworking":{"security":{"enabled":true}}`), "properties.networkProfile.advancedNetworking.enabled"},
		"one way of outbound addresses":      {network(`"loadBalancerProfile":{"managedOutboundIPs":{"count":1}}`), network(`"loadBalancerProfile":{"managedOutboundIPs":{"count":1},"outboundIPs":{"publicIPs":[{"id":"` + id + `"}]}}`), "properties.networkProfile.loadBalancerProfile"},
		"ports by eight":                     {network(`"loadBalancerProfile":{"allocatedOutboundPorts":8000}`), network(`"loadBalancerProfile":{"allocatedOutboundPorts":8001}`), "properties.networkProfile.loadBalancerProfile.allocatedOutboundPorts"},
		"a gateway with its type":            {network(`"outboundType":"managedNATGateway","natGatewayProfile":{"idleTimeoutInMinutes":5}`), network(`"natGatewayProfile":{"idleTimeoutInMinutes":5}`), "properties.networkProfile.natGatewayProfile"},
		"a registry of images":               {properties(`"bootstrapProfile":{"artifactSource":"Cache","containerRegistryId":"` + id + `"}`), properties(`"bootstrapProfile":{"containerRegistryId":"` + id + `"}`), "properties.bootstrapProfile.containerRegistryId"},
		"a vault's key":                      {properties(vault + `}}`), properties(`"securityProfile":{"azureKeyVaultKms":{"enabled":true}}`), "properties.securityProfile.azureKeyVaultKms.keyId"},
		"a private vault":                    {properties(vault + `,"keyVaultNetworkAccess":"Private","keyVaultResourceId":"` + id + `"}}`), properties(vault + `,"keyVaultNetworkAccess":"Private"}}`), "properties.securityProfile.azureKeyVaultKms.keyVaultResourceId"},
		"a public vault":                     {properties(vault + `}}`), properties(vault + `,"keyVaultResourceId":"` + id + `"}}`), "properties.securityProfile.azureKeyVaultKms.keyVaultResourceId"},
		"a workspace of security":            {properties(`"securityProfile":{"defender":{"logAnalyticsWorkspaceResourceId":"` + id + `","securityMonitoring":{"enabled":true}}}`), properties(`"securityProfile":{"defender":{"securityMonitoring":{"enabled":true}}}`), "properties.securityProfile.defender.logAnalyticsWorkspaceResourceId"},
		"a Windows user name":                {properties(`"windowsProfile":{"adminUsername":"somebody"}`), properties(`"windowsProfile":{"adminUsername":"some@body"}`), "properties.windowsProfile.adminUsername"},
		"a Windows user name that is denied": {`{}`, properties(`"windowsProfile":{"adminUsername":"Administrator"}`), "properties.windowsProfile.adminUsername"},
		"a long Windows user name":           {`{}`, properties(`"windowsProfile":{"adminUsername":"` + strings.Repeat("a", 21) + `"}`), "properties.windowsProfile.adminUsername"},
		"a Windows password":                 {properties(`"windowsProfile":{"adminPassword":"abcDEF123"}`), properties(`"windowsProfile":{"adminPassword":"abcdef123"}`), "properties.windowsProfile.adminPassword"},
		"a short Windows password":           {`{}`, properties(`"windowsProfile":{"adminPassword":"aB1!"}`), "properties.windowsProfile.adminPassword"},
		"group accounts":                     {properties(`"windowsProfile":{"gmsaProfile":{"dnsServer":"a","rootDomainName":"b"}}`), properties(`"windowsProfile":{"gmsaProfile":{"dnsServer":"a"}}`), "properties.windowsProfile.gmsaProfile"},
		"a mesh's revisions":                 {properties(`"serviceMeshProfile":{"mode":"Istio","istio":{"revisions":["asm-1-20"]}}`), properties(`"serviceMeshProfile":{"istio":{"revisions":["asm-1-20"]}}`), "properties.serviceMeshProfile.istio.revisions"},
	}
}

func poolRules() map[string]rule {
	const id = `"/subscriptions/s/resourceGroups/g/providers/Microsoft.X/y/z"`
	pool := func(text string) string { return `{"properties":{` + text + `}}` }
	return map[string]rule{
		"bounds of scaling":           {pool(`"enableAutoScaling":true,"minCount":1,"maxCount":3,"count":2`), pool(`"enableAutoScaling":true`), "properties.enableAutoScaling"},
		"bounds the wrong way round":  {`{}`, pool(`"enableAutoScaling":true,"minCount":3,"maxCount":1`), "properties.minCount"},
		"bounds without scaling":      {pool(`"enableAutoScaling":false`), pool(`"minCount":3`), "properties.minCount"},
		"a most without scaling":      {`{}`, pool(`"maxCount":3`), "properties.maxCount"},
		"a System pool that scales":   {pool(`"mode":"User","enableAutoScaling":true,"minCount":0,"maxCount":3`), pool(`"mode":"System","enableAutoScaling":true,"minCount":0,"maxCount":3`), "properties.minCount"},
		"a count between the bounds":  {`{}`, pool(`"enableAutoScaling":true,"minCount":1,"maxCount":3,"count":4`), "properties.count"},
		"eviction of Spot nodes":      {pool(`"scaleSetPriority":"Spot","scaleSetEvictionPolicy":"Deallocate"`), pool(`"scaleSetEvictionPolicy":"Deallocate"`), "properties.scaleSetEvictionPolicy"},
		"the price of Spot nodes":     {pool(`"scaleSetPriority":"Spot","spotMaxPrice":0.12345`), pool(`"spotMaxPrice":0.5`), "properties.spotMaxPrice"},
		"a price with six decimals":   {pool(`"spotMaxPrice":-1`), pool(`"scaleSetPriority":"Spot","spotMaxPrice":0.123456`), "properties.spotMaxPrice"},
		"a price below nothing":       {`{}`, pool(`"scaleSetPriority":"Spot","spotMaxPrice":-2`), "properties.spotMaxPrice"},
		"a System pool of Spot nodes": {pool(`"mode":"User","scaleSetPriority":"Spot"`), pool(`"mode":"System","scaleSetPriority":"Spot"`), "properties.scaleSetPriority"},
		"a System pool of Windows":    {pool(`"mode":"System","osType":"Linux"`), pool(`"mode":"System","osType":"Windows"`), "properties.osType"},
		"zones of a set":              {pool(`"type":"VirtualMachineScaleSets","availabilityZones":["1"]`), pool(`"type":"AvailabilitySet","availabilityZones":["1"]`), "properties.availabilityZones"},
		"disks that are kept":         {pool(`"scaleDownMode":"Deallocate","osDiskType":"Managed"`), pool(`"scaleDownMode":"Deallocate","osDiskType":"Ephemeral"`), "properties.scaleDownMode"},
		"a greeting":                  {pool(`"messageOfTheDay":"MTI="`), pool(`"osType":"Windows","messageOfTheDay":"MTI="`), "properties.messageOfTheDay"},
		"a runtime":                   {pool(`"workloadRuntime":"WasmWasi"`), pool(`"osType":"Windows","workloadRuntime":"WasmWasi"`), "properties.workloadRuntime"},
		"a prefix of addresses":       {pool(`"enableNodePublicIP":true,"nodePublicIPPrefixID":` + id), pool(`"nodePublicIPPrefixID":` + id), "properties.nodePublicIPPrefixID"},
		"a subnet of pods":            {pool(`"vnetSubnetID":` + id + `,"podSubnetID":` + id), pool(`"podSubnetID":` + id), "properties.podSubnetID"},
		"ports of hosts":              {pool(`"networkProfile":{"allowedHostPorts":[{"portStart":80,"portEnd":81,"protocol":"TCP"}]}`), pool(`"networkProfile":{"allowedHostPorts":[{"portStart":80,"portEnd":81},{"portStart":81,"portEnd":80}]}`), "properties.networkProfile.allowedHostPorts[1]"},
	}
}

func TestWhatOnePropertyAllowsOfAnotherIsChecked(t *testing.T) {
	try := func(name string, c rule, table []arm.Property, check func(Values)) {
		t.Run(name, func(t *testing.T) {
			if details := read(t, table, c.good, check); len(details) > 0 {
				t.Errorf("%s is refused: %v", c.good, details)
			}
			details := read(t, table, c.bad, check)
			if len(details) != 1 || details[0].Target != c.target || details[0].Code != arm.CodeInvalidParameter {
				t.Errorf("%s is refused with %v, want one error at %s", c.bad, details, c.target)
			}
		})
	}
	for name, c := range clusterRules() {
		try(name, c, property.Cluster(), Cluster)
	}
	for name, c := range poolRules() {
		try(name, c, property.Pool(), func(v Values) { Pool(v, "properties.", "win") })
	}
}

func TestTheNameOfAWindowsPoolIsShort(t *testing.T) {
	const body = `{"properties":{"osType":"Windows"}}`
	for name, errors := range map[string]int{"win": 0, "windows": 1} {
		if got := read(t, property.Pool(), body, func(v Values) { Pool(v, "properties.", name) }); len(got) != errors {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestARuleIsOnlyToldToWhoSentOneOfItsProperties(t *testing.T) {
	fields := &arm.FieldErrors{}
	there := map[string]any{"properties.disableLocalAccounts": true, "properties.networkProfile.outboundType": "none", "properties.networkProfile.networkPolicy": "cilium"}
	sent := map[string]any{"properties.networkProfile.networkDataplane": "azure"}
	Cluster(Values{
		Get: func(path string) any {
			if value, has := sent[path]; has {
				return value
			}
			return there[path]
		},
		At: strings.ToUpper, Sent: func(path string) bool { return sent[path] != nil }, Fields: fields,
	})
	details, err := json.Marshal(fields.Details())
	if err != nil || len(fields.Details()) != 1 || fields.Details()[0].Target != "PROPERTIES.NETWORKPROFILE.NETWORKPOLICY" {
		t.Errorf("told %s: %v", details, err)
	}
}
