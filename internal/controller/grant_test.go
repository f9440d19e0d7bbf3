package controller_test

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authorizationv1 "berth.dev/berth/api/authorization/v1alpha1"
	resourcesv1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/naming"
)

// ownIdentity is the principal of the cluster demo's system-assigned identity.
const ownIdentity = "55555555-5555-5555-5555-555555555555"

// group makes the resource group that the clusters lie in.
func (w *world) group() *resourcesv1.ResourceGroup {
	w.t.Helper()
	group := &resourcesv1.ResourceGroup{
		ObjectMeta: metav1.ObjectMeta{Name: "group", UID: "uid-of-group"},
		Spec: resourcesv1.ResourceGroupSpec{
			SubscriptionID: "22222222-2222-2222-2222-222222222222", Name: "gROUP", Location: "local",
		},
	}
	w.create(group)
	return group
}

// grantAround grants roles on the cluster demo, on what is in it, on what it
// lies in, on a cluster whose name begins alike, and elsewhere to its own identity.
func (w *world) grantAround() {
	w.t.Helper()
	const (
		subscription = "/subscriptions/22222222-2222-2222-2222-222222222222"
		clusters     = subscription + "/resourcegroups/GROUP/providers/microsoft.containerservice/managedClusters/"
	)
	for name, scope := range map[string]string{
		"subscription": subscription, "group": subscription + "/resourceGroups/group",
		"cluster": clusters + "DEMO", "pool": clusters + "demo/agentPools/nodepool1", "extra-pool": clusters + "Demo/agentpools/EXTRA",
		"beside": clusters + "demo2",
	} {
		w.create(&authorizationv1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: authorizationv1.RoleAssignmentSpec{
			PrincipalID: "44444444-4444-4444-4444-444444444444", RoleDefinitionID: "acdd72a7-3385-48ef-bd42-f606fba81ae7", Scope: scope,
		}})
	}
	w.create(&authorizationv1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: "own"}, Spec: authorizationv1.RoleAssignmentSpec{
		PrincipalID: ownIdentity, RoleDefinitionID: "acdd72a7-3385-48ef-bd42-f606fba81ae7", Scope: subscription + "/resourceGroups/other",
	}})
}

// granted asserts which role assignments there are.
func (w *world) granted(want ...string) {
	w.t.Helper()
	got := w.names(&authorizationv1.RoleAssignmentList{})
	slices.Sort(got)
	if !slices.Equal(got, want) {
		w.t.Fatalf("the role assignments are %v, want %v", got, want)
	}
}

func TestARoleGrantedOnAPoolThatIsDeletedIsGoneBeforeThePool(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	w.addPool("extra")
	w.grantAround()
	w.hostDown = true
	w.removePool("extra")
	w.live()
	w.granted("beside", "cluster", "group", "own", "pool", "subscription")
}

func TestARoleGrantedOnAClusterWorksUntilTheClusterIsGone(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	w.addPool("extra")
	w.grantAround()
	w.hostDown = true
	w.delete("demo")
	w.live()
	w.granted("beside", "cluster", "extra-pool", "group", "own", "pool", "subscription")
	w.hostDown = false
	w.live()
	w.granted("beside", "group", "subscription")
}

func TestRolesOfAClustersIdentitiesGoWithThem(t *testing.T) {
	w := newWorld(t)
	w.put("demo", 1)
	w.live()
	cluster := w.cluster("demo")
	_, nodes := naming.KubeletIdentity(cluster.Spec.Incarnation)
	const former = "66666666-6666-6666-6666-666666666666"
	for name, principal := range map[string]string{"former": former, "nodes": nodes, "own": ownIdentity, "stranger": "44444444-4444-4444-4444-444444444444"} {
		w.create(&authorizationv1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: authorizationv1.RoleAssignmentSpec{
			PrincipalID: principal, RoleDefinitionID: "acdd72a7-3385-48ef-bd42-f606fba81ae7", Scope: "/subscriptions/22222222-2222-2222-2222-222222222222",
		}})
	}
	cluster.Spec.FormerPrincipals = []string{former}
	if err := w.api.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	w.live()
	w.granted("nodes", "own", "stranger")
	if left := w.cluster("demo").Spec.FormerPrincipals; len(left) != 0 {
		t.Errorf("the former identities %v are not forgotten", left)
	}
	w.delete("demo")
	w.live()
	w.granted("stranger")
}
