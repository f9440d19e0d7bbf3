package managedcluster

import (
	"testing"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

func TestTheDNSGrowsWithTheNodesThatAskIt(t *testing.T) {
	for _, test := range []struct {
		system, user int32
		want         int
	}{{0, 0, 1}, {1, 0, 1}, {1, 40, 1}, {2, 0, 2}, {2, 6, 2}, {7, 0, 2}, {4, 4, 3}, {16, 0, 4}, {3, 30, 3}, {40, 60, 5}} {
		cluster := &v1alpha1.ManagedCluster{}
		cluster.Spec.AgentPools = []v1alpha1.AgentPoolProfile{{Mode: "System", Count: test.system}, {Mode: "User", Count: test.user}}
		if got := replicas(cluster); got != test.want {
			t.Errorf("%d System and %d User nodes have %d servers, want %d", test.system, test.user, got, test.want)
		}
	}
}
