package addressplan

import (
	"fmt"
	"slices"
	"testing"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
)

const (
	vnet  = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/v"
	nodes = vnet + "/subnets/Nodes"
	pods  = vnet + "/subnets/pods"
)

// joined is a network with one internal balancer in the subnet of the pods.
func joined() networkv1.VirtualNetworkSpec {
	return networkv1.VirtualNetworkSpec{
		Subnets:           []networkv1.Subnet{{Name: "Nodes", CIDR: "10.0.0.0/24"}, {Name: "pods", CIDR: "10.0.1.0/24"}},
		InternalAddresses: []networkv1.InternalAddress{{Address: "10.0.1.4", Subnet: "pods"}},
	}
}

// cluster is one with a network profile and pools.
func cluster(name string, profile v1alpha1.NetworkProfile, pools ...v1alpha1.AgentPoolProfile) *v1alpha1.ManagedCluster {
	c := &v1alpha1.ManagedCluster{}
	c.Name, c.Spec.Network, c.Spec.AgentPools = name, profile, pools
	return c
}

func pool(count, maxPods int32, subnet, podSubnet string) v1alpha1.AgentPoolProfile {
	return v1alpha1.AgentPoolProfile{Name: "p", Count: count, MaxPods: maxPods, VNetSubnetID: subnet, PodSubnetID: podSubnet}
}

func TestAShortageHasTheFiguresThatAKSTells(t *testing.T) {
	flat := v1alpha1.NetworkProfile{Plugin: "azure"}
	overlay := v1alpha1.NetworkProfile{Plugin: "azure", PluginMode: "overlay", PodCIDR: "10.240.100.0/22"}
	own := v1alpha1.NetworkProfile{Plugin: "azure", VNetCIDR: "10.224.0.0/12", NodeCIDR: "10.224.0.0/26"}
	exact := pool(8, 30, nodes, "")
	exact.UpgradeSettings = v1alpha1.PoolUpgradeSettings{MaxSurge: "0", MaxUnavailable: "1"}
	for name, test := range map[string]struct {
		next, old *v1alpha1.ManagedCluster
		others    []v1alpha1.ManagedCluster
		want      []string
	}{
		"nodes and pods of one subnet":              {next: cluster("a", flat, pool(8, 30, nodes, "")), want: []string{"279 of 251 in Nodes 10.0.0.0/24"}},
		"no surge, so that it fits":                 {next: cluster("a", flat, exact)},
		"pods of a subnet of their own":             {next: cluster("a", flat, pool(8, 30, nodes, pods)), want: []string{"270 of 250 in pods 10.0.1.0/24"}},
		"what another cluster takes":                {next: cluster("a", flat, pool(3, 30, nodes, "")), others: []v1alpha1.ManagedCluster{*cluster("b", flat, pool(4, 30, nodes, ""))}, want: []string{"124 of 96 in Nodes 10.0.0.0/24"}},
		"what another takes with the same own name": {next: cluster("a", own, pool(1, 20, "", "")), others: []v1alpha1.ManagedCluster{*cluster("b", own, pool(1, 20, "", ""))}},
		"its own subnet":                            {next: cluster("a", own, pool(1, 30, "", "")), want: []string{"62 of 59 in aks-subnet 10.224.0.0/26"}},
		"a pod range":                               {next: cluster("a", overlay, pool(4, 250, nodes, "")), want: []string{"1280 of 1024 in networkProfile.podCIDR 10.240.100.0/22"}},
		"what does not grow":                        {next: cluster("a", flat, pool(8, 30, nodes, "")), old: cluster("a", flat, pool(8, 30, nodes, ""))},
		"nodes in a subnet that is large enough":    {next: cluster("a", overlay, pool(3, 250, nodes, ""))},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range Of(test.next, joined()).Check(test.old, test.others) {
				got = append(got, fmt.Sprintf("%d of %d in %s %s", s.Needed, s.Available, s.Name, s.Prefix))
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("shortages %v, want %v", got, test.want)
			}
		})
	}
}
