package controller_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1 "berth.dev/berth/api/host/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/naming"
)

// put writes a new cluster with one pool of a size, as the front end does: the
// desired state with the operation that asked for it.
func (w *world) put(name string, count int32) {
	w.t.Helper()
	w.create(w.fresh(name, count))
}

// fresh is such a cluster.
func (w *world) fresh(name string, count int32) *containerservicev1.ManagedCluster {
	return &containerservicev1.ManagedCluster{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-of-" + name)},
		Spec: containerservicev1.ManagedClusterSpec{
			SubscriptionID: "22222222-2222-2222-2222-222222222222", ResourceGroup: "Group", Name: name,
			Incarnation: naming.Incarnation(), Location: "local", DNSPrefix: "Demo", NodeResourceGroup: "MC_group_" + name,
			Tier: "Free", IdentityType: "SystemAssigned", IdentityPrincipalID: ownIdentity,
			KubernetesVersion: "1.35.4", RequestedVersion: "1.35",
			Network: containerservicev1.NetworkProfile{
				Plugin: "kubenet", OutboundType: "loadBalancer",
				VNetCIDR: "10.224.0.0/12", NodeCIDR: "10.224.0.0/16", PodCIDR: "10.244.0.0/16",
				ServiceCIDR: "10.0.0.0/16", DNSServiceIP: "10.0.0.10",
			},
			AgentPools: []containerservicev1.AgentPoolProfile{{
				Name: "nodepool1", Incarnation: naming.Incarnation(), Count: count, VMSize: "Standard_DS2_v2",
				OSDiskSizeGB: 30, MaxPods: 110, Mode: "System", OrchestratorVersion: "1.35.4",
			}},
			Operations: []meta.RunningOperation{w.running(meta.ScopeCluster, "create-"+name, meta.VerbCreate, 1)},
		},
	}
}

func (w *world) running(scope, id string, verb meta.Verb, generation int64) meta.RunningOperation {
	return meta.RunningOperation{
		Scope: scope, ID: id, Verb: verb, Generation: generation,
		StartTime: metav1.NewTime(w.clock.Now()), Deadline: metav1.NewTime(w.clock.Now().Add(10 * time.Minute)),
	}
}

// scale writes another count into the pool, as the front end does.
func (w *world) scale(name, id string, count int32) {
	w.t.Helper()
	cluster := w.cluster(name)
	cluster.Spec.AgentPools[0].Count = count
	cluster.Spec.Operations = append(cluster.Spec.Operations, w.running("nodepool1", id, meta.VerbScale, cluster.Generation+1))
	must(w.t, w.api.Update(context.Background(), cluster))
}

func (w *world) delete(name string) {
	w.t.Helper()
	must(w.t, w.api.Delete(context.Background(), w.cluster(name)))
}

// addPool gives the cluster demo a second pool of one node, which comes up.
func (w *world) addPool(name string) {
	w.t.Helper()
	cluster := w.cluster("demo")
	pool := cluster.Spec.AgentPools[0]
	pool.Name, pool.Incarnation, pool.Count = name, naming.Incarnation(), 1
	cluster.Spec.AgentPools = append(cluster.Spec.AgentPools, pool)
	cluster.Spec.Operations = append(cluster.Spec.Operations, w.running(name, "add", meta.VerbCreate, cluster.Generation+1))
	must(w.t, w.api.Update(context.Background(), cluster))
	w.live()
}

// removePool takes the second pool out of the cluster demo.
func (w *world) removePool(name string) {
	w.t.Helper()
	cluster := w.cluster("demo")
	cluster.Spec.AgentPools = cluster.Spec.AgentPools[:1]
	cluster.Spec.Operations = append(cluster.Spec.Operations, w.running(name, "remove", meta.VerbDelete, cluster.Generation+1))
	must(w.t, w.api.Update(context.Background(), cluster))
}

func (w *world) cluster(name string) *containerservicev1.ManagedCluster {
	w.t.Helper()
	cluster := &containerservicev1.ManagedCluster{}
	must(w.t, w.api.Get(context.Background(), client.ObjectKey{Name: name}, cluster))
	return cluster
}

// ended asserts how an operation ended.
func (w *world) ended(id string, status meta.OperationStatus) {
	w.t.Helper()
	record, found, err := w.history.Get(id)
	must(w.t, err)
	if !found || record.Status != status {
		w.t.Fatalf("operation %s: found %t, %+v; want %s", id, found, record, status)
	}
}

// counts are how many objects there are of each kind that can leak.
func (w *world) counts() string {
	w.t.Helper()
	ports := 0
	var networks networkv1.VirtualNetworkList
	must(w.t, w.api.List(context.Background(), &networks))
	for _, network := range networks.Items {
		ports += len(network.Spec.Ports)
	}
	return fmt.Sprintf("clusters=%d planes=%d networks=%d balancers=%d pools=%d machines=%d addresses=%d idranges=%d ports=%d secrets=%d",
		len(w.names(&containerservicev1.ManagedClusterList{})), len(w.names(&containerservicev1.ControlPlaneList{})),
		len(networks.Items), len(w.names(&networkv1.LoadBalancerList{})),
		len(w.names(&containerservicev1.AgentPoolList{})), len(w.names(&containerservicev1.MachineList{})),
		len(w.names(&networkv1.PublicIPAddressList{})), len(w.names(&hostv1.IDRangeList{})), ports, len(w.names(&corev1.SecretList{})))
}

const nothing = "clusters=0 planes=0 networks=0 balancers=0 pools=0 machines=0 addresses=0 idranges=0 ports=0 secrets=0"

// expected is what one cluster with some nodes consists of.
func expected(nodes int) string {
	return fmt.Sprintf("clusters=1 planes=1 networks=1 balancers=1 pools=1 machines=%d addresses=2 idranges=%d ports=%d secrets=%d",
		nodes, 1+nodes, nodes, 1+nodes)
}

// consistent asserts that a settled cluster is whole: every condition true, its
// machines exactly those of its ports, all different, and the tenant's nodes theirs.
func (w *world) consistent(name string, nodes int) {
	w.t.Helper()
	if got, want := w.counts(), expected(nodes); got != want {
		w.t.Fatalf("left over or missing:\n got %s\nwant %s", got, want)
	}
	cluster := w.cluster(name)
	if !containerservicev1.ConditionTrue(cluster.Status.Conditions, containerservicev1.ConditionReady) || len(cluster.Spec.Operations) > 0 {
		w.t.Fatalf("not ready: %+v, operations %+v", cluster.Status.Conditions, cluster.Spec.Operations)
	}
	var machines containerservicev1.MachineList
	must(w.t, w.api.List(context.Background(), &machines))
	var network networkv1.VirtualNetwork
	must(w.t, w.api.Get(context.Background(), client.ObjectKey{Name: cluster.Spec.Incarnation}, &network))
	seen := map[string]bool{}
	for _, machine := range machines.Items {
		at := slices.IndexFunc(network.Spec.Ports, func(p networkv1.Port) bool { return p.MachineName == machine.Name })
		if at < 0 || network.Spec.Ports[at].Address != machine.Spec.Address || network.Spec.Ports[at].PodCIDR != machine.Spec.PodCIDR {
			w.t.Fatalf("machine %s and its port differ: %+v, %+v", machine.Name, machine.Spec, network.Spec.Ports)
		}
		for _, unique := range []string{machine.Spec.NodeName, machine.Spec.Address, machine.Spec.PodCIDR, fmt.Sprint(machine.Spec.IDRangeStart)} {
			if seen[unique] {
				w.t.Fatalf("%s is given out twice", unique)
			}
			seen[unique] = true
		}
	}
	var tenantNodes corev1.NodeList
	must(w.t, w.tenantOf(name).List(context.Background(), &tenantNodes))
	if len(tenantNodes.Items) != nodes {
		w.t.Fatalf("the tenant has %d nodes, want %d", len(tenantNodes.Items), nodes)
	}
	for _, node := range tenantNodes.Items {
		if !seen[node.Name] || !seen[node.Spec.PodCIDR] {
			w.t.Fatalf("node %s with pods %s is no machine's", node.Name, node.Spec.PodCIDR)
		}
	}
}

func TestAClusterIsMadeScaledAndDeletedAndLeavesNothing(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 2)
	w.live()
	w.consistent("demo", 2)
	w.ended("create-demo", meta.OperationSucceeded)
	cluster := w.cluster("demo")
	if cluster.Status.ProvisioningState != containerservicev1.StateSucceeded || cluster.Status.CurrentKubernetesVersion != "1.35.4" {
		t.Fatalf("status: %+v", cluster.Status)
	}
	if want := "demo-" + cluster.Spec.Incarnation[:8] + ".hcp.local.berth.internal"; cluster.Status.FQDN != want {
		t.Fatalf("fqdn %s, want %s", cluster.Status.FQDN, want)
	}

	w.scale("demo", "up", 4)
	w.live()
	w.consistent("demo", 4)
	w.ended("up", meta.OperationSucceeded)

	w.scale("demo", "down", 1)
	w.live()
	w.consistent("demo", 1)
	w.ended("down", meta.OperationSucceeded)
	if names := w.names(&containerservicev1.MachineList{}); !slices.ContainsFunc(names, func(n string) bool { return n[:len(n)-11][len(n)-11-6:] == "000000" }) {
		t.Fatalf("the machine with the lowest index is gone: %v", names)
	}

	w.delete("demo")
	w.live()
	if got := w.counts(); got != nothing {
		t.Fatalf("left over: %s", got)
	}
}

func TestANodeWhoseLogsNobodyCouldReadYetIsAwaited(t *testing.T) {
	w := newWorld(t)
	w.servingUnsigned = true
	w.put("demo", 1)
	w.live()
	told := w.machines()[0].Status.Conditions
	ready := apimeta.FindStatusCondition(told, containerservicev1.ConditionReady)
	if !containerservicev1.ConditionTrue(told, containerservicev1.ConditionNodeReady) || ready.Status == metav1.ConditionTrue ||
		!strings.Contains(ready.Message, "serving certificate") {
		t.Errorf("without a serving certificate the machine tells %+v", told)
	}
	if running := w.cluster("demo").Spec.Operations; len(running) != 1 {
		t.Errorf("the operation has ended without the node: %+v", running)
	}
	w.servingUnsigned = false
	w.live()
	w.consistent("demo", 1)
}

func TestOnceABootstrappedNodeHasItsCertificatesItsTokenIsGone(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	var secrets corev1.SecretList
	must(t, w.tenantOf("demo").List(context.Background(), &secrets))
	if len(secrets.Items) != 0 {
		t.Fatalf("the tenant still has %s", secrets.Items[0].Name)
	}
}

func TestADeletedMachineIsReplacedUnderAnotherName(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	before := w.names(&containerservicev1.MachineList{})
	must(t, w.api.Delete(context.Background(), &containerservicev1.Machine{ObjectMeta: metav1.ObjectMeta{Name: before[0]}}))
	w.live()
	w.consistent("demo", 1)
	if after := w.names(&containerservicev1.MachineList{}); after[0] == before[0] {
		t.Fatal("the machine came back as it was")
	}
}

func TestARemovedPoolIsDeletedWithItsMachines(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	w.addPool("extra")
	w.ended("add", meta.OperationSucceeded)
	if n := len(w.names(&containerservicev1.MachineList{})); n != 2 {
		t.Fatalf("%d machines, want 2", n)
	}
	w.removePool("extra")
	w.hostDown = true
	w.live()
	if _, found, _ := w.history.Get("remove"); found {
		t.Fatal("the delete ended although the machine is still there")
	}
	w.hostDown = false
	w.live()
	w.ended("remove", meta.OperationSucceeded)
	w.consistent("demo", 1)
}

func TestTwoClustersShareNoAddressAndNoIDs(t *testing.T) {
	w := newWorld(t)
	w.put("one", 1)
	w.put("two", 1)
	w.live()
	one, two := w.cluster("one"), w.cluster("two")
	if one.Status.Address == two.Status.Address || one.Status.OutboundAddress == two.Status.OutboundAddress {
		t.Fatalf("addresses are shared: %+v, %+v", one.Status, two.Status)
	}
	w.delete("one")
	w.live()
	w.consistent("two", 1)
}

func TestAClusterIsDeletedWhileItIsBeingMade(t *testing.T) {
	w := newWorld(t)
	w.kubeletsDown = true
	w.put("demo", 2)
	w.live()
	w.delete("demo")
	w.live()
	if got := w.counts(); got != nothing {
		t.Fatalf("left over: %s", got)
	}
	w.ended("create-demo", meta.OperationCanceled)
}

func TestAnAPIServerIsToldOfBeforeAddOnsAreAppliedToIt(t *testing.T) {
	w := newWorld(t)
	var told []bool
	w.dialing = func() {
		told = append(told, apimeta.IsStatusConditionTrue(w.cluster("demo").Status.Conditions, containerservicev1.ConditionControlPlaneReady))
	}
	w.put("demo", 1)
	w.live()
	if len(told) == 0 || slices.Contains(told, false) {
		t.Errorf("whether the status told of the API server when it was called: %v", told)
	}
}
