package frontend_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Bodies of network resources.
const (
	vnetBody   = `{"location":"local","properties":{"addressSpace":{"addressPrefixes":["10.1.0.0/16"]},"subnets":[{"name":"a","properties":{"addressPrefix":"10.1.0.0/24"}}]}}`
	subnetBody = `{"properties":{"addressPrefix":"10.1.1.0/24"}}`
	ruleBody   = `{"properties":{"protocol":"Tcp","access":"Allow","direction":"Inbound","priority":100,"sourceAddressPrefix":"*","sourcePortRange":"*","destinationAddressPrefix":"*","destinationPortRange":"80"}}`
	routeBody  = `{"properties":{"addressPrefix":"10.9.0.0/16","nextHopType":"None"}}`
	networksAt = groupPath + "/providers/Microsoft.Network/"
)

// networkLines are the requests on what Microsoft.Network has.
func networkLines() map[string]line {
	const located = `{"location":"local"}`
	lines := map[string]line{
		"GET network/virtualNetworks/{resourceName}/checkIPAddressAvailability":                            {query: "ipAddress=10.1.0.9", want: 200, prepare: networkOf("virtualNetworks", vnetBody)},
		"GET network/virtualNetworks/{resourceName}/usages":                                                {want: 200, prepare: networkOf("virtualNetworks", vnetBody)},
		"GET subscription/providers/Microsoft.Network/locations/{location}/operations/{operationID}":       {want: 200, prepare: (*rig).ended},
		"GET subscription/providers/Microsoft.Network/locations/{location}/operationResults/{operationID}": {want: 204, prepare: (*rig).ended},
		"GET network/networkSecurityGroups/{resourceName}/defaultSecurityRules":                            {want: 200, prepare: networkOf("networkSecurityGroups", located)},
		"GET network/networkSecurityGroups/{resourceName}/defaultSecurityRules/{childName}":                {want: 404, prepare: networkOf("networkSecurityGroups", located)},
	}
	for kind, body := range map[string]string{
		"virtualNetworks": vnetBody, "networkSecurityGroups": located, "routeTables": located, "publicIPAddresses": located,
		"publicIPPrefixes": `{"location":"local","properties":{"prefixLength":30}}`,
	} {
		one, made := "network/"+kind+"/{resourceName}", networkOf(kind, body)
		lines["PUT "+one], lines["GET "+one] = line{body: body, want: 201}, line{want: 200, prepare: made}
		lines["PATCH "+one], lines["DELETE "+one] = line{body: `{"tags":{"a":"b"}}`, want: 200, prepare: made}, line{want: 202, prepare: made}
	}
	const instances = "virtualMachineScaleSets/{resourceName}/virtualMachines"
	for _, view := range []string{"network/loadBalancers", "network/networkInterfaces", "compute/virtualMachineScaleSets", "compute/" + instances} {
		one := view + "/{resourceName}"
		if strings.HasSuffix(view, instances) {
			one = view + "/{childName}"
			lines["GET "+view], lines["GET "+one+"/instanceView"] = line{want: 404}, line{want: 404}
			lines["PUT "+one], lines["DELETE "+one] = line{body: located, want: 404}, line{want: 404}
		} else {
			lines["PUT "+one], lines["DELETE "+one] = line{body: located, want: 501}, line{want: 204}
		}
		lines["GET "+one], lines["PATCH "+one] = line{want: 404}, line{body: located, want: 404}
	}
	for child, c := range map[string]struct{ kind, parent, body string }{
		"subnets": {"virtualNetworks", vnetBody, subnetBody}, "securityRules": {"networkSecurityGroups", located, ruleBody}, "routes": {"routeTables", located, routeBody},
	} {
		one, made := "network/"+c.kind+"/{resourceName}/"+child, networkOf(c.kind, c.parent)
		lines["GET "+one] = line{want: 200, prepare: made}
		lines["PUT "+one+"/{childName}"] = line{body: c.body, want: 201, prepare: made}
		lines["GET "+one+"/{childName}"] = line{want: 200, after: "PUT", prepare: made}
		lines["DELETE "+one+"/{childName}"] = line{want: 200, after: "PUT", prepare: made}
	}
	return lines
}

// networkOf makes the resource demo of a type.
func networkOf(kind, body string) func(*rig) {
	return func(r *rig) {
		r.t.Helper()
		if a := r.call(http.MethodPut, networksAt+kind+"/demo"+networkVersion, body); a.status != http.StatusCreated {
			r.t.Fatalf("making %s: %d %s", kind, a.status, a.raw)
		}
	}
}

// networkVersion is the api-version that az 2.45 asks for.
const networkVersion = "?api-version=2022-01-01"

func TestAVirtualNetworkIsMadeReadChangedAndDeleted(t *testing.T) {
	r := newRig(t)
	r.group()
	a := r.call(http.MethodPut, networksAt+"virtualNetworks/demo"+networkVersion, vnetBody)
	if a.status != http.StatusCreated || a.header.Get("Retry-After") == "" || a.header.Get("ETag") != a.body["etag"] {
		t.Fatal(a.status, a.header, a.raw)
	}
	properties := a.body["properties"].(map[string]any)
	if properties["provisioningState"] != "Updating" || len(properties["resourceGuid"].(string)) != 36 {
		t.Errorf("before anybody programmed it: %s", a.raw)
	}
	subnet := properties["subnets"].([]any)[0].(map[string]any)
	if subnet["id"] != networksAt+"virtualNetworks/demo/subnets/a" || subnet["type"] != "Microsoft.Network/virtualNetworks/subnets" || subnet["etag"] != a.body["etag"] {
		t.Errorf("the subnet: %v", subnet)
	}
	got := r.call(http.MethodGet, networksAt+"virtualNetworks/demo/subnets/A"+networkVersion, "")
	if difference := cmp.Diff(subnet, got.body); difference != "" {
		t.Errorf("the subnet as a resource of its own:\n%s", difference)
	}
}
