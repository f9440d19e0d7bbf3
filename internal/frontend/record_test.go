package frontend_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"berth.dev/berth/internal/frontend"
)

const unsupportedHeader = "x-berth-unsupported-properties"

func recording(c *frontend.Config) { c.RecordUnsupported = true }

// wanted asks for things that nothing acts on, of a cluster and of a pool.
const wanted = `{"location":"local","sku":{"name":"Base","tier":"Standard"},"properties":{"dnsPrefix":"demo","disableLocalAccounts":true,
	"aadProfile":{"managed":true,"adminGroupObjectIDs":["11111111-1111-4111-8111-111111111111"]},"addonProfiles":{"azurepolicy":{"enabled":true,"config":{"a.b":"c"}}},
	"windowsProfile":{"adminUsername":"somebody","adminPassword":"Sup3r-Secret-Word"},
	"agentPoolProfiles":[{"name":"nodepool1","count":1,"mode":"System","enableNodePublicIP":true}]}}`

func TestAnOperatorMayHaveUnsupportedPropertiesRecorded(t *testing.T) {
	refusing := newRig(t)
	refusing.group()
	check(t, refusing.call(http.MethodPut, clusterPath, wanted), want{400, "PropertyNotSupported", "", "add-ons"})

	r := newRig(t, recording)
	r.group()
	a := r.call(http.MethodPut, clusterPath, wanted)
	if a.status != http.StatusCreated {
		t.Fatalf("answered %d %s", a.status, a.raw)
	}
	want := []string{"agentPools/nodepool1/enableNodePublicIP", "properties.aadProfile.adminGroupObjectIDs", "properties.aadProfile.managed", "properties.addonProfiles",
		"properties.disableLocalAccounts", "properties.windowsProfile.adminPassword", "properties.windowsProfile.adminUsername", "sku.tier"}
	if got := strings.Split(a.header.Get(unsupportedHeader), ", "); !slices.Equal(got, want) {
		t.Errorf("the header lists %v, want %v", got, want)
	}
	if got := r.cluster().UnsupportedProperties(); !slices.Equal(got, want) {
		t.Errorf("the object lists %v", got)
	}
	for _, annotation := range r.cluster().Annotations {
		if strings.Contains(annotation, "Sup3r") {
			t.Error("the password is stored")
		}
	}
	r.finish()
	a = r.call(http.MethodGet, clusterPath, "")
	properties := a.body["properties"].(map[string]any)
	addon, _ := properties["addonProfiles"].(map[string]any)["azurepolicy"].(map[string]any)
	pool := properties["agentPoolProfiles"].([]any)[0].(map[string]any)
	if a.body["sku"].(map[string]any)["tier"] != "Standard" || properties["disableLocalAccounts"] != true || addon["config"].(map[string]any)["a.b"] != "c" ||
		pool["enableNodePublicIP"] != true || strings.Contains(a.raw, "Sup3r") || a.header.Get(unsupportedHeader) == "" {
		t.Errorf("read back as %s", a.raw)
	}
	if a := r.call(http.MethodGet, clusterPath+"/agentPools/nodepool1", ""); a.header.Get(unsupportedHeader) != "enableNodePublicIP" {
		t.Errorf("the pool's header is %v", a.header)
	}
}

func TestWhatIsRecordedGoesWhenItIsNoLongerAskedFor(t *testing.T) {
	r := newRig(t, recording)
	r.group()
	r.call(http.MethodPut, clusterPath, wanted)
	r.finish()
	a := r.call(http.MethodPut, clusterPath, `{"location":"local","sku":{"name":"Base","tier":"Free"},"properties":{"disableLocalAccounts":false,"addonProfiles":{},
		"aadProfile":{"managed":false},"windowsProfile":{"adminUsername":"","adminPassword":""}}}`)
	if got := a.header.Get(unsupportedHeader); a.status != http.StatusOK || got != "agentPools/nodepool1/enableNodePublicIP, properties.aadProfile.adminGroupObjectIDs" {
		t.Errorf("answered %d, and the header lists %s", a.status, got)
	}
	if properties := a.body["properties"].(map[string]any); properties["disableLocalAccounts"] != false || a.body["sku"].(map[string]any)["tier"] != "Free" || properties["addonProfiles"] != nil {
		t.Errorf("read back as %s", a.raw)
	}
}

func TestWhatIsNoValueOfTheAPIIsRefusedEvenWhenRecording(t *testing.T) {
	r := newRig(t, recording)
	r.group()
	check(t, r.call(http.MethodPut, clusterPath, network(`"networkPlugin":"flannel"`)),
		want{400, "InvalidParameter", "properties.networkProfile.networkPlugin", "azure, kubenet, none"})
	check(t, r.call(http.MethodPut, clusterPath, body(`,"addonProfiles":{"azurepolicy":{"enabled":"yes"}}`, "")),
		want{400, "InvalidRequestContent", "properties.addonProfiles.azurepolicy.enabled", "true or false"})
	check(t, r.call(http.MethodPut, clusterPath, body(`,"addonProfiles":{"azurepolicy":{"enbled":true}}`, "")),
		want{400, "InvalidRequestContent", "properties.addonProfiles.azurepolicy.enbled", "unknown"})
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
}
