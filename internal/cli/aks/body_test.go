package aks

import (
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
)

func TestDNSPrefixesAreMadeAsAzMakesThem(t *testing.T) {
	tests := []struct{ name, cluster, group, want string }{
		{"short names", "demo", "rg", "demo-rg-222222"},
		{"long names are cut", "a-very-long-cluster", "a-resource-group-of-ours", "a-very-lon-a-resource-group-222222"},
		{"a digit in front gets a letter", "1demo", "rg", "a1demo-rg-222222"},
		{"the letter counts", "0123456789", "rg", "a012345678-rg-222222"},
		{"unfit characters are left out", "my_demo", "my.group_(1)", "mydemo-mygroup1-222222"},
		{"nothing fit", "___", "rg", "a-rg-222222"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := defaultDNSPrefix(test.cluster, test.group, "22222222-2222-2222-2222-222222222222"); got != test.want {
				t.Errorf("defaultDNSPrefix() = %q, want %q", got, test.want)
			}
		})
	}
}

func TestWhatTheUserLeavesOutIsLeftToTheService(t *testing.T) {
	cluster := createFlags{name: "demo", group: "rg", nodepoolName: "nodepool1", nodeCount: 1}.cluster("22222222")
	pool := cluster.Properties.AgentPoolProfiles[0]
	if cluster.Properties.NetworkProfile != nil || cluster.Properties.KubernetesVersion != nil || cluster.SKU != nil || cluster.Tags != nil ||
		pool.MaxPods != nil || pool.OSDiskSizeGB != nil || pool.NodeLabels != nil || pool.NodeTaints != nil || pool.AvailabilityZones != nil {
		t.Errorf("the request says more than was asked for: %+v", cluster)
	}
}

func TestZonesReachTheFirstPool(t *testing.T) {
	cluster := createFlags{name: "demo", group: "rg", nodepoolName: "nodepool1", zones: []*string{to.Ptr("1"), to.Ptr("3")}}.cluster("22222222")
	if zones := cluster.Properties.AgentPoolProfiles[0].AvailabilityZones; len(zones) != 2 || *zones[1] != "3" {
		t.Errorf("the pool is asked for in the zones %v", zones)
	}
}
