package controller_test

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	authorizationv1 "berth.dev/berth/api/authorization/v1alpha1"
	managedidentityv1 "berth.dev/berth/api/managedidentity/v1alpha1"
)

// identity makes a user-assigned identity in the group, with a role on itself
// given to others, one elsewhere given to it, and one of others elsewhere.
func (w *world) identity() {
	w.t.Helper()
	const subscription = "22222222-2222-2222-2222-222222222222"
	w.create(&managedidentityv1.UserAssignedIdentity{
		ObjectMeta: metav1.ObjectMeta{Name: "workload", Finalizers: []string{managedidentityv1.UserAssignedIdentityFinalizer}},
		Spec: managedidentityv1.UserAssignedIdentitySpec{
			SubscriptionID: subscription, ResourceGroup: "group", Name: "Workload", Location: "local",
			TenantID: "11111111-1111-1111-1111-111111111111", PrincipalID: "77777777-7777-7777-7777-777777777777", ClientID: "88888888-8888-8888-8888-888888888888",
		},
	})
	const other, self = "44444444-4444-4444-4444-444444444444", "77777777-7777-7777-7777-777777777777"
	for name, spec := range map[string]authorizationv1.RoleAssignmentSpec{
		"on-it":     {PrincipalID: other, Scope: "/subscriptions/" + subscription + "/resourceGroups/GROUP/providers/Microsoft.ManagedIdentity/userAssignedIdentities/workload"},
		"to-it":     {PrincipalID: self, Scope: "/subscriptions/" + subscription},
		"elsewhere": {PrincipalID: other, Scope: "/subscriptions/" + subscription},
	} {
		spec.RoleDefinitionID = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
		w.create(&authorizationv1.RoleAssignment{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
	}
}

func (w *world) deleteIdentity() {
	w.t.Helper()
	identity := &managedidentityv1.UserAssignedIdentity{}
	identity.Name = "workload"
	must(w.t, w.api.Delete(context.Background(), identity))
}

func (w *world) noIdentity() {
	w.t.Helper()
	if left := w.names(&managedidentityv1.UserAssignedIdentityList{}); len(left) > 0 {
		w.t.Fatalf("left over: %v", left)
	}
}
