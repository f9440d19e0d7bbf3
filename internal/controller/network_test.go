package controller_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	resourcesv1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/naming"
)

const ownNetwork = "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/Group/providers/Microsoft.Network/virtualNetworks/own"

// vnet is a virtual network by its ARM id.
func (w *world) vnet(id string) *networkv1.VirtualNetwork {
	w.t.Helper()
	vnet := &networkv1.VirtualNetwork{}
	must(w.t, w.api.Get(context.Background(), client.ObjectKey{Name: naming.Object(id)}, vnet))
	return vnet
}

// callersNetwork is a network of a caller's with subnets for nodes and pods.
func (w *world) callersNetwork() {
	w.t.Helper()
	w.create(&networkv1.VirtualNetwork{
		ObjectMeta: metav1.ObjectMeta{Name: naming.Object(ownNetwork), Finalizers: []string{networkv1.VirtualNetworkFinalizer}},
		Spec: networkv1.VirtualNetworkSpec{
			Resource: networkv1.Resource{ResourceID: ownNetwork}, HostName: naming.LocalHost, Incarnation: naming.Incarnation(),
			AddressSpace: []string{"10.0.0.0/8"},
			Subnets:      []networkv1.Subnet{{Name: "a", CIDR: "10.240.0.0/24"}, {Name: "b", CIDR: "10.241.0.0/24"}},
		},
	})
}

// made writes a cluster whose network has an id, as the front end does.
func (w *world) made(name string) {
	w.t.Helper()
	cluster := w.fresh(name, 1)
	cluster.Spec.Network.VirtualNetworkID = madeFor(name)
	w.create(cluster)
}

// madeFor is that id.
func madeFor(name string) string {
	return "/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/MC_group_" + name + "/providers/Microsoft.Network/virtualNetworks/aks-vnet-00000001"
}

// joins writes a cluster whose pools, one for each subnet, are in the caller's network.
func (w *world) joins(name, mode, podCIDR string, subnets ...string) {
	w.t.Helper()
	cluster := w.fresh(name, 1)
	network := &cluster.Spec.Network
	network.Plugin, network.PluginMode, network.PodCIDR = "azure", mode, podCIDR
	network.VirtualNetworkID, network.VNetCIDR, network.NodeCIDR = ownNetwork, "", ""
	first := cluster.Spec.AgentPools[0]
	cluster.Spec.AgentPools = nil
	for i, subnet := range subnets {
		pool := first
		pool.Name, pool.Incarnation, pool.MaxPods = "pool"+string(rune('a'+i)), naming.Incarnation(), 30
		pool.VNetSubnetID = ownNetwork + "/subnets/" + subnet
		cluster.Spec.AgentPools = append(cluster.Spec.AgentPools, pool)
	}
	w.create(cluster)
}

// machineOf is the one machine of a pool of a cluster.
func (w *world) machineOf(cluster, pool string) containerservicev1.MachineSpec {
	w.t.Helper()
	for _, machine := range w.machines() {
		if machine.Spec.ClusterName == cluster && strings.HasPrefix(machine.Spec.AgentPoolName, pool+"-") {
			return machine.Spec
		}
	}
	w.t.Fatalf("pool %s of %s has no machine", pool, cluster)
	return containerservicev1.MachineSpec{}
}

func TestClustersLiveInOneNetworkAndLeaveItAsItWas(t *testing.T) {
	w := newWorld(t)
	w.callersNetwork()
	w.joins("flat", "", "", "a", "B")
	w.live()
	w.joins("over", "overlay", "192.168.0.0/16", "a")
	w.live()
	w.ended("create-flat", meta.OperationSucceeded)
	w.ended("create-over", meta.OperationSucceeded)
	first, second, third := w.machineOf("flat", "poola"), w.machineOf("flat", "poolb"), w.machineOf("over", "poola")
	if first.Address != "10.240.0.4" || len(first.PodAddresses) != 30 || first.PodAddresses[29] != "10.240.0.34" || first.PodSubnetCIDR != "10.240.0.0/24" || first.PodCIDR != "" {
		t.Errorf("the first pool's machine: %+v", first)
	}
	if second.Address != "10.241.0.4" || second.PodAddresses[0] != "10.241.0.5" || second.PodSubnetCIDR != "10.241.0.0/24" {
		t.Errorf("the second pool's machine: %+v", second)
	}
	if third.Address != "10.240.0.35" || third.PodCIDR != "192.168.0.0/24" || len(third.PodAddresses) != 0 {
		t.Errorf("the overlay's machine: %+v", third)
	}
	vnet := w.vnet(ownNetwork)
	if len(vnet.Spec.Outbounds) != 2 || len(vnet.Spec.PodCIDRs) != 1 || len(vnet.Spec.Ports) != 3 || len(w.names(&networkv1.VirtualNetworkList{})) != 1 {
		t.Fatalf("the network: %+v", vnet.Spec)
	}
	w.delete("flat")
	w.live()
	over := w.cluster("over")
	if vnet = w.vnet(ownNetwork); len(vnet.Spec.Outbounds) != 1 || len(vnet.Spec.Ports) != 1 || vnet.Spec.Outbounds[0].ClusterIncarnation != over.Spec.Incarnation {
		t.Fatalf("the network after the first left: %+v", vnet.Spec)
	}
	w.delete("over")
	w.live()
	if got := w.counts(); got != strings.Replace(nothing, "networks=0", "networks=1", 1) {
		t.Fatalf("left over: %s", got)
	}
	if vnet = w.vnet(ownNetwork); vnet.DeletionTimestamp != nil || len(vnet.Spec.Subnets) != 2 || len(vnet.Spec.Outbounds)+len(vnet.Spec.PodCIDRs)+len(vnet.Spec.Ports) != 0 {
		t.Errorf("the network is not as it was: %+v", vnet.Spec)
	}
}

func TestAddressesAreGivenBackOnlyOnceTheNetworkIsLeft(t *testing.T) {
	w := newWorld(t)
	w.callersNetwork()
	w.joins("over", "overlay", "192.168.0.0/16", "a")
	w.live()
	w.delete("over")
	w.hostDown = true
	w.live()
	if n := len(w.names(&networkv1.PublicIPAddressList{})); n != 2 {
		t.Fatalf("%d addresses are held while the host has not let go of them, want 2", n)
	}
	w.hostDown = false
	w.live()
	if n := len(w.names(&networkv1.PublicIPAddressList{})); n != 0 {
		t.Fatalf("%d addresses are left", n)
	}
}

func TestAnOverlapThatCameInBetweenIsToldAndProgrammedNowhere(t *testing.T) {
	w := newWorld(t)
	w.callersNetwork()
	w.joins("one", "overlay", "192.168.0.0/16", "a")
	w.live()
	w.joins("two", "overlay", "192.168.128.0/17", "a")
	_, err := w.loops[0].reconcile(context.Background(), reconcile.Request{NamespacedName: client.ObjectKey{Name: "two"}})
	if err == nil || !strings.Contains(err.Error(), "overlaps 192.168.0.0/16") {
		t.Fatalf("got %v", err)
	}
	if vnet := w.vnet(ownNetwork); len(vnet.Spec.PodCIDRs) != 1 || len(vnet.Spec.Ports) != 1 {
		t.Errorf("the network: %+v", vnet.Spec)
	}
}

func TestTheNodeResourceGroupComesFirstAndGoesLast(t *testing.T) {
	w := newWorld(t)
	w.made("demo")
	w.live()
	group := &resourcesv1.ResourceGroup{}
	name := naming.Object("/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/MC_group_demo")
	must(t, w.api.Get(context.Background(), client.ObjectKey{Name: name}, group))
	if !strings.HasSuffix(group.Spec.ManagedBy, "/resourceGroups/Group/providers/Microsoft.ContainerService/managedClusters/demo") {
		t.Errorf("the group: %+v", group.Spec)
	}
	subnet := w.vnet(madeFor("demo")).Spec.Subnets[0]
	security, table := &networkv1.NetworkSecurityGroup{}, &networkv1.RouteTable{}
	must(t, w.api.Get(context.Background(), client.ObjectKey{Name: subnet.NetworkSecurityGroupName}, security))
	must(t, w.api.Get(context.Background(), client.ObjectKey{Name: subnet.RouteTableName}, table))
	if security.Spec.ManagedBy != group.Spec.ManagedBy || table.Spec.ManagedBy != group.Spec.ManagedBy {
		t.Errorf("what lies in it: %+v, %+v", security.Spec, table.Spec)
	}
	w.delete("demo")
	w.live()
	if got := w.counts(); got != nothing {
		t.Fatalf("left over: %s", got)
	}
	if left := slices.Concat(w.names(&resourcesv1.ResourceGroupList{}), w.names(&networkv1.NetworkSecurityGroupList{}), w.names(&networkv1.RouteTableList{})); len(left) != 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestAGroupThatACallerMadeIsNeverTakenForTheNodes(t *testing.T) {
	w := newWorld(t)
	w.create(&resourcesv1.ResourceGroup{
		ObjectMeta: metav1.ObjectMeta{Name: naming.Object("/subscriptions/22222222-2222-2222-2222-222222222222/resourceGroups/MC_group_demo")},
		Spec:       resourcesv1.ResourceGroupSpec{SubscriptionID: "22222222-2222-2222-2222-222222222222", Name: "MC_group_demo", Location: "local"},
	})
	w.made("demo")
	w.live()
	cluster := w.cluster("demo")
	if c := containerservicev1.ConditionTrue(cluster.Status.Conditions, containerservicev1.ConditionNetworkReady); c || len(w.names(&networkv1.VirtualNetworkList{})) != 0 {
		t.Errorf("the network was made in a group that is not the cluster's")
	}
	w.delete("demo")
	w.live()
	if left := w.names(&resourcesv1.ResourceGroupList{}); len(left) != 1 {
		t.Errorf("groups: %v", left)
	}
}

func TestOutboundAddressesComeAndGoWithTheProfile(t *testing.T) {
	w := newWorld(t)
	w.made("demo")
	w.live()
	before := w.cluster("demo").Status.OutboundAddress
	reservation := ownNetwork[:strings.Index(ownNetwork, "/virtualNetworks")] + "/publicIPPrefixes/out"
	w.create(&networkv1.AddressReservation{
		ObjectMeta: metav1.ObjectMeta{Name: naming.Object(reservation)},
		Spec:       networkv1.AddressReservationSpec{Resource: networkv1.Resource{ResourceID: reservation}, Incarnation: "reserveres", Bits: 31},
		Status:     networkv1.AddressReservationStatus{Range: "198.18.1.0/31"},
	})
	for i, step := range []struct {
		outbound containerservicev1.OutboundProfile
		claims   int // with that of the API server
		want     []string
	}{
		{containerservicev1.OutboundProfile{ManagedCount: 3, PortsPerNode: 1024}, 4, []string{before, "198.18.0.18", "198.18.0.19"}},
		{containerservicev1.OutboundProfile{ManagedCount: 2}, 3, []string{before, "198.18.0.18"}},
		{containerservicev1.OutboundProfile{PublicIPPrefixIDs: []string{reservation}}, 1, []string{"198.18.1.0", "198.18.1.1"}},
		{containerservicev1.OutboundProfile{}, 2, []string{before}},
	} {
		cluster := w.cluster("demo")
		id := "outbound" + string(rune('0'+i))
		cluster.Spec.Outbound = step.outbound
		cluster.Spec.Operations = append(cluster.Spec.Operations, w.running(meta.ScopeCluster, id, meta.VerbUpdate, cluster.Generation+1))
		must(t, w.api.Update(context.Background(), cluster))
		w.live()
		w.ended(id, meta.OperationSucceeded)
		outbound := w.vnet(madeFor("demo")).Spec.Outbounds[0]
		if got := w.cluster("demo").Status.OutboundAddresses; !slices.Equal(got, step.want) || !slices.Equal(outbound.Addresses, step.want) || outbound.PortsPerNode != step.outbound.PortsPerNode {
			t.Errorf("step %d: the cluster leaves with %v, the network with %+v, want %v", i, got, outbound, step.want)
		}
		if n := len(w.names(&networkv1.PublicIPAddressList{})); n != step.claims {
			t.Errorf("step %d: %d addresses are claimed, want %d", i, n, step.claims)
		}
	}
}

func TestAClusterOfAnEarlierVersionKeepsItsNetwork(t *testing.T) {
	w := newWorld(t)
	cluster := w.fresh("demo", 1) // it has no id
	w.create(cluster)
	w.create(&networkv1.PublicIPAddress{
		ObjectMeta: metav1.ObjectMeta{Name: "ip-198-18-0-99"},
		Spec:       networkv1.PublicIPAddressSpec{Address: "198.18.0.99", OwnerName: "demo", OwnerIncarnation: cluster.Spec.Incarnation, Purpose: "outbound"},
	})
	w.create(&networkv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Name: cluster.Spec.Incarnation}, Spec: networkv1.LoadBalancerSpec{VirtualNetworkName: cluster.Spec.Incarnation}})
	w.create(&networkv1.VirtualNetwork{
		ObjectMeta: metav1.ObjectMeta{Name: cluster.Spec.Incarnation, Finalizers: []string{networkv1.VirtualNetworkFinalizer}},
		Spec: networkv1.VirtualNetworkSpec{
			ClusterName: "demo", HostName: naming.LocalHost, Incarnation: cluster.Spec.Incarnation,
			NodeCIDR: "10.224.0.0/16", PodCIDR: "10.244.0.0/16", OutboundAddress: "198.18.0.99",
			Ports: []networkv1.Port{{MachineName: "another", Incarnation: "another", Address: "10.224.0.4", PodCIDR: "10.244.0.0/24"}},
		},
	})
	w.live()
	w.ended("create-demo", meta.OperationSucceeded)
	if got := w.cluster("demo").Status.OutboundAddress; got != "198.18.0.99" || len(w.names(&networkv1.VirtualNetworkList{})) != 1 {
		t.Fatalf("it leaves with %s, in the networks %v", got, w.names(&networkv1.VirtualNetworkList{}))
	}
	if m := w.machineOf("demo", "nodepool1"); m.Address != "10.224.0.5" || m.PodCIDR != "10.244.1.0/24" {
		t.Errorf("its machine: %+v", m)
	}
	w.delete("demo")
	w.live()
	if got := w.counts(); got != nothing {
		t.Fatalf("left over: %s", got)
	}
}
