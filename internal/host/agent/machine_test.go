package agent

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	networkapi "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/naming"
)

const machineIncarnation = "klmnopqrst"

func aMachine() *containerservice.Machine {
	return &containerservice.Machine{
		ObjectMeta: metav1.ObjectMeta{Name: machineName, Generation: 1},
		Spec: containerservice.MachineSpec{
			ClusterName: clusterName, AgentPoolName: "nodepool1-uvwxyzabcd", HostName: hostName, Incarnation: machineIncarnation,
			NodeName: "aks-nodepool1-00000000-vmss000000", ProviderID: "azure:///x", VMSize: "Standard_B2s", OSDiskSizeGB: 128, MaxPods: 110,
			KubernetesVersion: "1.35.4", Address: "10.224.0.4", PodCIDR: "10.244.0.0/24", IDRangeStart: 0x10010000, BootstrapTokenID: "abcdef",
		},
	}
}

func aCluster() *containerservice.ManagedCluster {
	return &containerservice.ManagedCluster{
		ObjectMeta: metav1.ObjectMeta{Name: clusterName},
		Spec: containerservice.ManagedClusterSpec{Incarnation: incarnation, Network: containerservice.NetworkProfile{
			NodeCIDR: "10.224.0.0/16", PodCIDR: "10.244.0.0/16", ServiceCIDR: "10.0.0.0/16", DNSServiceIP: "10.0.0.10",
		}},
	}
}

func identity() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: machineName},
		Data:       map[string][]byte{secretToken: []byte("abcdef.0123456789abcdef"), secretProxyCert: []byte("certificate"), secretProxyKey: []byte("key")},
	}
}

func aNetwork() *networkapi.VirtualNetwork {
	return &networkapi.VirtualNetwork{
		ObjectMeta: metav1.ObjectMeta{Name: incarnation, Generation: 1},
		Spec: networkapi.VirtualNetworkSpec{
			ClusterName: clusterName, HostName: hostName, Incarnation: incarnation, NodeCIDR: "10.224.0.0/16", PodCIDR: "10.244.0.0/16",
			OutboundAddress: "198.18.0.17",
			Ports:           []networkapi.Port{{MachineName: machineName, Incarnation: machineIncarnation, Address: "10.224.0.4", PodCIDR: "10.244.0.0/24"}},
		},
	}
}

func TestAMachineIsMadeBeforeItsNetworkAndAttachedOnceThatIsThere(t *testing.T) {
	w := newWorld(t, aMachine(), aCluster(), controlPlane(), credentials(t), identity(), aNetwork())
	r := w.machines()
	provisioned := func(ctrl.Result) bool {
		var object containerservice.Machine
		w.get(t, &object, machineName)
		return apimeta.IsStatusConditionTrue(object.Status.Conditions, containerservice.ConditionProvisioned)
	}
	var object containerservice.Machine
	until(t, r, machineName, func(ctrl.Result) bool {
		w.get(t, &object, machineName)
		c := apimeta.FindStatusCondition(object.Status.Conditions, containerservice.ConditionNetworked)
		return c != nil && c.Message == "waiting for the virtual network"
	})
	until(t, w.networks(), incarnation, settledDown)
	until(t, r, machineName, provisioned)
	until(t, r, machineName, settledDown)
	w.get(t, &object, machineName)
	expect(t, object.Status.Conditions, containerservice.ConditionNetworked, "True", "")
	if object.Status.NodeImage != "image-1" {
		t.Errorf("node image is %q", object.Status.NodeImage)
	}
	if _, attached := w.fabric.Attached(incarnation, machineIncarnation); !attached {
		t.Error("the port is not attached")
	}
}

func TestAMachineSaysWhatItWaitsFor(t *testing.T) {
	w := newWorld(t, aMachine(), aCluster(), controlPlane(), credentials(t))
	until(t, w.machines(), machineName, once)
	var object containerservice.Machine
	w.get(t, &object, machineName)
	expect(t, object.Status.Conditions, containerservice.ConditionProvisioned, "False", "the machine's token")
}

func TestConditionsOfTheOtherControllerSurviveTheAgentsWrites(t *testing.T) {
	w := newWorld(t, aMachine(), aCluster(), controlPlane(), credentials(t), identity(), aNetwork())
	until(t, w.networks(), incarnation, settledDown)
	r := w.machines()
	until(t, r, machineName, once)
	var object containerservice.Machine
	w.get(t, &object, machineName)
	stale := object.DeepCopy()
	stamp := condition.Stamp{Generation: 1, Time: w.deps.Clock.Now()}
	stamp.Set(&object.Status.Conditions, containerservice.ConditionNodeReady, condition.True("the node is ready"))
	if err := w.client.Status().Update(t.Context(), &object); err != nil {
		t.Fatal(err)
	}
	after := stale.DeepCopy()
	after.Status.NodeImage = "written from a stale copy"
	if result, err := settled(ctrl.Result{}, patchStatus(t.Context(), w.client, stale, after)); err != nil || result.RequeueAfter != soon {
		t.Errorf("a write from a stale copy gave %+v, %v", result, err)
	}
	until(t, r, machineName, settledDown)
	w.get(t, &object, machineName)
	expect(t, object.Status.Conditions, containerservice.ConditionNodeReady, "True", "")
	expect(t, object.Status.Conditions, containerservice.ConditionProvisioned, "True", "")
}

func TestADeletedMachineIsGoneWithAllOfIt(t *testing.T) {
	w := newWorld(t, aMachine(), aCluster(), controlPlane(), credentials(t), identity(), aNetwork())
	until(t, w.networks(), incarnation, settledDown)
	r := w.machines()
	until(t, r, machineName, settledDown)
	var object containerservice.Machine
	w.get(t, &object, machineName)
	if err := w.client.Delete(t.Context(), &object); err != nil {
		t.Fatal(err)
	}
	until(t, r, machineName, func(ctrl.Result) bool { return !w.get(t, &object, machineName) })
	left, err := w.deps.Provider.List(t.Context())
	if err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

func TestANetworkIsProgrammedWithTheBalancerOfItsName(t *testing.T) {
	balancer := &networkapi.LoadBalancer{
		ObjectMeta: metav1.ObjectMeta{Name: incarnation, Generation: 3},
		Spec: networkapi.LoadBalancerSpec{VirtualNetworkName: incarnation, Frontends: []networkapi.Frontend{{
			Service: "default/web", Address: "198.18.0.18", Rules: []networkapi.Rule{{Protocol: "TCP", Port: 80, NodePort: 30080}}, Backends: []string{"10.224.0.4"},
		}}},
	}
	w := newWorld(t, aNetwork(), balancer)
	until(t, w.networks(), incarnation, settledDown)
	programmed, _ := w.fabric.Network(incarnation)
	if len(programmed.Frontends) != 1 || len(programmed.Ports) != 1 || programmed.Frontends[0].Rules[0].NodePort != 30080 {
		t.Errorf("programmed is %+v", programmed)
	}
	w.get(t, balancer, incarnation)
	expect(t, balancer.Status.Conditions, conditionReady, "True", "")
	if balancer.Status.ObservedGeneration != 3 || !slices.Equal(balancer.Status.Frontends, balancer.Spec.Programmed()) {
		t.Errorf("the balancer's status is %+v", balancer.Status)
	}
	var object networkapi.VirtualNetwork
	w.get(t, &object, incarnation)
	if err := w.client.Delete(t.Context(), &object); err != nil {
		t.Fatal(err)
	}
	until(t, w.networks(), incarnation, func(ctrl.Result) bool { return !w.get(t, &object, incarnation) })
	if _, there := w.fabric.Network(incarnation); there {
		t.Error("the network is still there")
	}
}

// TestABalancerThatIsWrittenMeanwhileIsReportedAsItWasProgrammed writes the spec
// anew before every report of the host, as a row of services does.
func TestABalancerThatIsWrittenMeanwhileIsReportedAsItWasProgrammed(t *testing.T) {
	frontend := func(service, address string) networkapi.Frontend {
		return networkapi.Frontend{
			Service: service, Address: address, Rules: []networkapi.Rule{{Protocol: "TCP", Port: 80, NodePort: 30080}}, Backends: []string{"10.224.0.4"},
		}
	}
	w := newWorld(t, aNetwork(), &networkapi.LoadBalancer{
		ObjectMeta: metav1.ObjectMeta{Name: incarnation, Generation: 3},
		Spec:       networkapi.LoadBalancerSpec{VirtualNetworkName: incarnation, Frontends: []networkapi.Frontend{frontend("default/web", "198.18.0.18")}},
	})
	r := w.networks()
	until(t, r, incarnation, settledDown)
	r.client = interceptor.NewClient(w.client.(client.WithWatch), interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, subresource string, o client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
			var now networkapi.LoadBalancer
			w.get(t, &now, incarnation)
			now.Spec.Frontends = append(now.Spec.Frontends, frontend("default/later", "198.18.0.20"))
			if err := c.Update(ctx, &now); err != nil {
				return err
			}
			return c.SubResource(subresource).Patch(ctx, o, patch, opts...)
		},
	})
	var object networkapi.LoadBalancer
	w.get(t, &object, incarnation)
	object.Generation, object.Spec.Frontends = 4, append(object.Spec.Frontends, frontend("default/api", "198.18.0.19"))
	if err := w.client.Update(t.Context(), &object); err != nil {
		t.Fatal(err)
	}
	until(t, r, incarnation, settledDown)
	programmed := object.Spec.Programmed()
	w.get(t, &object, incarnation)
	if object.Status.ObservedGeneration != 4 || !slices.Equal(object.Status.Frontends, programmed) || len(object.Spec.Frontends) != 3 {
		t.Errorf("the balancer is %+v", object)
	}
}

func TestTheHostReportsWhatItIsAndKeepsItsEdge(t *testing.T) {
	object := &hostapi.Host{
		ObjectMeta: metav1.ObjectMeta{Name: hostName},
		Spec:       hostapi.HostSpec{CPUOvercommit: 8, MemoryOvercommit: 2, PublicRange: "198.18.0.0/20"},
	}
	w := newWorld(t, object)
	if err := w.fabric.DeleteEdge(t.Context()); err != nil {
		t.Fatal(err)
	}
	until(t, &hostReconciler{client: w.client, Dependencies: w.deps}, hostName, settledDown)
	w.get(t, object, hostName)
	if object.Status.CPUs < 1 || object.Status.MemoryMiB < 1 || object.Status.Heartbeat == nil || len(object.Status.Releases) != 1 {
		t.Errorf("status is %+v", object.Status)
	}
	expect(t, object.Status.Conditions, hostapi.ConditionEdgeReady, "True", "")
	if edge, there := w.fabric.Edge(); !there || edge.HostAddress.String() != "198.18.0.1" {
		t.Errorf("the edge is %+v", edge)
	}
}
