package topology

import (
	"net/netip"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	networkapi "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/network"
)

func read(t *testing.T, virtual *networkapi.VirtualNetwork, objects ...client.Object) (Parts, error) {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := networkapi.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := containerservice.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	reader := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).Build()
	return Read(t.Context(), reader, virtual, netip.MustParseAddr("198.18.0.3"))
}

func guarded() *networkapi.VirtualNetwork {
	return &networkapi.VirtualNetwork{ObjectMeta: metav1.ObjectMeta{Name: "net"}, Spec: networkapi.VirtualNetworkSpec{
		Incarnation: "net", AddressSpace: []string{"10.1.0.0/16"},
		Subnets:   []networkapi.Subnet{{Name: "web", CIDR: "10.1.1.0/24", NetworkSecurityGroupName: "guard"}},
		Outbounds: []networkapi.Outbound{{ClusterIncarnation: "one", Addresses: []string{"198.18.0.18"}, Disabled: true}},
		Ports:     []networkapi.Port{{MachineName: "m", Incarnation: "m", ClusterIncarnation: "one", Subnet: "web", Address: "10.1.1.4"}},
	}}
}

func group(managedBy string) *networkapi.NetworkSecurityGroup {
	return &networkapi.NetworkSecurityGroup{ObjectMeta: metav1.ObjectMeta{Name: "guard"}, Spec: networkapi.NetworkSecurityGroupSpec{
		Resource: networkapi.Resource{ManagedBy: managedBy},
		Rules: []networkapi.SecurityRule{{
			Name: "web", Priority: 100, Direction: "Inbound", Access: "Allow", Protocol: "Tcp",
			SourcePrefixes: []string{"Internet"}, DestinationPrefixes: []string{"*"}, SourcePorts: []string{"*"}, DestinationPorts: []string{"80", "8000-8999"},
		}},
	}}
}

func TestASubnetHasItsGroupsRulesAndAzuresDefaults(t *testing.T) {
	plane := &containerservice.ControlPlane{ObjectMeta: metav1.ObjectMeta{Name: "one"}, Spec: containerservice.ControlPlaneSpec{Address: "198.18.0.16"}}
	for managedBy, balanced := range map[string]int{"": 0, "/subscriptions/s/…/managedClusters/one": 1} {
		parts, err := read(t, guarded(), group(managedBy), plane)
		if err != nil {
			t.Fatal(err)
		}
		n, err := parts.Network(guarded().Spec.Current())
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Validate(); err != nil {
			t.Fatal(err)
		}
		rules := n.Subnets[0].Rules
		if got := len(rules) - len(network.DefaultSecurityRules()) - 1; rules[0].Name != "web" || got != balanced {
			t.Errorf("a group that %q manages has %d rules for what is balanced, want %d: %+v", managedBy, got, balanced, rules)
		}
		want := []netip.Addr{netip.MustParseAddr("198.18.0.3"), netip.MustParseAddr("198.18.0.16")}
		if out := n.Outbounds[0]; !out.Disabled || !slices.Equal(out.Reachable, want) || n.Ports[0].Outbound != "one" {
			t.Errorf("the way out is %+v, want one to %v alone", out, want)
		}
	}
}

func TestASubnetIsNeverReadWithoutItsGroup(t *testing.T) {
	if _, err := read(t, guarded()); err == nil {
		t.Error("a network was read though the group of its subnet is not there")
	}
}
