package frontend_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1alpha1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/naming"
)

// interleaved are two front ends over one store. What is given to it happens once,
// before the nth write of whatever is asked first.
func interleaved(t *testing.T) (one, two *rig, at func(n int, happens func())) {
	t.Helper()
	var before func()
	left := 0
	store := newStore(t, func(client.Object) {
		if left--; left == 0 && before != nil {
			happens := before
			before = nil
			happens()
		}
	})
	one, two = over(t, store)
	one.group()
	one.aVirtualNetwork()
	return one, two, func(n int, happens func()) { left, before = n, happens }
}

// hasSubnet says whether the virtual network is there and to stay, with a subnet.
func (r *rig) hasSubnet(name string) bool {
	r.t.Helper()
	vnet := &networkv1alpha1.VirtualNetwork{}
	err := r.store.Get(r.t.Context(), client.ObjectKey{Name: naming.Object(vnetPath)}, vnet)
	if client.IgnoreNotFound(err) != nil {
		r.t.Fatal(err)
	}
	for _, subnet := range vnet.Spec.Subnets {
		if !apierrors.IsNotFound(err) && vnet.DeletionTimestamp == nil && strings.EqualFold(subnet.Name, name) {
			return true
		}
	}
	return false
}

// Whichever of the two comes between the looks and the writes of the other, before
// whichever write: a cluster that is let in has its subnet.
func TestAClusterAndTheDeletionOfItsSubnetNeverMissEachOther(t *testing.T) {
	body := placed(flatPods, poolIn("a", `"vnetSubnetID":"`+nodesPath2+`"`))
	for _, path := range []string{nodesPath2, vnetPath} {
		for n := 1; n <= 4; n++ {
			for _, clusterFirst := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s, before write %d, the cluster first: %t", path[len(groupPath)+len("/providers/Microsoft.Network/"):], n, clusterFirst), func(t *testing.T) {
					one, two, at := interleaved(t)
					var created, deleted answer
					create := func(r *rig) { created = r.call(http.MethodPut, clusterPath, body) }
					remove := func(r *rig) { deleted = r.call(http.MethodDelete, path+networkVersion, "") }
					if clusterFirst {
						at(n, func() { remove(two) })
						create(one)
					} else {
						at(n, func() { create(two) })
						remove(one)
					}
					if created.status == 0 || deleted.status == 0 {
						return // there were fewer writes
					}
					if (created.status == http.StatusCreated) != one.hasSubnet("nodes") {
						t.Errorf("the cluster was answered %d %.200s, the deletion %d %.200s, and the subnet is there: %t", created.status, created.raw, deleted.status, deleted.raw, one.hasSubnet("nodes"))
					}
					if created.status == http.StatusCreated {
						check(t, deleted, want{400, "InUseSubnetCannotBeDeleted", "", "managedClusters/demo"})
					} else if created.status != http.StatusBadRequest {
						t.Errorf("the cluster: %d %s", created.status, created.raw)
					}
				})
			}
		}
	}
}

func TestAPoolInAnotherSubnetAndItsDeletionNeverMissEachOther(t *testing.T) {
	for n := 1; n <= 3; n++ {
		one, two, at := interleaved(t)
		if a := one.call(http.MethodPut, clusterPath, placed(overlayPods, poolIn("a", `"vnetSubnetID":"`+nodesPath2+`"`))); a.status != http.StatusCreated {
			t.Fatal(a.raw)
		}
		one.finish()
		var deleted answer
		at(n, func() { deleted = two.call(http.MethodDelete, vnetPath+"/subnets/small"+networkVersion, "") })
		added := one.call(http.MethodPut, clusterPath+"/agentPools/b", `{"properties":{"count":1,"vnetSubnetID":"`+vnetPath+`/subnets/small"}}`)
		if deleted.status == 0 {
			continue // there were fewer writes
		}
		if there := one.hasSubnet("small"); there != (added.status == http.StatusCreated) {
			t.Errorf("before write %d: the pool was answered %d %.200s, the deletion %d %.200s", n, added.status, added.raw, deleted.status, deleted.raw)
		}
	}
}

// The subnet has room for one of the two: 251 addresses, 31 a node.
func TestTwoFrontEndsNeverGiveOutTheSameAddressesOfASubnet(t *testing.T) {
	body := placed(flatPods, poolIn("a", `"count":4,"vnetSubnetID":"`+nodesPath2+`"`))
	overlay := placed(overlayPods, poolIn("a", `"vnetSubnetID":"`+nodesPath2+`"`))
	for name, c := range map[string]struct{ body, code string }{"addresses": {body, "InsufficientSubnetSize"}, "ranges of pods": {overlay, "InvalidParameter"}} {
		for n := 1; n <= 4; n++ {
			t.Run(fmt.Sprintf("%s, before write %d", name, n), func(t *testing.T) {
				one, two, at := interleaved(t)
				var second answer
				at(n, func() { second = two.call(http.MethodPut, clusterPath+"-two", c.body) })
				first := one.call(http.MethodPut, clusterPath+"-one", c.body)
				if second.status == 0 {
					return // there were fewer writes
				}
				var clusters containerservicev1alpha1.ManagedClusterList
				if err := one.store.List(t.Context(), &clusters); err != nil {
					t.Fatal(err)
				}
				if len(clusters.Items) != 1 {
					t.Errorf("%d clusters were let in: %d %.200s, %d %.200s", len(clusters.Items), first.status, first.raw, second.status, second.raw)
				}
				if !strings.Contains(first.raw+second.raw, c.code) {
					t.Errorf("neither was refused: %.300s\n%.300s", first.raw, second.raw)
				}
			})
		}
	}
}
