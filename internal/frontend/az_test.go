package frontend_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// anonymous makes a request without a token.
func (r *rig) anonymous(path string) (int, any) {
	r.t.Helper()
	request, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.server.URL+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	a := r.do(request)
	var value any
	if err := json.Unmarshal([]byte(a.raw), &value); err != nil {
		r.t.Fatalf("%s: %v in %s", path, err, a.raw)
	}
	return a.status, value
}

func TestTheMetadataHasTheShapeOfItsVersion(t *testing.T) {
	r := newRig(t)
	login := func(value any) string {
		authentication, _ := value.(map[string]any)["authentication"].(map[string]any)
		endpoint, _ := authentication["loginEndpoint"].(string)
		return strings.TrimPrefix(endpoint, r.server.URL)
	}
	_, flat := r.anonymous("/metadata/endpoints?api-version=2015-01-01")
	if got := login(flat); got != "/adfs" || flat.(map[string]any)["graphEndpoint"] == nil {
		t.Errorf("2015-01-01: %v", flat)
	}
	for _, version := range []string{"2018-05-01", "2019-05-01", "2020-06-01"} {
		_, value := r.anonymous("/metadata/endpoints?api-version=" + version)
		clouds, isList := value.([]any)
		if !isList || len(clouds) != 1 || login(clouds[0]) != "/adfs" {
			t.Errorf("%s: %v", version, value)
		}
	}
	for _, query := range []string{"", "?api-version=2022-09-01", "?api-version=2023-01-01"} {
		_, value := r.anonymous("/metadata/endpoints" + query)
		if cloud, isObject := value.(map[string]any); !isObject || cloud["resourceManager"] != r.server.URL || login(value) != "" {
			t.Errorf("%s: %v", query, value)
		}
	}
}

func TestTheInstanceDiscoveryVouchesForThisServiceAlone(t *testing.T) {
	r := newRig(t)
	ask := func(authority string) (int, any) {
		return r.anonymous("/common/discovery/instance?api-version=1.1&authorization_endpoint=" + url.QueryEscape(authority+"/common/oauth2/v2.0/authorize"))
	}
	status, value := ask(r.server.URL)
	if status != http.StatusOK || value.(map[string]any)["tenant_discovery_endpoint"] != r.server.URL+"/"+tenantID+"/v2.0/.well-known/openid-configuration" {
		t.Errorf("of this service: %d %v", status, value)
	}
	for _, other := range []string{"https://login.example.com", "http" + strings.TrimPrefix(r.server.URL, "https"), "%zz"} {
		if status, value := ask(other); status != http.StatusBadRequest || value.(map[string]any)["error"] != "invalid_instance" {
			t.Errorf("of %s: %d %v", other, status, value)
		}
	}
}

// azCluster is what az 2.45 sends to create a cluster with its defaults.
const azCluster = `{"location":"local","identity":{"type":"SystemAssigned"},"tags":{"Team":"web"},"properties":{"kubernetesVersion":"","dnsPrefix":"demo-rg-222222",
"agentPoolProfiles":[{"count":1,"vmSize":"Standard_B2s","osDiskSizeGB":0,"osType":"Linux","enableAutoScaling":false,"type":"VirtualMachineScaleSets","mode":"System",
"orchestratorVersion":"","upgradeSettings":{},"enableNodePublicIP":false,"scaleSetPriority":"Regular","scaleSetEvictionPolicy":"Delete","spotMaxPrice":-1.0,"nodeTaints":[],
"enableEncryptionAtHost":false,"enableUltraSSD":false,"enableFIPS":false,"name":"nodepool1"}],
"linuxProfile":{"adminUsername":"azureuser","ssh":{"publicKeys":[{"keyData":"ssh-rsa AAAA"}]}},"addonProfiles":{},"enableRBAC":true,
"networkProfile":{"networkPlugin":"kubenet","podCidr":"10.244.0.0/16","serviceCidr":"10.0.0.0/16","dnsServiceIP":"10.0.0.10","dockerBridgeCidr":"172.17.0.1/16",
"outboundType":"loadBalancer","loadBalancerSku":"standard"},"disableLocalAccounts":false,"storageProfile":{}}}`

// azRig has a cluster that az made.
func azRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.group()
	if a := r.call(http.MethodPut, clusterPath+"?api-version=2022-11-01", azCluster); a.status != http.StatusCreated {
		t.Fatalf("creating as az does: %d %s", a.status, a.raw)
	}
	r.finish()
	return r
}

func TestAClusterThatIsSentBackAsItWasReadChangesNothing(t *testing.T) {
	r := azRig(t)
	before := r.call(http.MethodGet, clusterPath+"?api-version=2022-11-01", "")
	if a := r.call(http.MethodPut, clusterPath+"?api-version=2022-11-01", before.raw); a.status != http.StatusOK {
		t.Fatalf("sending back what was read: %d %s", a.status, a.raw)
	}
	r.finish()
	identity := func(a answer) any {
		profile, _ := a.body["properties"].(map[string]any)["identityProfile"].(map[string]any)
		return profile["kubeletidentity"].(map[string]any)["objectId"]
	}
	after := r.call(http.MethodGet, clusterPath+"?api-version=2022-11-01", "")
	if identity(before) == "" || identity(before) != identity(after) {
		t.Errorf("the nodes' identity was %v and is %v", identity(before), identity(after))
	}
	foreign := strings.Replace(before.raw, identity(before).(string), "77777777-7777-4777-8777-777777777777", 1)
	if a := r.call(http.MethodPut, clusterPath, foreign); a.status != http.StatusBadRequest || !strings.Contains(a.raw, "properties.identityProfile") {
		t.Errorf("a foreign identity: %d %s", a.status, a.raw)
	}
}

func TestListsOfResourcesCanBeFiltered(t *testing.T) {
	r := azRig(t)
	list := "/subscriptions/" + subscriptionID + "/resources?$filter="
	for filter, want := range map[string]int{
		"":                         1,
		"resourceGroup eq 'RG'":    1,
		"resourceGroup eq 'other'": 0,
		"name eq 'DEMO'":           1,
		"name eq 'demo' and resourceType eq 'microsoft.containerservice/managedclusters'": 1,
		"name eq 'demo' and resourceType eq 'Microsoft.Network/virtualNetworks'":          0,
		"location eq 'Local'":                     1,
		"location eq 'elsewhere'":                 0,
		"tagname eq 'team' and tagvalue eq 'web'": 1,
		"tagname eq 'team' and tagvalue eq 'Web'": 0,
		"tagName eq 'other'":                      0,
		"tagValue eq 'web'":                       1,
	} {
		a := r.call(http.MethodGet, list+url.QueryEscape(filter), "")
		if values, _ := a.body["value"].([]any); a.status != http.StatusOK || len(values) != want {
			t.Errorf("%s: %d %s, want %d resources", filter, a.status, a.raw, want)
		}
	}
	for _, filter := range []string{"kind eq 'x'", "startswith(tagname, 'x')", "name eq demo", "name eq 'a' or name eq 'b'", "atScope()"} {
		if a := r.call(http.MethodGet, list+url.QueryEscape(filter), ""); a.status != http.StatusBadRequest {
			t.Errorf("%s: %d %s", filter, a.status, a.raw)
		}
	}
	first := func(query string) map[string]any {
		return r.call(http.MethodGet, groupPath+"/resources"+query, "").body["value"].([]any)[0].(map[string]any)
	}
	if plain := first(""); plain["provisioningState"] != nil || plain["createdTime"] != nil {
		t.Errorf("without $expand: %v", plain)
	}
	if expanded := first("?$expand=createdTime,changedTime,provisioningState"); expanded["provisioningState"] == nil || expanded["createdTime"] == nil {
		t.Errorf("with $expand: %v", expanded)
	}
}

func TestUpgradeProfilesHaveListsEvenIfTheyAreEmpty(t *testing.T) {
	r := azRig(t)
	a := r.call(http.MethodGet, clusterPath+"/upgradeProfiles/default", "")
	profile, _ := a.body["properties"].(map[string]any)["controlPlaneProfile"].(map[string]any)
	if _, isList := profile["upgrades"].([]any); !isList {
		t.Errorf("az cannot show %s", a.raw)
	}
}
