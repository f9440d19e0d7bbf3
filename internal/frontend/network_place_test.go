package frontend_test

import (
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1alpha1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/naming"
)

const (
	vnetPath   = groupPath + "/providers/Microsoft.Network/virtualNetworks/own"
	nodesPath2 = vnetPath + "/subnets/nodes"
)

// aVirtualNetwork makes a caller's network of two subnets, 251 and 11 addresses.
func (r *rig) aVirtualNetwork() {
	r.t.Helper()
	object := &networkv1alpha1.VirtualNetwork{ObjectMeta: metav1.ObjectMeta{Name: naming.Object(vnetPath)}}
	object.Spec = networkv1alpha1.VirtualNetworkSpec{
		Resource: networkv1alpha1.Resource{ResourceID: vnetPath, Location: "local"}, HostName: naming.LocalHost, Incarnation: "vnetvnetvn",
		AddressSpace: []string{"10.0.0.0/8"},
		Subnets:      []networkv1alpha1.Subnet{{Name: "Nodes", CIDR: "10.240.0.0/24"}, {Name: "small", CIDR: "10.241.0.0/28"}},
	}
	if err := r.store.Create(r.t.Context(), object); err != nil {
		r.t.Fatal(err)
	}
	r.writes = 0
}

// placed is a cluster whose pools are of subnets.
func placed(profile string, pools ...string) string {
	return `{"location":"local","properties":{"dnsPrefix":"demo","networkProfile":{` + profile + `},"agentPoolProfiles":[` + strings.Join(pools, ",") + `]}}`
}

func poolIn(name, more string) string {
	return `{"name":"` + name + `","mode":"System","vmSize":"Standard_B2s",` + more + `}`
}

const flatPods, overlayPods = `"networkPlugin":"azure"`, `"networkPlugin":"azure","networkPluginMode":"overlay","podCidr":"192.168.0.0/16"`

func TestABadPlaceIsAnsweredClearlyAndChangesNothing(t *testing.T) {
	inNodes, inSmall := `"vnetSubnetID":"`+nodesPath2+`"`, `"vnetSubnetID":"`+vnetPath+`/subnets/small"`
	const first, second = "properties.agentPoolProfiles[0].", "properties.agentPoolProfiles[1]."
	r := newRig(t)
	r.group()
	r.aVirtualNetwork()
	for name, c := range map[string]struct {
		body string
		want want
	}{
		"no id of a subnet":           {placed(flatPods, poolIn("a", `"vnetSubnetID":"`+vnetPath+`"`)), want{400, "InvalidParameter", first + "vnetSubnetID", "not the id of a subnet"}},
		"a network that is not there": {placed(flatPods, poolIn("a", `"vnetSubnetID":"`+strings.Replace(nodesPath2, "/own/", "/other/", 1)+`"`)), want{400, "ResourceNotFound", first + "vnetSubnetID", "other' was not found"}},
		"a subnet that is not there":  {placed(flatPods, poolIn("a", `"vnetSubnetID":"`+vnetPath+`/subnets/none"`)), want{400, "SubnetNotFound", first + "vnetSubnetID", "'none' was not found"}},
		"another subscription's subnet": {placed(flatPods, poolIn("a", `"vnetSubnetID":"`+strings.Replace(nodesPath2, subscriptionID, "99999999-9999-4999-8999-999999999999", 1)+`"`)),
			want{403, "LinkedAuthorizationFailed", "", "subscriptions/99999999-9999-4999-8999-999999999999"}},
		"a pool without a subnet":    {placed(flatPods, poolIn("a", inNodes), poolIn("b", `"count":1`)), want{400, "InvalidParameter", second + "vnetSubnetID", "every pool"}},
		"two networks":               {placed(flatPods, poolIn("a", inNodes), poolIn("b", `"vnetSubnetID":"`+strings.Replace(nodesPath2, "/own/", "/other/", 1)+`"`)), want{400, "InvalidParameter", second + "vnetSubnetID", "one virtual network"}},
		"pods of the nodes' subnet":  {placed(flatPods, poolIn("a", inNodes+`,"podSubnetID":"`+nodesPath2+`"`)), want{400, "InvalidParameter", first + "podSubnetID", "Leave it out"}},
		"a pods' subnet of overlays": {placed(overlayPods, poolIn("a", inNodes+`,"podSubnetID":"`+vnetPath+`/subnets/small"`)), want{400, "InvalidParameter", first + "podSubnetID", "without the mode overlay"}},
		"a subnet that is too small": {placed(flatPods, poolIn("a", inSmall)), want{400, "InsufficientSubnetSize", first + "count", "Pre-allocated IPs 62 exceeds IPs available 11 in Subnet Cidr 10.241.0.0/28, Subnet Name small"}},
		"more pods than addresses":   {placed(flatPods, poolIn("a", inNodes+`,"count":2,"maxPods":100`)), want{400, "InsufficientSubnetSize", first + "count", "Pre-allocated IPs 303 exceeds IPs available 251"}},
		"services over a subnet":     {placed(flatPods+`,"serviceCidr":"10.240.0.0/16","dnsServiceIP":"10.240.0.10"`, poolIn("a", inNodes)), want{400, "ServiceCidrOverlapExistingSubnetsCidr", "properties.networkProfile.serviceCidr", "existing subnet CIDR 10.240.0.0/24"}},
		"pods over the network":      {placed(`"networkPlugin":"kubenet"`, poolIn("a", inNodes)), want{400, "InvalidParameter", "properties.networkProfile.podCidr", "address space 10.0.0.0/8"}},
		"pods of a range and a subnet": {placed(flatPods+`,"podCidr":"192.168.0.0/16"`, poolIn("a", inNodes)),
			want{400, "InvalidParameter", "properties.networkProfile.podCidr", "networkPluginMode to overlay"}},
		"a mode without the plugin": {placed(`"networkPlugin":"kubenet","networkPluginMode":"overlay"`, poolIn("a", `"count":1`)), want{400, "InvalidParameter", "properties.networkProfile.networkPluginMode", "plugin azure"}},
		"outbound addresses not there": {placed(`"loadBalancerProfile":{"outboundIPs":{"publicIPs":[{"id":"`+groupPath+`/providers/Microsoft.Network/publicIPAddresses/none"}]}}`, poolIn("a", `"count":1`)),
			want{400, "InvalidParameter", "properties.networkProfile.loadBalancerProfile.outboundIPs.publicIPs", "was not found"}},
		"more ports than addresses have": {placed(`"loadBalancerProfile":{"allocatedOutboundPorts":40000}`, poolIn("a", `"count":1`)),
			want{400, "InvalidLoadBalancerProfile", "properties.networkProfile.loadBalancerProfile.allocatedOutboundPorts", "80000 ports; 1 outbound addresses have 64000"}},
		"a way out that is not built": {placed(`"outboundType":"userDefinedRouting"`, poolIn("a", `"count":1`)), want{400, "PropertyNotSupported", "properties.networkProfile.outboundType", "only loadBalancer and none"}},
	} {
		t.Run(name, func(t *testing.T) {
			check(t, r.call(http.MethodPut, clusterPath, c.body), c.want)
			if r.writes != 0 {
				t.Errorf("%d objects were written", r.writes)
				r.writes = 0
			}
		})
	}
}

func TestAClusterJoinsANetworkThatItsCallerMayJoin(t *testing.T) {
	r := newRig(t)
	r.group()
	r.aVirtualNetwork()
	body := placed(flatPods, poolIn("a", `"vnetSubnetID":"`+nodesPath2+`"`))
	if a := r.assign(groupPath, assignmentName[:35]+"4", readerObject, "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8"); a.status != http.StatusCreated { // AKS contributor
		t.Fatalf("%d %s", a.status, a.raw)
	}
	r.as(readerID, func() {
		check(t, r.call(http.MethodPut, clusterPath, body), want{403, "LinkedAuthorizationFailed", "", "subnets/join/action"})
	})
	if a := r.assign(vnetPath, assignmentName[:35]+"5", readerObject, "4d97b98b-1d4f-4787-a291-c67834d212e7"); a.status != http.StatusCreated { // network contributor
		t.Fatalf("%d %s", a.status, a.raw)
	}
	r.as(readerID, func() {
		if a := r.call(http.MethodPut, clusterPath, body); a.status != http.StatusCreated {
			t.Fatalf("%d %s", a.status, a.raw)
		}
	})
	cluster := r.cluster()
	if n := cluster.Spec.Network; n.VirtualNetworkID != vnetPath || !n.Joins() || n.NodeCIDR != "" || n.PodCIDR != "" || cluster.Spec.AgentPools[0].MaxPods != 30 {
		t.Errorf("the cluster is %+v with %+v", n, cluster.Spec.AgentPools)
	}
	r.finish()
	read := r.call(http.MethodGet, clusterPath, "")
	if a := r.call(http.MethodPut, clusterPath, read.raw); a.status != http.StatusOK || !reflect.DeepEqual(cluster.Spec.Network, r.cluster().Spec.Network) {
		t.Errorf("writing back what was read: %d %s", a.status, a.raw)
	}
	r.finish()
	pool := clusterPath + "/agentPools/b"
	check(t, r.call(http.MethodPut, pool, `{"properties":{"count":1}}`), want{400, "InvalidParameter", "properties.vnetSubnetID", "every pool"})
	check(t, r.call(http.MethodPut, pool, `{"properties":{"count":4,"vnetSubnetID":"`+nodesPath2+`","maxPods":50}}`),
		want{400, "InsufficientSubnetSize", "properties.count", "Pre-allocated IPs 317 exceeds IPs available 251"})
	if a := r.call(http.MethodPut, pool, `{"properties":{"count":2,"vnetSubnetID":"`+nodesPath2+`"}}`); a.status != http.StatusCreated || !strings.Contains(a.raw, nodesPath2) {
		t.Errorf("a second pool: %d %s", a.status, a.raw)
	}
	r.finish()
	other := strings.Replace(clusterPath, "/demo", "/other", 1)
	check(t, r.call(http.MethodPut, other, placed(flatPods, poolIn("a", `"count":4,"vnetSubnetID":"`+nodesPath2+`"`))),
		want{400, "InsufficientSubnetSize", "properties.agentPoolProfiles[0].count", "Pre-allocated IPs 155 exceeds IPs available 96"})
	if a := r.call(http.MethodPut, other, placed(overlayPods, poolIn("a", `"vnetSubnetID":"`+nodesPath2+`"`))); a.status != http.StatusCreated {
		t.Fatalf("an overlay in the same network: %d %s", a.status, a.raw)
	}
	check(t, r.call(http.MethodPut, strings.Replace(clusterPath, "/demo", "/third", 1), placed(overlayPods, poolIn("a", `"vnetSubnetID":"`+nodesPath2+`"`))),
		want{400, "InvalidParameter", "properties.networkProfile.podCidr", "of the managed cluster 'other'"})
}

func TestAClustersOwnIdentityNeedsTheSubnetToo(t *testing.T) {
	r := newRig(t)
	r.group()
	r.aVirtualNetwork()
	principal, _ := r.identity("Workload")
	body := strings.Replace(placed(flatPods, poolIn("a", `"vnetSubnetID":"`+nodesPath2+`"`)), `{`, `{"identity":{"type":"UserAssigned","userAssignedIdentities":{"`+identityPath+`":{}}},`, 1)
	check(t, r.call(http.MethodPut, clusterPath, body), want{403, "LinkedAuthorizationFailed", "", "Network Contributor on that subnet first"})
	if a := r.assign(nodesPath2, assignmentName, principal, "4d97b98b-1d4f-4787-a291-c67834d212e7"); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if a := r.call(http.MethodPut, clusterPath, body); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
}

func TestTheDefaultsOfTheNetworkAreThoseOfTheAPIVersion(t *testing.T) {
	for version, want := range map[string]struct {
		profile, mode string
		maxPods       float64
	}{
		"2024-10-01": {"kubenet", "", 110}, "2025-02-01": {"azure", "overlay", 250}, "2026-07-01": {"azure", "overlay", 250},
	} {
		r := newRig(t)
		r.group()
		a := r.call(http.MethodPut, clusterPath+"?api-version="+version, body("", ""))
		properties, _ := a.body["properties"].(map[string]any)
		if a.status != http.StatusCreated || properties == nil {
			t.Fatalf("%s: %d %s", version, a.status, a.raw)
		}
		profile := properties["networkProfile"].(map[string]any)
		mode, _ := profile["networkPluginMode"].(string)
		pool := properties["agentPoolProfiles"].([]any)[0].(map[string]any)
		if profile["networkPlugin"] != want.profile || mode != want.mode || pool["maxPods"] != want.maxPods || profile["podCidr"] != "10.244.0.0/16" {
			t.Errorf("%s: %v, %v", version, profile, pool["maxPods"])
		}
	}
}

func TestAClusterLeavesWithTheAddressesThatItsProfileNames(t *testing.T) {
	r := newRig(t)
	r.group()
	address := groupPath + "/providers/Microsoft.Network/publicIPAddresses/out"
	reservation := &networkv1alpha1.AddressReservation{
		ObjectMeta: metav1.ObjectMeta{Name: naming.Object(address)},
		Spec:       networkv1alpha1.AddressReservationSpec{Resource: networkv1alpha1.Resource{ResourceID: address}, Incarnation: "addressadd", Bits: 32},
	}
	if err := r.store.Create(t.Context(), reservation); err != nil {
		t.Fatal(err)
	}
	profile := func(balancer string) string {
		return network(`"networkPlugin":"kubenet","loadBalancerProfile":{` + balancer + `}`)
	}
	if a := r.call(http.MethodPut, clusterPath, profile(`"managedOutboundIPs":{"count":3},"allocatedOutboundPorts":8000`)); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if o := r.cluster().Spec.Outbound; o.Managed() != 3 || o.PortsPerNode != 8000 {
		t.Errorf("outbound %+v", o)
	}
	r.finish()
	cluster := r.cluster()
	cluster.Status.OutboundAddresses = []string{"198.18.0.17", "198.18.0.18", "198.18.0.19"}
	if err := r.store.Status().Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	if a := r.call(http.MethodGet, clusterPath, ""); strings.Count(a.raw, "/resourceGroups/MC_rg_demo_local/providers/Microsoft.Network/publicIPAddresses/outbound-") != 3 {
		t.Errorf("effective addresses: %s", a.raw)
	}
	if a := r.call(http.MethodPut, clusterPath, profile(`"outboundIPs":{"publicIPs":[{"id":"`+address+`"}]}`)); a.status != http.StatusOK || !strings.Contains(a.raw, `"effectiveOutboundIPs":[{"id":"`+address+`"}]`) {
		t.Errorf("addresses of one's own: %d %s", a.status, a.raw)
	}
	if o := r.cluster().Spec.Outbound; o.Managed() != 0 || !slices.Equal(o.PublicIPIDs, []string{address}) || o.PortsPerNode != 8000 {
		t.Errorf("outbound %+v", o)
	}
	r.finish()
	check(t, r.call(http.MethodPut, strings.Replace(clusterPath, "/demo", "/other", 1), profile(`"outboundIPs":{"publicIPs":[{"id":"`+address+`"}]}`)),
		want{400, "PublicIPInUse", "properties.networkProfile.loadBalancerProfile.outboundIPs.publicIPs", "managed cluster 'demo'"})
}

func TestANodeResourceGroupHasToBeNew(t *testing.T) {
	r := newRig(t)
	r.group()
	if a := r.call(http.MethodPut, strings.Replace(groupPath, "/rg", "/taken", 1), `{"location":"local"}`); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	named := strings.Replace(body("", ""), `"dnsPrefix"`, `"nodeResourceGroup":"Taken","dnsPrefix"`, 1)
	check(t, r.call(http.MethodPut, clusterPath, named), want{400, "NodeResourceGroupAlreadyExists", "properties.nodeResourceGroup", "is there already"})
	if a := r.call(http.MethodPut, clusterPath, strings.Replace(named, "Taken", "Mine", 1)); a.status != http.StatusCreated || !strings.Contains(a.raw, `"nodeResourceGroup":"Mine"`) {
		t.Errorf("%d %s", a.status, a.raw)
	}
}

func TestTheTableOfAClusterShowsTheRoutesOfItsNodes(t *testing.T) {
	r := newRig(t)
	r.group()
	table := groupPath + "/providers/Microsoft.Network/routeTables/aks-agentpool-1-routetable"
	for _, object := range []client.Object{
		&networkv1alpha1.RouteTable{
			ObjectMeta: metav1.ObjectMeta{Name: naming.Object(table)},
			Spec:       networkv1alpha1.RouteTableSpec{Resource: networkv1alpha1.Resource{ResourceID: table, Location: "local", ManagedBy: clusterPath}},
		},
		&networkv1alpha1.VirtualNetwork{
			ObjectMeta: metav1.ObjectMeta{Name: naming.Object(vnetPath)},
			Spec: networkv1alpha1.VirtualNetworkSpec{
				Resource: networkv1alpha1.Resource{ResourceID: vnetPath, Location: "local", ManagedBy: clusterPath}, HostName: naming.LocalHost, Incarnation: "vnetvnetvn",
				AddressSpace: []string{"10.224.0.0/12"},
				Subnets:      []networkv1alpha1.Subnet{{Name: "aks-subnet", CIDR: "10.224.0.0/16", RouteTableName: naming.Object(table)}, {Name: "other", CIDR: "10.225.0.0/16"}},
				Ports: []networkv1alpha1.Port{
					{MachineName: "aks-a-1-vmss000000-abcdefghij", Incarnation: "abcdefghij", Subnet: "aks-subnet", Address: "10.224.0.4", PodCIDR: "10.244.2.0/24"},
					{MachineName: "aks-b-1-vmss000000-bcdefghijk", Incarnation: "bcdefghijk", Subnet: "other", Address: "10.225.0.4", PodCIDR: "10.244.3.0/24"},
				},
			},
		},
	} {
		if err := r.store.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	a := r.call(http.MethodGet, table+"/routes?api-version=2023-09-01", "")
	if a.status != http.StatusOK || strings.Count(a.raw, `"addressPrefix"`) != 1 {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	for _, piece := range []string{`"aks-a-1-vmss000000____102442024"`, `"addressPrefix":"10.244.2.0/24"`, `"nextHopIpAddress":"10.224.0.4"`, `"nextHopType":"VirtualAppliance"`} {
		if !strings.Contains(a.raw, piece) {
			t.Errorf("%s lacks %s", a.raw, piece)
		}
	}
}
