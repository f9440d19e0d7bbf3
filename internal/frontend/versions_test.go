package frontend_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// versionBodies are bodies as clients of each time send them to make a cluster:
// the first command line, az 2.45, the Go SDK, Terraform, and az of 2026.
func versionBodies() map[string]string {
	return map[string]string{
		"2017-08-31": `{"location":"local","tags":{"a":"b"},"properties":{"kubernetesVersion":"1.35","dnsPrefix":"demo-rg-222222","agentPoolProfiles":[{"name":"nodepool1","count":3,
			"vmSize":"Standard_DS2_v2","osDiskSizeGB":30,"dnsPrefix":"demo-rg-222222","storageProfile":"ManagedDisks","osType":"Linux"}],
			"linuxProfile":{"adminUsername":"azureuser","ssh":{"publicKeys":[{"keyData":"ssh-rsa AAAA"}]}},"servicePrincipalProfile":{"clientId":"msi"}}}`,
		"2022-11-01": azBody,
		"2025-02-01": `{"identity":{"type":"SystemAssigned"},"location":"local","properties":{"agentPoolProfiles":[{"count":3,"enableNodePublicIP":false,"maxPods":110,"mode":"System","name":"nodepool1",
			"osDiskSizeGB":0,"osType":"Linux","osSKU":"Ubuntu","securityProfile":{"enableSecureBoot":false,"enableVTPM":false},"type":"VirtualMachineScaleSets","vmSize":"Standard_DS2_v2"}],
			"autoScalerProfile":{"scan-interval":"10s","scale-down-delay-after-add":"10m","expander":"random"},"dnsPrefix":"demo","enableRBAC":true,"kubernetesVersion":"",
			"networkProfile":{"ipFamilies":["IPv4"],"loadBalancerProfile":{"managedOutboundIPs":{"count":1}},"loadBalancerSku":"standard","networkPlugin":"kubenet","outboundType":"loadBalancer"}},
			"sku":{"name":"Base","tier":"Free"},"tags":{"a":"b"}}`,
		"2025-05-01": `{"location":"local","identity":{"type":"SystemAssigned"},"sku":{"name":"Base","tier":"Free"},"tags":{},"properties":{"addonProfiles":{},"agentPoolProfiles":[{"name":"nodepool1","count":3,
			"vmSize":"Standard_DS2_v2","mode":"System","osDiskType":"Managed","osType":"Linux","type":"VirtualMachineScaleSets","enableAutoScaling":false,"enableEncryptionAtHost":false,"enableFIPS":false,
			"enableNodePublicIP":false,"enableUltraSSD":false,"kubeletDiskType":"","nodeLabels":{},"nodeTaints":[],"scaleDownMode":"Delete","tags":{},"upgradeSettings":{}}],
			"apiServerAccessProfile":{"disableRunCommand":false,"enablePrivateCluster":false,"enablePrivateClusterPublicFQDN":false},"autoUpgradeProfile":{"nodeOSUpgradeChannel":"NodeImage","upgradeChannel":"none"},
			"disableLocalAccounts":false,"dnsPrefix":"demo","enableRBAC":true,"kubernetesVersion":"","metricsProfile":{"costAnalysis":{"enabled":false}},
			"networkProfile":{"dnsServiceIP":"10.0.0.10","loadBalancerSku":"standard","networkPlugin":"kubenet","networkPolicy":"","outboundType":"loadBalancer","podCidr":"10.244.0.0/16","serviceCidr":"10.0.0.0/16"},
			"nodeResourceGroup":"","oidcIssuerProfile":{"enabled":false},"publicNetworkAccess":"Enabled","securityProfile":{},"servicePrincipalProfile":{"clientId":"msi"},"supportPlan":"KubernetesOfficial",
			"storageProfile":{"blobCSIDriver":{"enabled":false},"diskCSIDriver":{"enabled":true},"fileCSIDriver":{"enabled":true},"snapshotController":{"enabled":true}},
			"workloadAutoScalerProfile":{"keda":{"enabled":false},"verticalPodAutoscaler":{"enabled":false}}}}`,
		"2026-07-01": `{"location":"local","identity":{"type":"SystemAssigned"},"sku":{"name":"Base","tier":"Free"},"properties":{"addonProfiles":{},"agentPoolProfiles":[{"name":"nodepool1","count":3,
			"enableAutoScaling":false,"enableEncryptionAtHost":false,"enableFIPS":false,"enableNodePublicIP":false,"enableUltraSSD":false,"mode":"System","nodeTaints":[],"orchestratorVersion":"",
			"osDiskSizeGB":0,"osType":"Linux","scaleSetEvictionPolicy":"Delete","scaleSetPriority":"Regular","securityProfile":{"sshAccess":"LocalUser"},"spotMaxPrice":-1.0,"type":"VirtualMachineScaleSets",
			"upgradeSettings":{},"vmSize":"Standard_DS2_v2"}],"bootstrapProfile":{"artifactSource":"Direct"},"disableLocalAccounts":false,"dnsPrefix":"demo","enableRBAC":true,"kubernetesVersion":"",
			"linuxProfile":{"adminUsername":"azureuser","ssh":{"publicKeys":[{"keyData":"ssh-rsa AAAA"}]}},"networkProfile":{"loadBalancerSku":"standard","networkPlugin":"kubenet","outboundType":"loadBalancer"},
			"nodeProvisioningProfile":{"mode":"Manual"},"storageProfile":{}}}`,
	}
}

func TestWhatEachAPIVersionReadsItCanWriteBackUnchanged(t *testing.T) {
	for version, body := range versionBodies() {
		t.Run(version, func(t *testing.T) {
			r := newRig(t)
			r.group()
			target := clusterPath + "?api-version=" + version
			if a := r.call(http.MethodPut, target, body); a.status != http.StatusCreated {
				t.Fatalf("answered %d %s", a.status, a.raw)
			}
			r.finish()
			before, read := r.cluster(), r.call(http.MethodGet, target, "")
			if mode := before.Spec.AgentPools[0].Mode; mode != "System" {
				t.Errorf("the pool has the mode %s", mode)
			}
			if a := r.call(http.MethodPut, target, read.raw); a.status != http.StatusOK {
				t.Fatalf("what was read is refused: %d %s", a.status, a.raw)
			}
			r.finish()
			after := r.cluster()
			if !reflect.DeepEqual(before.Spec, after.Spec) {
				t.Errorf("writing back what was read changed\n%+v\nto\n%+v", before.Spec, after.Spec)
			}
			if again := r.call(http.MethodGet, target, ""); !reflect.DeepEqual(withoutTags(again), withoutTags(read)) {
				t.Errorf("was read as %s\nand then as %s", read.raw, again.raw)
			}
		})
	}
}

// withoutTags is a cluster's body without what every write changes.
func withoutTags(a answer) map[string]any {
	body := maps.Clone(a.body)
	delete(body, "eTag")
	properties, _ := body["properties"].(map[string]any)
	pools, _ := properties["agentPoolProfiles"].([]any)
	for _, pool := range pools {
		delete(pool.(map[string]any), "eTag")
	}
	return body
}

func TestWhatANewerAPIVersionWroteOutlivesAPutOfAnOlder(t *testing.T) {
	const newer = `{"location":"local","properties":{"dnsPrefix":"demo","nodeProvisioningProfile":{"mode":"Auto","defaultNodePools":"Auto"},"bootstrapProfile":{"artifactSource":"Direct"},"networkProfile":{"networkPlugin":"kubenet"},
		"agentPoolProfiles":[{"name":"nodepool1","count":1,"mode":"System","localDNSProfile":{"mode":"Required"},"gatewayProfile":{"publicIPPrefixSize":31},"tags":{"k":"v"},"nodeLabels":{"l":"m"}}]}}`
	for version, body := range versionBodies() {
		if version == "2026-07-01" {
			continue
		}
		t.Run(version, func(t *testing.T) {
			r := newRig(t, recording)
			r.group()
			if a := r.call(http.MethodPut, clusterPath+"?api-version=2026-07-01", newer); a.status != http.StatusCreated {
				t.Fatalf("answered %d %s", a.status, a.raw)
			}
			r.finish()
			var older map[string]any
			if err := json.Unmarshal([]byte(body), &older); err != nil {
				t.Fatal(err)
			}
			delete(older["properties"].(map[string]any), "dnsPrefix") // another would be a change
			for _, pool := range older["properties"].(map[string]any)["agentPoolProfiles"].([]any) {
				for _, name := range []string{"osDiskSizeGB", "nodeLabels", "tags"} {
					delete(pool.(map[string]any), name)
				}
			}
			raw, err := json.Marshal(older)
			if err != nil {
				t.Fatal(err)
			}
			if a := r.call(http.MethodPut, clusterPath+"?api-version="+version, string(raw)); a.status != http.StatusOK {
				t.Fatalf("answered %d %s", a.status, a.raw)
			}
			r.finish()
			a := r.call(http.MethodGet, clusterPath+"?api-version=2026-07-01", "")
			properties := a.body["properties"].(map[string]any)
			pool := properties["agentPoolProfiles"].([]any)[0].(map[string]any)
			if !reflect.DeepEqual(properties["nodeProvisioningProfile"], map[string]any{"mode": "Auto", "defaultNodePools": "Auto"}) ||
				!reflect.DeepEqual(pool["localDNSProfile"], map[string]any{"mode": "Required"}) || !reflect.DeepEqual(pool["gatewayProfile"], map[string]any{"publicIPPrefixSize": 31.0}) ||
				!reflect.DeepEqual(pool["nodeLabels"], map[string]any{"l": "m"}) || pool["count"] != 3.0 || !strings.Contains(a.header.Get(unsupportedHeader), "properties.nodeProvisioningProfile") {
				t.Errorf("after the older PUT: %s\n%v", a.raw, a.header)
			}
		})
	}
}

func TestEveryAPIVersionHasItsOwnNamesAndDefaults(t *testing.T) {
	r := newRig(t, recording)
	r.group()
	if a := r.call(http.MethodPut, clusterPath+"?api-version=2025-02-01", strings.Replace(body("", ""), `"location"`, `"sku":{"name":"Base","tier":"Standard"},"location"`, 1)); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	for version, want := range map[string][]any{
		"2017-08-31": {"Basic", "Paid", false}, "2022-11-01": {"Basic", "Paid", false}, "2023-01-02-preview": {"Basic", "Paid", false}, "2023-02-01": {"Base", "Standard", false},
		"2024-08-01": {"Base", "Standard", false}, "2024-09-01": {"Base", "Standard", true}, "2026-07-01": {"Base", "Standard", true},
	} {
		a := r.call(http.MethodGet, clusterPath+"?api-version="+version, "")
		sku, pool := a.body["sku"].(map[string]any), a.body["properties"].(map[string]any)["agentPoolProfiles"].([]any)[0].(map[string]any)
		single := r.call(http.MethodGet, clusterPath+"/agentPools/nodepool1?api-version="+version, "").body["properties"].(map[string]any)
		_, onCluster := a.body["eTag"]
		_, inCluster := pool["eTag"]
		_, onPool := single["eTag"]
		if got := []any{sku["name"], sku["tier"], onCluster}; !slices.Equal(got, want) || inCluster != onCluster || onPool != onCluster {
			t.Errorf("%s: %v (pools %v and %v), want %v", version, got, inCluster, onPool, want)
		}
	}
	for version, mode := range map[string]string{"2020-02-01": "System", "2020-03-01": "User"} {
		if a := r.call(http.MethodPut, strings.Replace(clusterPath, "/demo", "/other", 1)+"?api-version="+version, `{"location":"local","properties":{"agentPoolProfiles":[{"name":"a","count":1}]}}`); (a.status == http.StatusCreated) != (mode == "System") {
			t.Errorf("%s: a pool without a mode: %d %s", version, a.status, a.raw)
		}
	}
}

func TestAnAPIVersionThatNobodyPublishedIsRefused(t *testing.T) {
	r := made(t)
	for _, version := range []string{"2017-08-30", "2024-03-01", "2025-02-01-preview", "2025-05-01-beta", "2026-05-01", "2026-07-02", "2027-01-01", "latest", "2025-2-1", "2025-02-01,2025-05-01", " 2025-02-01"} {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete} {
			a := r.call(method, clusterPath+"?api-version="+strings.ReplaceAll(version, " ", "%20"), body("", ""))
			check(t, a, want{400, "NoRegisteredProviderFound", "api-version", "2026-07-01"})
		}
	}
	if a := r.call(http.MethodGet, clusterPath+"?API-Version=2025-02-01&api-version=2025-02-01", ""); a.status != http.StatusOK {
		t.Errorf("the parameter's name in another case: %d", a.status)
	}
	if r.writes != 0 || len(r.cluster().Spec.Operations) != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
	var list containerservicev1alpha1.ManagedClusterList
	if err := r.store.List(t.Context(), &list); err != nil || len(list.Items) != 1 {
		t.Errorf("there are %d clusters: %v", len(list.Items), err)
	}
}
