package frontend_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/frontend"
)

// body is a good request with a pool; properties and pool are added to it.
func body(properties, pool string) string {
	return fmt.Sprintf(`{"location":"local","properties":{"dnsPrefix":"demo"%s,"agentPoolProfiles":[{"name":"nodepool1","count":1,"mode":"System"%s}]}}`, properties, pool)
}

func network(profile string) string { return body(`,"networkProfile":{`+profile+`}`, "") }

// want is an expected error: code, target, and a piece of the message.
type want struct {
	status                int
	code, target, message string
}

func badClusters() map[string]struct {
	body string
	want want
} {
	return map[string]struct {
		body string
		want want
	}{
		"malformed JSON":                {`{"location":`, want{400, "InvalidRequestContent", "", "ends too early"}},
		"a syntax error with its place": {"{\n\"location\" x}", want{400, "InvalidRequestContent", "", "line 2"}},
		"an empty body":                 {``, want{400, "InvalidRequestContent", "", "empty"}},
		"a body that is an array":       {`[]`, want{400, "InvalidRequestContent", "", "not a JSON object"}},
		"two JSON values":               {body("", "") + `{}`, want{400, "InvalidRequestContent", "", "after the end"}},
		"a count that is a string":      {body("", `,"maxPods":"30"`), want{400, "InvalidRequestContent", "properties.agentPoolProfiles[0].maxPods", "a string"}},
		"a fractional disk":             {body("", `,"osDiskSizeGB":1.5`), want{400, "InvalidRequestContent", "properties.agentPoolProfiles[0].osDiskSizeGB", "integer"}},
		"a number beyond 32 bits":       {body("", `,"osDiskSizeGB":99999999999`), want{400, "InvalidRequestContent", "properties.agentPoolProfiles[0].osDiskSizeGB", "integer"}},
		"pools that are an object":      {`{"location":"local","properties":{"agentPoolProfiles":{}}}`, want{400, "InvalidRequestContent", "properties.agentPoolProfiles", "an array"}},
		"a pool that is null":           {`{"location":"local","properties":{"agentPoolProfiles":[null]}}`, want{400, "InvalidRequestContent", "properties.agentPoolProfiles[0]", "null"}},
		"properties that are a string":  {`{"location":"local","properties":"x"}`, want{400, "InvalidRequestContent", "properties", "a string"}},
		"tags with a number":            {`{"location":"local","tags":{"a":1},"properties":{}}`, want{400, "InvalidRequestContent", "tags.a", "the number 1"}},
		"an unknown property":           {body(`,"dnsPrefx":"x"`, ""), want{400, "InvalidRequestContent", "properties.dnsPrefx", "unknown"}},
		"an unknown top-level property": {`{"locatoin":"x","location":"local"}`, want{400, "", "", "locatoin"}},
		"no location":                   {`{"properties":{"agentPoolProfiles":[{"name":"a","mode":"System"}]}}`, want{400, "LocationRequired", "location", "required"}},
		"another location":              {strings.Replace(body("", ""), `"local"`, `"westeurope"`, 1), want{400, "LocationNotAvailableForResourceType", "location", "'local'"}},
		"an unknown Kubernetes version": {body(`,"kubernetesVersion":"1.12.3"`, ""), want{400, "K8sVersionNotSupported", "properties.kubernetesVersion", "1.35.4"}},
		"a pool of another version":     {body(`,"kubernetesVersion":"1.35"`, `,"orchestratorVersion":"1.36"`), want{400, "NodePoolMcVersionIncompatible", "properties.agentPoolProfiles[0].orchestratorVersion", "control plane"}},
		"a bad dnsPrefix":               {strings.Replace(body("", ""), `"demo"`, `"-demo"`, 1), want{400, "InvalidParameter", "properties.dnsPrefix", "54 letters"}},
		"a bad pool name":               {strings.Replace(body("", ""), "nodepool1", "NodePool", 1), want{400, "InvalidParameter", "properties.agentPoolProfiles[0].name", "12 lower-case"}},
		"a bad admin user":              {body(`,"linuxProfile":{"adminUsername":"1x"}`, ""), want{400, "InvalidParameter", "properties.linuxProfile.adminUsername", "begins with a letter"}},
		"two SSH keys":                  {body(`,"linuxProfile":{"ssh":{"publicKeys":[{"keyData":"a"},{"keyData":"b"}]}}`, ""), want{400, "InvalidParameter", "properties.linuxProfile.ssh.publicKeys", "at most one"}},
		"the own group for nodes":       {body(`,"nodeResourceGroup":"RG"`, ""), want{400, "InvalidParameter", "properties.nodeResourceGroup", "has to be another"}},
		"pods over services":            {network(`"podCidr":"10.0.0.0/15"`), want{400, "InvalidParameter", "properties.networkProfile.serviceCidr", "overlaps the podCidr"}},
		"pods over the virtual network": {network(`"podCidr":"10.230.0.0/16"`), want{400, "InvalidParameter", "properties.networkProfile.podCidr", "virtual network"}},
		"pods over the edge":            {network(`"podCidr":"198.18.0.0/16"`), want{400, "InvalidParameter", "properties.networkProfile.podCidr", "public addresses"}},
		"services over a reserved range": {network(`"serviceCidr":"172.30.0.0/16","dnsServiceIP":"172.30.0.10"`),
			want{400, "InvalidParameter", "properties.networkProfile.serviceCidr", "reserved range 172.30.0.0/16"}},
		"a range that is not canonical": {network(`"podCidr":"10.244.0.1/16"`), want{400, "InvalidParameter", "properties.networkProfile.podCidr", "not canonical: its first address is 10.244.0.0/16"}},
		"no range at all":               {network(`"podCidr":"ten"`), want{400, "InvalidParameter", "properties.networkProfile.podCidr", "CIDR notation"}},
		"a range of IPv6":               {network(`"podCidr":"fd00::/64"`), want{400, "InvalidParameter", "properties.networkProfile.podCidr", "IPv4"}},
		"pods too small for a node":     {network(`"podCidr":"10.244.0.0/25"`), want{400, "InsufficientSubnetSize", "properties.networkProfile.podCidr", "Pre-allocated IPs 512 exceeds IPs available 128"}},
		"pods too small for the count":  {strings.Replace(network(`"podCidr":"10.244.0.0/24"`), `"count":1`, `"count":2`, 1), want{400, "InsufficientSubnetSize", "properties.networkProfile.podCidr", "Pre-allocated IPs 768 exceeds IPs available 256"}},
		"services too small":            {network(`"serviceCidr":"10.0.0.0/30","dnsServiceIP":"10.0.0.2"`), want{400, "InvalidParameter", "properties.networkProfile.serviceCidr", "too small"}},
		"services too large":            {network(`"serviceCidr":"10.0.0.0/11"`), want{400, "InvalidParameter", "properties.networkProfile.serviceCidr", "too large"}},
		"a DNS address outside":         {network(`"dnsServiceIP":"10.1.0.10"`), want{400, "InvalidParameter", "properties.networkProfile.dnsServiceIP", "not in the serviceCidr"}},
		"the first address for DNS":     {network(`"dnsServiceIP":"10.0.0.1"`), want{400, "InvalidParameter", "properties.networkProfile.dnsServiceIP", "first two addresses"}},
		"the last address for DNS":      {network(`"dnsServiceIP":"10.0.255.255"`), want{400, "InvalidParameter", "properties.networkProfile.dnsServiceIP", "last address"}},
		"a DNS address that is none":    {network(`"dnsServiceIP":"dns"`), want{400, "InvalidParameter", "properties.networkProfile.dnsServiceIP", "not an IPv4 address"}},
		"two families":                  {network(`"podCidrs":["10.244.0.0/16","fd00::/64"]`), want{400, "InvalidParameter", "properties.networkProfile.podCidrs", "only one"}},
		"another network plugin":        {network(`"networkPlugin":"flannel"`), want{400, "InvalidParameter", "properties.networkProfile.networkPlugin", "azure, kubenet, none"}},
		"a count above the limit":       {strings.Replace(body("", ""), `"count":1`, `"count":1001`, 1), want{400, "", "", "out of range"}},
		"a negative count":              {strings.Replace(body("", ""), `"count":1`, `"count":-1`, 1), want{400, "InvalidParameter", "properties.agentPoolProfiles[0].count", "1 to 1000"}},
		"a System pool without nodes":   {strings.Replace(body("", ""), `"count":1`, `"count":0`, 1), want{400, "InvalidParameter", "properties.agentPoolProfiles[0].count", "1 to 1000"}},
		"a disk beyond the limit":       {body("", `,"osDiskSizeGB":2049`), want{400, "InvalidParameter", "properties.agentPoolProfiles[0].osDiskSizeGB", "2048"}},
		"too many pods":                 {body("", `,"maxPods":251`), want{400, "InvalidParameter", "properties.agentPoolProfiles[0].maxPods", "10 to 250"}},
		"no System pool":                {strings.Replace(body("", ""), `"System"`, `"User"`, 1), want{400, "InvalidParameter", "properties.agentPoolProfiles", "at least one system pool"}},
		"an unknown mode":               {strings.Replace(body("", ""), `"System"`, `"Systm"`, 1), want{400, "", "", "System or User"}},
		"no pools":                      {`{"location":"local","properties":{"agentPoolProfiles":[]}}`, want{400, "InvalidParameter", "properties.agentPoolProfiles", "at least one"}},
		"pools left out":                {`{"location":"local"}`, want{400, "InvalidParameter", "properties.agentPoolProfiles", "missing or empty"}},
		"a pool twice":                  {`{"location":"local","properties":{"agentPoolProfiles":[{"name":"a","mode":"System"},{"name":"a"}]}}`, want{400, "InvalidParameter", "properties.agentPoolProfiles[1].name", "more than once"}},
		"an unknown vmSize":             {body("", `,"vmSize":"Standard_XXL"`), want{400, "InvalidParameter", "properties.agentPoolProfiles[0].vmSize", "Standard_DS2_v2"}},
		"more CPUs than there are":      {strings.Replace(body("", `,"vmSize":"Standard_D8s_v5"`), `"count":1`, `"count":3`, 1), want{409, "AllocationFailed", "properties.agentPoolProfiles", "24 vCPUs and 98304 MiB"}},
		"a reserved label":              {body("", `,"nodeLabels":{"kubernetes.azure.com/mode":"x"}`), want{400, "InvalidParameter", "properties.agentPoolProfiles[0].nodeLabels.kubernetes.azure.com/mode", "reserved"}},
		"a bad label":                   {body("", `,"nodeLabels":{"a b":"x"}`), want{400, "InvalidParameter", "properties.agentPoolProfiles[0].nodeLabels.a b", "node label"}},
		"a bad taint":                   {body("", `,"nodeTaints":["a=b:Sometimes"]`), want{400, "InvalidParameter", "properties.agentPoolProfiles[0].nodeTaints[0]", "effect"}},
		"autoscaling":                   {body("", `,"enableAutoScaling":true,"minCount":1,"maxCount":3`), want{400, "PropertyNotSupported", "properties.agentPoolProfiles[0].enableAutoScaling", "autoscaler"}},
		"RBAC switched off":             {body(`,"enableRBAC":false`, ""), want{400, "PropertyNotSupported", "properties.enableRBAC", "cannot be off"}},
		"an add-on":                     {body(`,"addonProfiles":{"azurepolicy":{"enabled":true}}`, ""), want{400, "PropertyNotSupported", "properties.addonProfiles", "add-ons"}},
		"a private cluster":             {body(`,"apiServerAccessProfile":{"enablePrivateCluster":true}`, ""), want{400, "PropertyNotSupported", "properties.apiServerAccessProfile.enablePrivateCluster", "private"}},
		"a paid tier":                   {`{"location":"local","sku":{"name":"Base","tier":"Standard"},"properties":{"agentPoolProfiles":[{"name":"a","mode":"System"}]}}`, want{400, "PropertyNotSupported", "sku.tier", "only the tier Free"}},
		"a service principal":           {body(`,"servicePrincipalProfile":{"clientId":"x","secret":"y"}`, ""), want{400, "PropertyNotSupported", "properties.servicePrincipalProfile.clientId", "service principal"}},
		"a bad tag":                     {`{"location":"local","tags":{"a<b":"x"},"properties":{"agentPoolProfiles":[{"name":"a","mode":"System"}]}}`, want{400, "InvalidTagNameCharacters", "tags.a<b", "characters"}},
	}
}

func TestABadClusterIsAnsweredClearlyAndChangesNothing(t *testing.T) {
	r := newRig(t)
	r.group()
	for name, c := range badClusters() {
		t.Run(name, func(t *testing.T) {
			a := r.call(http.MethodPut, clusterPath, c.body)
			check(t, a, c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
				r.writes = 0
			}
		})
	}
}

func check(t *testing.T, a answer, w want) {
	t.Helper()
	code, target, message := a.errorOf()
	if a.status != w.status || w.code != "" && code != w.code || w.target != "" && target != w.target || !strings.Contains(message, w.message) {
		t.Errorf("answered %d %s\nwant %+v", a.status, a.raw, w)
	}
	if header := a.header.Get("x-ms-error-code"); header != code {
		t.Errorf("the header x-ms-error-code is %q, the code %q", header, code)
	}
}

func TestAllErrorsOfABodyComeAtOnceInTheCallersSpelling(t *testing.T) {
	r := newRig(t)
	r.group()
	a := r.call(http.MethodPut, clusterPath, `{"Location":"mars","PROPERTIES":{"DnsPrefix":"-","networkprofile":{"PODCIDR":"10.0.0.1/16"},
		"AgentPoolProfiles":[{"Name":"UPPER","Count":-1,"Mode":"System","vmsize":"nope"}]}}`)
	targets := map[string]bool{}
	details, _ := a.body["error"].(map[string]any)["details"].([]any)
	for _, d := range details {
		targets[d.(map[string]any)["target"].(string)] = true
	}
	for _, target := range []string{"Location", "PROPERTIES.DnsPrefix", "PROPERTIES.networkprofile.PODCIDR",
		"PROPERTIES.AgentPoolProfiles[0].Name", "PROPERTIES.AgentPoolProfiles[0].Count", "PROPERTIES.AgentPoolProfiles[0].vmsize"} {
		if !targets[target] {
			t.Errorf("no error at %s in %v", target, targets)
		}
	}
	if code, _, _ := a.errorOf(); code != "MultipleErrorsOccurred" || a.status != 400 {
		t.Errorf("answered %d %s", a.status, code)
	}
}

func TestBadRequestsAroundTheBody(t *testing.T) {
	r := newRig(t)
	r.group()
	large := `{"location":"local","tags":{"a":"` + strings.Repeat("x", 5<<20) + `"}}`
	cases := map[string]struct {
		method, path, body string
		want               want
	}{
		"no api-version":                {"GET", clusterPath + "?api-version=", "", want{400, "MissingApiVersionParameter", "api-version", "required"}},
		"an unknown api-version":        {"GET", clusterPath + "?api-version=2025-02-30", "", want{400, "NoRegisteredProviderFound", "api-version", "2025-02-01"}},
		"an unknown version of a group": {"GET", groupPath + "?api-version=1999-01-01", "", want{400, "InvalidApiVersionParameter", "api-version", "2021-04-01"}},
		"a bad cluster name":            {"PUT", groupPath + "/providers/Microsoft.ContainerService/managedClusters/demo-", body("", ""), want{400, "InvalidParameter", "resourceName", "63 letters"}},
		"a group that is missing":       {"PUT", strings.Replace(clusterPath, "/rg/", "/none/", 1), body("", ""), want{404, "ResourceGroupNotFound", "", "'none' could not be found"}},
		"a cluster that is missing":     {"GET", clusterPath, "", want{404, "ResourceNotFound", "", "Microsoft.ContainerService/managedClusters/demo"}},
		"a pool of no cluster":          {"PUT", clusterPath + "/agentPools/a", "{}", want{404, "ResourceNotFound", "", "was not found"}},
		"an unknown subscription":       {"GET", "/subscriptions/99999999-2222-4222-8222-222222222222/resourceGroups", "", want{404, "SubscriptionNotFound", "", "could not be found"}},
		"a subscription that is no id":  {"GET", "/subscriptions/mine/resourceGroups", "", want{400, "InvalidSubscriptionId", "", "malformed"}},
		"an unknown type":               {"GET", groupPath + "/providers/Microsoft.ContainerService/clusters", "", want{404, "InvalidResourceType", "", "no resource type"}},
		"a method that is not there":    {"POST", clusterPath, "", want{405, "MethodNotAllowed", "", "GET"}},
		"an unknown operation":          {"GET", "/subscriptions/" + subscriptionID + "/providers/Microsoft.ContainerService/locations/local/operations/x", "", want{404, "OperationNotFound", "", "not found"}},
		"what is not built":             {"POST", clusterPath + "/resolvePrivateLinkServiceId", "", want{501, "NotSupported", "", "Private clusters is not built yet"}},
		"a body over the limit":         {"PUT", clusterPath, large, want{413, "RequestContentTooLarge", "", "4 MB"}},
		"a bad group name":              {"PUT", "/subscriptions/" + subscriptionID + "/resourceGroups/a%3Fb", `{"location":"local"}`, want{400, "InvalidResourceGroup", "resourceGroupName", "90 letters"}},
		"a group that ends in a period": {"PUT", "/subscriptions/" + subscriptionID + "/resourceGroups/a.", `{"location":"local"}`, want{400, "InvalidResourceGroup", "resourceGroupName", "period"}},
		"a group elsewhere":             {"PUT", groupPath, `{"location":"mars"}`, want{400, "LocationNotAvailableForResourceGroup", "location", "'local'"}},
		"a bad page size":               {"GET", "/subscriptions/" + subscriptionID + "/resourceGroups?$top=0", "", want{400, "InvalidQueryParameterValue", "$top", "positive"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			check(t, r.call(c.method, c.path, c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
				r.writes = 0
			}
		})
	}
}

// made makes the cluster and ends its creation.
func made(t *testing.T, change ...func(*frontend.Config)) *rig {
	t.Helper()
	r := newRig(t, change...)
	r.group()
	if a := r.call(http.MethodPut, clusterPath, body("", "")); a.status != http.StatusCreated {
		t.Fatalf("creating the cluster: %d %s", a.status, a.raw)
	}
	r.finish()
	r.writes = 0
	return r
}

func TestAClusterThatExistsRefusesWhatMayNotChange(t *testing.T) {
	r := made(t)
	pool := clusterPath + "/agentPools/nodepool1"
	cases := map[string]struct {
		method, path, body string
		want               want
	}{
		"another dnsPrefix":         {"PUT", clusterPath, `{"location":"local","properties":{"dnsPrefix":"other"}}`, want{400, "PropertyChangeNotAllowed", "properties.dnsPrefix", "not allowed"}},
		"another pod range":         {"PUT", clusterPath, `{"location":"local","properties":{"networkProfile":{"podCidr":"10.100.0.0/16"}}}`, want{400, "PropertyChangeNotAllowed", "properties.networkProfile.podCidr", "not allowed"}},
		"another size":              {"PUT", pool, `{"properties":{"vmSize":"Standard_B2s"}}`, want{400, "PropertyChangeNotAllowed", "properties.vmSize", "not allowed"}},
		"another disk":              {"PUT", pool, `{"properties":{"osDiskSizeGB":64}}`, want{400, "PropertyChangeNotAllowed", "properties.osDiskSizeGB", "not allowed"}},
		"the last System pool User": {"PUT", pool, `{"properties":{"mode":"User"}}`, want{400, "", "", "at least one system pool"}},
		"the last System pool gone": {"DELETE", pool, "", want{400, "OperationNotAllowed", "agentPoolName", "last one of mode System"}},
		"a pool with a bad name":    {"PUT", clusterPath + "/agentPools/Bad_Name", `{"properties":{}}`, want{400, "InvalidParameter", "", "12 lower-case"}},
		"too many nodes":            {"PUT", pool, `{"properties":{"count":9}}`, want{409, "AllocationFailed", "properties.count", "18 vCPUs"}},
		"a pool beyond the pods":    {"PUT", pool, `{"properties":{"count":400}}`, want{400, "InsufficientSubnetSize", "properties.count", "Pre-allocated IPs 112640 exceeds IPs available 65536"}},
		"a wrong type in a pool":    {"PUT", pool, `{"properties":{"count":"2"}}`, want{400, "InvalidRequestContent", "properties.count", "a string"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			check(t, r.call(c.method, c.path, c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
				r.writes = 0
			}
		})
	}
	if a := r.call("PUT", clusterPath, `{"location":"local","properties":{"kubernetesVersion":"1.35"}}`); a.status != http.StatusOK {
		t.Errorf("naming the minor again: %d %s", a.status, a.raw)
	}
}

func TestConflictsNameTheRunningOperation(t *testing.T) {
	r := made(t)
	pool := clusterPath + "/agentPools/nodepool1"
	if a := r.call("PUT", pool, `{"properties":{"count":2}}`); a.status != http.StatusOK {
		t.Fatalf("scaling: %d %s", a.status, a.raw)
	}
	id := r.cluster().Operation("nodepool1").ID
	r.writes = 0
	for _, path := range []string{clusterPath, pool} {
		a := r.call("PUT", path, map[bool]string{true: `{"location":"local"}`, false: `{"properties":{"count":1}}`}[path == clusterPath])
		check(t, a, want{409, "OperationNotAllowed", "", "Scale on the agent pool 'nodepool1', id " + id})
	}
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
	if a := r.call("PUT", clusterPath+"/agentPools/other", `{"properties":{}}`); a.status != http.StatusCreated {
		t.Errorf("another pool beside it: %d %s", a.status, a.raw)
	}
}

func TestAGroupThatIsBeingDeletedTakesNothingNew(t *testing.T) {
	r := newRig(t)
	r.group()
	if a := r.call("DELETE", groupPath, ""); a.status != http.StatusAccepted || a.header.Get("Location") == "" {
		t.Fatalf("deleting the group: %d %s", a.status, a.raw)
	}
	first := operationsOf(t, r)
	if a := r.call("DELETE", groupPath, ""); a.status != http.StatusAccepted {
		t.Errorf("deleting it again: %d %s", a.status, a.raw)
	}
	if again := operationsOf(t, r); len(first) != 1 || len(again) != 1 {
		t.Errorf("%d operations after one delete, %d after two", len(first), len(again))
	}
	r.writes = 0
	check(t, r.call("PUT", clusterPath, body("", "")), want{409, "ResourceGroupBeingDeleted", "", "deprovisioning"})
	check(t, r.call("PUT", groupPath, `{"location":"local"}`), want{409, "ResourceGroupBeingDeleted", "", "deprovisioning"})
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
}

func operationsOf(t *testing.T, r *rig) []resourcesv1alpha1.Operation {
	t.Helper()
	var list resourcesv1alpha1.OperationList
	if err := r.store.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func TestADeletedClusterKeepsOneOperationAndRefusesWrites(t *testing.T) {
	r := made(t)
	first := r.call("DELETE", clusterPath, "")
	second := r.call("DELETE", clusterPath, "")
	if first.status != 202 || second.status != 202 || first.header.Get("Azure-AsyncOperation") != second.header.Get("Azure-AsyncOperation") ||
		!strings.Contains(first.header.Get("Location"), "/operationresults/") {
		t.Errorf("deleting twice: %v and %v", first.header, second.header)
	}
	check(t, r.call("PUT", clusterPath, `{"location":"local"}`), want{409, "OperationNotAllowed", "", "in deletion"})
	if a := r.call("DELETE", strings.Replace(clusterPath, "/demo", "/other", 1), ""); a.status != http.StatusNoContent {
		t.Errorf("deleting what is not there: %d", a.status)
	}
}

func TestADeletionThatWasCutOffIsFinishedByTheNext(t *testing.T) {
	r := made(t)
	cluster := r.cluster()
	operation := &resourcesv1alpha1.Operation{ObjectMeta: metav1.ObjectMeta{Name: "77777777-7777-4777-8777-777777777777"}, Spec: resourcesv1alpha1.OperationSpec{
		ResourceID: clusterPath, Verb: "Delete", Caller: ownerObject, StartTime: metav1.Now(), Deadline: metav1.NewTime(time.Now().Add(time.Hour)),
		Target: resourcesv1alpha1.Target{Kind: "ManagedCluster", Name: cluster.Name, UID: string(cluster.UID)},
	}}
	if err := r.store.Create(t.Context(), operation); err != nil {
		t.Fatal(err)
	}
	a := r.call("DELETE", clusterPath, "")
	if !strings.Contains(a.header.Get("Azure-AsyncOperation"), operation.Name) || r.cluster().DeletionTimestamp == nil {
		t.Errorf("answered %v", a.header)
	}
}

func TestAnEmptyPoolListNeedsTheSwitch(t *testing.T) {
	r := newRig(t, func(c *frontend.Config) { c.AllowNoAgentPools = true })
	r.group()
	if a := r.call("PUT", clusterPath, `{"location":"local","properties":{"agentPoolProfiles":[]}}`); a.status != http.StatusCreated {
		t.Errorf("answered %d %s", a.status, a.raw)
	}
	check(t, r.call("PUT", strings.Replace(clusterPath, "/demo", "/b", 1), strings.Replace(body("", ""), `"System"`, `"User"`, 1)),
		want{400, "InvalidParameter", "properties.agentPoolProfiles", "system pool"})
}

func TestTheBodyThatTheCommandLineSendsIsAccepted(t *testing.T) {
	r := newRig(t)
	r.group()
	a := r.call(http.MethodPut, strings.Replace(clusterPath, "resourceGroups", "resourcegroups", 1)+"?api-version=2022-11-01", azBody)
	if a.status != http.StatusCreated {
		t.Fatalf("answered %d %s", a.status, a.raw)
	}
	if a.header.Get("Azure-AsyncOperation") == "" || a.header.Get("Location") != "" || a.header.Get("Retry-After") != "1" {
		t.Errorf("the headers are %v", a.header)
	}
	properties := a.body["properties"].(map[string]any)
	pool := properties["agentPoolProfiles"].([]any)[0].(map[string]any)
	if properties["provisioningState"] != "Creating" || pool["osDiskSizeGB"] != 128.0 || pool["spotMaxPrice"] != -1.0 || a.body["eTag"] != nil {
		t.Errorf("the body is %s", a.raw)
	}
	if !strings.HasSuffix(a.body["id"].(string), "/resourcegroups/rg/providers/Microsoft.ContainerService/managedClusters/demo") {
		t.Errorf("the id is %s", a.body["id"])
	}
}

// azBody is what "az aks create" sends without options.
const azBody = `{"location":"Local","identity":{"type":"SystemAssigned"},"sku":{"name":"Basic","tier":"Free"},
"properties":{"kubernetesVersion":"","dnsPrefix":"demo-rg-222222","agentPoolProfiles":[{"count":3,"vmSize":"Standard_DS2_v2","osDiskSizeGB":0,
"osType":"Linux","enableAutoScaling":false,"type":"VirtualMachineScaleSets","mode":"System","orchestratorVersion":"","upgradeSettings":{},
"enableNodePublicIP":false,"scaleSetPriority":"Regular","scaleSetEvictionPolicy":"Delete","spotMaxPrice":-1.0,"nodeTaints":[],"enableEncryptionAtHost":false,
"enableUltraSSD":false,"enableFIPS":false,"name":"nodepool1"}],"linuxProfile":{"adminUsername":"azureuser","ssh":{"publicKeys":[{"keyData":"ssh-rsa AAAA\n"}]}},
"addonProfiles":{},"enableRBAC":true,"networkProfile":{"networkPlugin":"kubenet","podCidr":"10.244.0.0/16","serviceCidr":"10.0.0.0/16","dnsServiceIP":"10.0.0.10",
"outboundType":"loadBalancer","loadBalancerSku":"standard"},"disableLocalAccounts":false,"storageProfile":{},"servicePrincipalProfile":{"clientId":"msi"}}}`

func TestATooLargeBodyIsCutOffWithoutALength(t *testing.T) {
	r := newRig(t)
	r.group()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, r.server.URL+clusterPath+"?api-version="+aksVersion,
		struct{ *bytes.Reader }{bytes.NewReader(bytes.Repeat([]byte(" "), 5<<20))})
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = -1
	request.Header.Set("Authorization", "Bearer "+r.token)
	check(t, r.do(request), want{413, "RequestContentTooLarge", "", "4 MB"})
}
