package frontend_test

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1alpha1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/naming"
)

const tracePath = groupPath + "/providers/Berth.ContainerService/managedClusters/demo/traceNetwork?api-version=2026-11-01"

func TestAPacketOfAClusterIsFollowed(t *testing.T) {
	r := made(t)
	cluster := r.cluster()
	own := naming.VirtualNetwork(cluster.Spec.Network.VirtualNetworkID, cluster.Spec.Incarnation)
	check(t, r.call("POST", tracePath, `{"from":"10.224.0.4","to":"10.224.0.5","port":80}`), want{409, "VirtualNetworkNotReady", "", "not there yet"})
	network := func(name, incarnation, cluster, outbound, group string) *networkv1alpha1.VirtualNetwork {
		return &networkv1alpha1.VirtualNetwork{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkv1alpha1.VirtualNetworkSpec{
			Incarnation: incarnation, HostName: naming.LocalHost, AddressSpace: []string{"10.224.0.0/16"},
			Subnets:   []networkv1alpha1.Subnet{{Name: "nodes", CIDR: "10.224.0.0/16", NetworkSecurityGroupName: group}},
			Outbounds: []networkv1alpha1.Outbound{{ClusterIncarnation: cluster, Addresses: []string{outbound}}},
			Ports: []networkv1alpha1.Port{
				{MachineName: "one", Incarnation: "one", ClusterIncarnation: cluster, Subnet: "nodes", Address: "10.224.0.4"},
				{MachineName: "two", Incarnation: "two", ClusterIncarnation: cluster, Subnet: "nodes", Address: "10.224.0.5"},
			},
		}}
	}
	for _, object := range []client.Object{
		network(own, "mine", cluster.Spec.Incarnation, "198.18.0.40", "group"), network("other", "theirs", "othercluster", "198.18.0.41", ""),
		&networkv1alpha1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: networkv1alpha1.LoadBalancerSpec{
			VirtualNetworkName: "other", Frontends: []networkv1alpha1.Frontend{{Service: "secret/name", Address: "198.18.0.42", Rules: []networkv1alpha1.Rule{{Protocol: "TCP", Port: 80, NodePort: 30080}}}},
		}},
		&networkv1alpha1.NetworkSecurityGroup{ObjectMeta: metav1.ObjectMeta{Name: "group"}, Spec: networkv1alpha1.NetworkSecurityGroupSpec{Rules: []networkv1alpha1.SecurityRule{{
			Name: "no-web", Priority: 100, Direction: "Inbound", Access: "Deny", Protocol: "Tcp",
			SourcePrefixes: []string{"*"}, DestinationPrefixes: []string{"VirtualNetwork"}, SourcePorts: []string{"*"}, DestinationPorts: []string{"80"},
		}}}},
		&containerservicev1alpha1.Machine{ObjectMeta: metav1.ObjectMeta{Name: "one"}, Spec: containerservicev1alpha1.MachineSpec{
			ClusterName: cluster.Name, NodeName: "aks-nodepool1-vmss000000", Address: "10.224.0.4",
			Incarnation: naming.Incarnation(), BootstrapTokenID: "abcdef",
		}},
	} {
		if err := r.store.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct{ name, body, verdict, says string }{
		{"a rule stops it", `{"from":"aks-nodepool1-vmss000000","to":"10.224.0.5","port":80}`, "Dropped", "no-web (priority 100"},
		{"a rule lets it through", `{"from":"AKS-nodepool1-vmss000000","to":"10.224.0.5","port":443}`, "Delivered", "AllowVnetInBound"},
		{"another owner's service", `{"from":"10.224.0.4","to":"198.18.0.42","port":80}`, "Refused", "for its owner to see"},
	} {
		a := r.call("POST", tracePath, test.body)
		if a.status != 200 || !strings.Contains(a.raw, `"verdict":"`+test.verdict+`"`) || !strings.Contains(a.raw, test.says) || strings.Contains(a.raw, "secret/name") {
			t.Errorf("%s: %d %s", test.name, a.status, a.raw)
		}
	}
	check(t, r.call("POST", tracePath, `{"from":"nobody","to":"10.224.0.5","port":80}`), want{400, "InvalidParameter", "from", "neither an IPv4 address nor a node"})
	check(t, r.call("POST", tracePath, `{"from":"10.224.0.4","to":"10.224.0.5"}`), want{400, "InvalidParameter", "port", "destination port"})
}
