package frontend_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1alpha1 "berth.dev/berth/api/network/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/naming"
)

// update writes an object that a test changed.
func (r *rig) update(o client.Object, changes ...func()) {
	r.t.Helper()
	for _, change := range changes {
		change()
	}
	if err := r.store.Update(r.t.Context(), o); err != nil {
		r.t.Fatal(err)
	}
	r.writes = 0
}

// groupOf is the object of a resource group.
func (r *rig) groupOf(id string) *resourcesv1alpha1.ResourceGroup {
	r.t.Helper()
	group := &resourcesv1alpha1.ResourceGroup{}
	if err := r.store.Get(r.t.Context(), client.ObjectKey{Name: naming.Object(id)}, group); err != nil {
		r.t.Fatal(err)
	}
	return group
}

// grant gives the reader a role at a scope.
func (r *rig) grant(role, scope string) {
	r.t.Helper()
	a := r.call(http.MethodPut, scope+"/providers/Microsoft.Authorization/roleAssignments/"+uuid.NewString()+"?api-version=2022-04-01",
		`{"properties":{"principalId":"`+readerObject+`","roleDefinitionId":"/providers/Microsoft.Authorization/roleDefinitions/`+role+`"}}`)
	if a.status != http.StatusCreated {
		r.t.Fatal(a.raw)
	}
	r.writes = 0
}

// inNetwork puts the cluster demo into subnet a: its pool names it, and it
// leaves and answers with the reserved address.
func (r *rig) inNetwork() {
	r.t.Helper()
	cluster := r.cluster()
	cluster.Spec.AgentPools[0].VNetSubnetID = networksAt + "virtualNetworks/VNET/subnets/A"
	if err := r.store.Update(r.t.Context(), cluster); err != nil {
		r.t.Fatal(err)
	}
	reservation := &networkv1alpha1.AddressReservation{}
	if err := r.store.Get(r.t.Context(), client.ObjectKey{Name: naming.Object(networksAt + "publicIPAddresses/ip")}, reservation); err != nil {
		r.t.Fatal(err)
	}
	reservation.Status.Range = "198.18.0.20/32"
	if err := r.store.Status().Update(r.t.Context(), reservation); err != nil {
		r.t.Fatal(err)
	}
	balancer := &networkv1alpha1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Name: cluster.Spec.Incarnation}, Spec: networkv1alpha1.LoadBalancerSpec{
		VirtualNetworkName: "vnet", Frontends: []networkv1alpha1.Frontend{{Service: "default/web", Address: "198.18.0.20", Rules: []networkv1alpha1.Rule{{Protocol: "TCP", Port: 80, NodePort: 30080}}}},
	}}
	if err := r.store.Create(r.t.Context(), balancer); err != nil {
		r.t.Fatal(err)
	}
	r.writes = 0
}

func TestWhatIsInUseIsNotDeletedAndWhoUsesItIsNamed(t *testing.T) {
	r := networked(t)
	if a := r.call(http.MethodPut, clusterPath, body("", "")); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	r.inNetwork()
	for path, want := range map[string]want{
		"virtualNetworks/vnet":           {400, "InUseSubnetCannotBeDeleted", "", "managedClusters/demo"},
		"virtualNetworks/vnet/subnets/a": {400, "InUseSubnetCannotBeDeleted", "", "managedClusters/demo"},
		"networkSecurityGroups/nsg":      {400, "InUseNetworkSecurityGroupCannotBeDeleted", "", "virtualNetworks/vnet/subnets/b"},
		"routeTables/rt":                 {400, "InUseRouteTableCannotBeDeleted", "", "virtualNetworks/vnet/subnets/a"},
		"publicIPAddresses/ip":           {400, "PublicIPAddressCannotBeDeleted", "", "loadBalancers/kubernetes/frontendIPConfigurations/"},
	} {
		t.Run(path, func(t *testing.T) {
			r.t = t
			check(t, r.network(http.MethodDelete, path, ""), want)
		})
	}
	r.t = t
	moved := `{"location":"local","properties":{"addressSpace":{"addressPrefixes":["10.1.0.0/16"]},"subnets":[%s]}}`
	check(t, r.network(http.MethodPut, "virtualNetworks/vnet", fmt.Sprintf(moved, "")), want{400, "InUseSubnetCannotBeDeleted", "", "managedClusters/demo"})
	check(t, r.network(http.MethodPut, "virtualNetworks/vnet", fmt.Sprintf(moved, `{"name":"a","properties":{"addressPrefix":"10.1.9.0/24"}}`)),
		want{400, "InUseSubnetCannotBeUpdated", "properties.subnets[0].properties.addressPrefix", "managedClusters/demo"})
	if a := r.network(http.MethodDelete, "virtualNetworks/vnet/subnets/b", ""); a.status != http.StatusOK {
		t.Errorf("the subnet that nobody uses: %d %s", a.status, a.raw)
	}
	if r.writes != 1 {
		t.Errorf("%d objects were written, want only that without the subnet", r.writes)
	}
	if a := r.network(http.MethodDelete, "networkSecurityGroups/nsg", ""); a.status != http.StatusAccepted || a.header.Get("Azure-AsyncOperation") == "" {
		t.Errorf("the group that nobody refers to any more: %d %s", a.status, a.raw)
	}
}

func TestASubnetIsInUseByTheInternalBalancersInIt(t *testing.T) {
	r := networked(t)
	if a := r.call(http.MethodPut, clusterPath, body("", "")); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	vnet := &networkv1alpha1.VirtualNetwork{}
	if err := r.store.Get(t.Context(), client.ObjectKey{Name: naming.Object(networksAt + "virtualNetworks/vnet")}, vnet); err != nil {
		t.Fatal(err)
	}
	vnet.Spec.InternalAddresses = []networkv1alpha1.InternalAddress{{Address: "10.1.1.4", Subnet: "b", ClusterIncarnation: r.cluster().Spec.Incarnation, Service: "default/web"}}
	r.update(vnet)
	inUse := want{400, "InUseSubnetCannotBeDeleted", "", "managedClusters/demo"}
	check(t, r.network(http.MethodDelete, "virtualNetworks/vnet/subnets/b", ""), inUse)
	check(t, r.network(http.MethodDelete, "virtualNetworks/vnet", ""), inUse)
	check(t, r.network(http.MethodPut, "virtualNetworks/vnet/subnets/b", `{"properties":{"addressPrefix":"10.1.9.0/24"}}`), want{400, "InUseSubnetCannotBeUpdated", "properties.addressPrefix", "managedClusters/demo"})
	if a := r.network(http.MethodGet, "virtualNetworks/vnet/checkIPAddressAvailability?ipAddress=10.1.1.4", ""); a.body["available"] != false {
		t.Errorf("the address of the balancer: %s", a.raw)
	}
	if a := r.network(http.MethodGet, "virtualNetworks/vnet/usages", ""); !strings.Contains(a.raw, `"currentValue":1`) {
		t.Errorf("the use of the subnets: %s", a.raw)
	}
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
	if a := r.network(http.MethodDelete, "virtualNetworks/vnet/subnets/a", ""); a.status != http.StatusOK {
		t.Errorf("the subnet beside it: %d %s", a.status, a.raw)
	}
}

func TestWhatAClusterMadeIsNotChangedByHandWhileItLives(t *testing.T) {
	r := made(t)
	cluster := r.cluster()
	const nodes = "/subscriptions/" + subscriptionID + "/resourceGroups/MC_rg_demo_local"
	if a := r.call(http.MethodPut, nodes, `{"location":"local"}`); a.status != http.StatusCreated {
		t.Fatal(a.raw)
	}
	group := r.groupOf(nodes)
	group.Spec.ManagedBy = clusterPath
	r.update(group)
	id := nodes + "/providers/Microsoft.Network/virtualNetworks/aks-vnet-12345678"
	vnet := &networkv1alpha1.VirtualNetwork{ObjectMeta: metav1.ObjectMeta{Name: naming.Object(id)}, Spec: networkv1alpha1.VirtualNetworkSpec{
		Resource: networkv1alpha1.Resource{ResourceID: id, Location: "local"}, ClusterName: cluster.Name, HostName: "local", Incarnation: cluster.Spec.Incarnation,
		AddressSpace: []string{"10.224.0.0/12"}, Subnets: []networkv1alpha1.Subnet{{Name: "aks-subnet", CIDR: "10.224.0.0/16"}},
		Outbounds: []networkv1alpha1.Outbound{{ClusterIncarnation: cluster.Spec.Incarnation, Addresses: []string{"198.18.0.17"}}},
	}}
	balancer := &networkv1alpha1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Name: cluster.Spec.Incarnation}, Spec: networkv1alpha1.LoadBalancerSpec{VirtualNetworkName: vnet.Name}}
	claim := &networkv1alpha1.PublicIPAddress{ObjectMeta: metav1.ObjectMeta{Name: "ip-198-18-0-17"}, Spec: networkv1alpha1.PublicIPAddressSpec{
		Address: "198.18.0.17", OwnerName: cluster.Name, OwnerIncarnation: cluster.Spec.Incarnation, Purpose: "outbound",
	}}
	pool := &containerservicev1alpha1.AgentPool{ObjectMeta: metav1.ObjectMeta{Name: "pool"}, Spec: containerservicev1alpha1.AgentPoolSpec{ClusterName: cluster.Name, Profile: cluster.Spec.AgentPools[0]}}
	for _, o := range []client.Object{vnet, balancer, claim, pool} {
		if err := r.store.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	r.writes = 0
	listed := r.call(http.MethodGet, nodes+"/resources", "")
	paths := []string{nodes + "?api-version=2021-04-01"}
	for _, kind := range []string{"virtualNetworks", "loadBalancers", "publicIPAddresses", "virtualMachineScaleSets"} {
		found := ""
		for _, entry := range listed.body["value"].([]any) {
			if one := entry.(map[string]any); strings.HasSuffix(one["type"].(string), "/"+kind) {
				found = one["id"].(string)
			}
		}
		if found == "" {
			t.Fatalf("the group has no %s: %s", kind, listed.raw)
		}
		version := networkVersion
		if kind == "virtualMachineScaleSets" {
			version = "?api-version=2022-11-01"
		}
		if a := r.call(http.MethodGet, found+version, ""); a.status != http.StatusOK || a.body["id"] != found {
			t.Errorf("reading %s: %d %s", found, a.status, a.raw)
		}
		paths = append(paths, found+version)
	}
	for _, path := range paths {
		check(t, r.call(http.MethodDelete, path, ""), want{403, "DenyAssignmentAuthorizationFailed", "", "the managed cluster 'demo' in the resource group 'rg'"})
	}
	check(t, r.call(http.MethodPut, id+networkVersion, vnetBody), want{403, "DenyAssignmentAuthorizationFailed", "", "demo"})
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
	r.update(cluster, func() { cluster.Finalizers = nil })
	if err := r.store.Delete(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	if a := r.call(http.MethodDelete, nodes, ""); a.status != http.StatusAccepted {
		t.Errorf("once the cluster is gone: %d %s", a.status, a.raw)
	}
}

func TestSubnetsAreJoinedToWhatTheCallerMayJoin(t *testing.T) {
	r := networked(t)
	r.grant("4d97b98b-1d4f-4787-a291-c67834d212e7", networksAt+"virtualNetworks/vnet") // Network Contributor
	token := r.tokenOf(readerID)
	body := `{"properties":{"addressPrefix":"10.1.2.0/24","networkSecurityGroup":{"id":"` + networksAt + `networkSecurityGroups/nsg"}}}`
	path := "virtualNetworks/vnet/subnets/c"
	check(t, r.network(http.MethodPut, path, body, "Authorization", "Bearer "+token), want{403, "LinkedAuthorizationFailed", "", "networkSecurityGroups/join/action"})
	if r.writes != 0 {
		t.Errorf("%d objects were written", r.writes)
	}
	r.grant("4d97b98b-1d4f-4787-a291-c67834d212e7", networksAt+"networkSecurityGroups/nsg")
	if a := r.network(http.MethodPut, path, body, "Authorization", "Bearer "+token); a.status != http.StatusCreated {
		t.Errorf("with the permission: %d %s", a.status, a.raw)
	}
}

func TestEntityTagsOfNetworksGuardWritesAndOutliveWhatTheServiceDoes(t *testing.T) {
	r := networked(t)
	tag := r.network(http.MethodGet, "virtualNetworks/vnet", "").header.Get("ETag")
	vnet := &networkv1alpha1.VirtualNetwork{}
	if err := r.store.Get(t.Context(), client.ObjectKey{Name: naming.Object(networksAt + "virtualNetworks/vnet")}, vnet); err != nil {
		t.Fatal(err)
	}
	vnet.Spec.Ports = append(vnet.Spec.Ports, networkv1alpha1.Port{MachineName: "m", Incarnation: "i", ClusterIncarnation: "c", Subnet: "a", Address: "10.1.0.4"})
	r.update(vnet)
	apimeta.SetStatusCondition(&vnet.Status.Conditions, metav1.Condition{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: metav1.NewTime(time.Now())})
	vnet.Status.ObservedGeneration = vnet.Generation
	if err := r.store.Status().Update(t.Context(), vnet); err != nil {
		t.Fatal(err)
	}
	a := r.network(http.MethodGet, "virtualNetworks/vnet", "")
	if a.header.Get("ETag") != tag || a.body["properties"].(map[string]any)["provisioningState"] != "Succeeded" {
		t.Errorf("after the service did its part: %s, was %s", a.raw, tag)
	}
	if a := r.network(http.MethodPut, "virtualNetworks/vnet/subnets/c", `{"properties":{"addressPrefix":"10.1.2.0/24"}}`, "If-Match", tag); a.status != http.StatusPreconditionFailed {
		t.Errorf("a tag of what is not there: %d", a.status)
	}
	if a := r.network(http.MethodPut, "virtualNetworks/vnet/subnets/b", `{"properties":{"addressPrefix":"10.1.2.0/24"}}`, "If-Match", tag); a.status != http.StatusOK || a.header.Get("ETag") == tag {
		t.Errorf("the right tag: %d %s", a.status, a.raw)
	}
	if a := r.network(http.MethodPut, "virtualNetworks/vnet/subnets/b", `{"properties":{"addressPrefix":"10.1.3.0/24"}}`, "If-Match", tag); a.status != http.StatusPreconditionFailed {
		t.Errorf("the former tag: %d %s", a.status, a.raw)
	}
}
