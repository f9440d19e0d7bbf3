package join

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
)

func cluster(name string, generation int64, nodes int32) *containerservicev1.ManagedCluster {
	c := &containerservicev1.ManagedCluster{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: generation}}
	c.Spec.Name, c.Spec.AgentPools = name, []containerservicev1.AgentPoolProfile{{Name: "p", Count: nodes, VNetSubnetID: "/v/subnets/a", VMSize: "Standard_B2s"}}
	return c
}

func TestAClaimCountsUntilItsClusterShowsItOrItsTimeIsUp(t *testing.T) {
	now := time.Now()
	n := &networkv1.VirtualNetwork{}
	claimed, err := Claim(n, nil, cluster("new", 0, 3), now)
	if err != nil || !claimed {
		t.Fatal(claimed, err)
	}
	grown := cluster("there", 4, 1)
	if claimed, err := Claim(n, grown, cluster("there", 4, 9), now); err != nil || !claimed {
		t.Fatal(claimed, err)
	}
	counts := func(at time.Time, clusters ...containerservicev1.ManagedCluster) map[string]int32 {
		counted := map[string]int32{}
		for _, c := range With(n, clusters, at) {
			counted[c.Name] += c.Spec.AgentPools[0].Count
		}
		return counted
	}
	if got := counts(now, *grown); len(got) != 2 || got["new"] != 3 || got["there"] != 9 {
		t.Errorf("before either is written: %v", got)
	}
	if got := counts(now, *cluster("there", 5, 2), *cluster("new", 1, 4)); got["new"] != 4 || got["there"] != 2 {
		t.Errorf("once both were written: %v", got)
	}
	if got := counts(now.Add(lifetime+time.Second), *grown); len(got) != 1 || got["there"] != 1 {
		t.Errorf("after their time: %v", got)
	}
	later := now.Add(lifetime + time.Second)
	if _, err := Claim(n, nil, cluster("third", 0, 1), later); err != nil || len(n.Annotations) != 1 {
		t.Errorf("claims whose time is up are not dropped: %v, %v", n.Annotations, err)
	}
}

func TestWhatChangesNothingOfAPlaceClaimsNothing(t *testing.T) {
	n := &networkv1.VirtualNetwork{}
	old, next := cluster("a", 1, 3), cluster("a", 1, 3)
	next.Spec.KubernetesVersion = "1.36.3"
	if claimed, err := Claim(n, old, next, time.Now()); claimed || err != nil || len(n.Annotations) != 0 {
		t.Errorf("%v %v %v", claimed, err, n.Annotations)
	}
}

func TestANetworkThatIsAboutToBeDeletedIsKnownForAWhile(t *testing.T) {
	now := time.Now()
	n := &networkv1.VirtualNetwork{}
	if Leaves(n, now) {
		t.Error("it leaves before anybody said so")
	}
	if Leave(n, now); !Leaves(n, now) || Leaves(n, now.Add(lifetime+time.Second)) {
		t.Errorf("%v", n.Annotations)
	}
}
