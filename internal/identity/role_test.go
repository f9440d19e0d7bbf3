package identity

import (
	"testing"

	"berth.dev/berth/internal/arm"
)

func TestRolesAllowWhatAzureSaysTheyDo(t *testing.T) {
	roles := map[string]RoleDefinition{}
	for _, role := range RoleDefinitions() {
		roles[role.Name] = role
	}
	for _, c := range []struct {
		role, action string
		want         bool
	}{
		{"Owner", "Microsoft.Authorization/roleAssignments/write", true},
		{"Contributor", "Microsoft.ContainerService/managedClusters/write", true},
		{"Contributor", "microsoft.containerservice/managedclusters/listClusterAdminCredential/ACTION", true},
		{"Contributor", "Microsoft.Authorization/roleAssignments/write", false},
		{"Contributor", "Microsoft.Authorization/roleAssignments/read", true},
		{"Reader", "Microsoft.ContainerService/managedClusters/agentPools/read", true},
		{"Reader", "Microsoft.ContainerService/managedClusters/readers/write", false},
		{"Reader", "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action", false},
		{"Azure Kubernetes Service Cluster User Role", "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action", true},
		{"Azure Kubernetes Service Cluster User Role", "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action", false},
		{"Azure Kubernetes Service Cluster User Role", "Microsoft.ContainerService/managedClusters/write", false},
	} {
		if got := roles[c.role].Allows(c.action); got != c.want {
			t.Errorf("%s on %s: %v, want %v", c.role, c.action, got, c.want)
		}
	}
}

func TestARoleHoldsAtItsScopeAndBelowIt(t *testing.T) {
	reader := RoleDefinition{Permissions: allow("*/read")}
	access := Access{principal: arm.Principal{}, grants: []grant{{normalScope("/subscriptions/S/resourceGroups/RG/"), reader}}}
	for scope, want := range map[string]bool{
		"/subscriptions/s/resourcegroups/rg":                        true,
		"/subscriptions/s/resourceGroups/rg/providers/p/things/one": true,
		"/subscriptions/s/resourceGroups/rg2":                       false,
		"/subscriptions/s":                                          false,
		"/":                                                         false,
	} {
		if got := access.Allows("x/read", scope); got != want {
			t.Errorf("%s: %v, want %v", scope, got, want)
		}
	}
	if !access.Sees("/subscriptions/s") || access.Sees("/subscriptions/other") {
		t.Error("a principal sees the subscriptions in which it has a role, and no others")
	}
	root := Access{grants: []grant{{normalScope("/"), reader}}}
	if !root.Allows("x/read", "/subscriptions/s") || root.Allows("x/write", "/subscriptions/s") {
		t.Error("a role at the root holds everywhere, and only for its actions")
	}
}
