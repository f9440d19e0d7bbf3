package allocation

import (
	"context"
	"errors"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/network"
)

// shared is a network of a caller's with two clusters in it, "a" with a pod range.
func shared() *networkv1.VirtualNetwork {
	return &networkv1.VirtualNetwork{
		ObjectMeta: metav1.ObjectMeta{Name: "shared"},
		Spec: networkv1.VirtualNetworkSpec{
			AddressSpace: []string{"10.0.0.0/16"},
			Subnets:      []networkv1.Subnet{{Name: "Nodes", CIDR: "10.0.0.0/28"}, {Name: "pods", CIDR: "10.0.1.0/28"}},
			PodCIDRs:     []networkv1.PodCIDR{{ClusterIncarnation: "a", CIDR: "192.168.0.0/23"}},
		},
	}
}

func TestClustersThatShareASubnetGetDifferentAddresses(t *testing.T) {
	ctx := context.Background()
	c := newClient(t, "198.18.0.0/20")
	network := shared()
	network.Spec.InternalAddresses = []networkv1.InternalAddress{{Address: "10.0.0.4", Subnet: "Nodes", ClusterIncarnation: "a", Service: "n/s"}}
	if err := c.Create(ctx, network); err != nil {
		t.Fatal(err)
	}
	a := Allocator{Client: c, Reader: c}
	overlay := Place{ClusterIncarnation: "a", Subnet: "nodes"}
	flat := Place{ClusterIncarnation: "b", Subnet: "nodes", PodAddresses: 3}
	apart := Place{ClusterIncarnation: "b", Subnet: "nodes", PodSubnet: "PODS", PodAddresses: 2}
	for _, step := range []struct {
		place                            Place
		machine, address, podRange, pods string
		addresses                        []string
	}{
		{overlay, "m1", "10.0.0.5", "192.168.0.0/24", "", nil}, // .4 is an internal balancer's
		{flat, "m2", "10.0.0.6", "", "", []string{"10.0.0.7", "10.0.0.8", "10.0.0.9"}},
		{apart, "m3", "10.0.0.10", "", "pods", []string{"10.0.1.4", "10.0.1.5"}},
		{overlay, "m4", "10.0.0.11", "192.168.1.0/24", "", nil},
	} {
		vnet, err := a.EnsurePorts(ctx, "shared", step.place, []Owner{{Name: step.machine, Incarnation: step.machine}})
		if err != nil {
			t.Fatal(step.machine, err)
		}
		port := FindPort(vnet, step.machine)
		if port == nil || port.Address != step.address || port.PodCIDR != step.podRange || port.PodSubnet != step.pods ||
			port.Subnet != "Nodes" || port.ClusterIncarnation != step.place.ClusterIncarnation || !slices.Equal(port.PodAddresses, step.addresses) {
			t.Fatalf("%s: %+v", step.machine, port)
		}
	}
	if err := a.ReleasePort(ctx, "shared", Owner{Incarnation: "m2"}); err != nil {
		t.Fatal(err)
	}
	vnet, err := a.EnsurePorts(ctx, "shared", flat, []Owner{{Name: "m5", Incarnation: "m5"}})
	if err != nil || !slices.Equal(FindPort(vnet, "m5").PodAddresses, []string{"10.0.0.7", "10.0.0.8", "10.0.0.9"}) {
		t.Fatal(vnet, err)
	}
}

func TestAFullSubnetGivesNothingAndSaysWhich(t *testing.T) {
	ctx := context.Background()
	c := newClient(t, "198.18.0.0/20")
	if err := c.Create(ctx, shared()); err != nil {
		t.Fatal(err)
	}
	a := Allocator{Client: c, Reader: c}
	for name, place := range map[string]Place{
		"addresses of pods in the nodes' subnet": {ClusterIncarnation: "b", Subnet: "nodes", PodAddresses: 30},
		"a subnet that is not there":             {ClusterIncarnation: "a", Subnet: "other"},
		"a cluster without a pod range":          {ClusterIncarnation: "b", Subnet: "nodes"},
	} {
		_, err := a.EnsurePorts(ctx, "shared", place, []Owner{one()})
		if err == nil || place.PodAddresses > 0 && !errors.Is(err, network.ErrExhausted) {
			t.Errorf("%s: %v", name, err)
		}
		vnet := &networkv1.VirtualNetwork{}
		if err := c.Get(ctx, client.ObjectKey{Name: "shared"}, vnet); err != nil || len(vnet.Spec.Ports) != 0 {
			t.Errorf("%s: something was stored: %+v, %v", name, vnet.Spec.Ports, err)
		}
	}
}

func TestOutboundAddressesAreGivenBackButTheFirst(t *testing.T) {
	ctx := context.Background()
	c := newClient(t, "198.18.0.0/20")
	a := Allocator{Client: c, Reader: c}
	for _, purpose := range []string{PurposeAPIServer, networkv1.PurposeOutbound(0), networkv1.PurposeOutbound(1), networkv1.PurposeOutbound(2), ServicePurpose("n/outbound")} {
		if _, err := a.Address(ctx, "local", one(), purpose); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.ReleaseOutbound(ctx, one(), 1); err != nil {
		t.Fatal(err)
	}
	var left networkv1.PublicIPAddressList
	if err := c.List(ctx, &left); err != nil {
		t.Fatal(err)
	}
	var purposes []string
	for _, claim := range left.Items {
		purposes = append(purposes, claim.Spec.Purpose)
	}
	slices.Sort(purposes)
	if !slices.Equal(purposes, []string{"apiserver", "outbound", "service/n/outbound"}) {
		t.Fatal(purposes)
	}
}
