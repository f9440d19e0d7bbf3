package identity

import "strings"

// RoleDefinition is a built-in role: what it lets a principal do.
type RoleDefinition struct {
	// ID is Azure's GUID of the role, Name its name.
	ID, Name string
	// Actions and NotActions are patterns over action names; "*" stands for any
	// characters. A role allows what an action matches and no NotAction does.
	Actions, NotActions []string
}

// The built-in roles that Berth itself assigns or names.
const (
	RoleOwner       = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	RoleContributor = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	RoleReader      = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
)

// RoleDefinitions are the built-in roles, with Azure's GUIDs and actions.
func RoleDefinitions() []RoleDefinition {
	return []RoleDefinition{
		{ID: RoleOwner, Name: "Owner", Actions: []string{"*"}},
		{ID: RoleContributor, Name: "Contributor", Actions: []string{"*"}, NotActions: []string{
			"Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action",
		}},
		{ID: RoleReader, Name: "Reader", Actions: []string{"*/read"}},
		{ID: "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8", Name: "Azure Kubernetes Service Contributor Role", Actions: []string{
			"Microsoft.ContainerService/managedClusters/read", "Microsoft.ContainerService/managedClusters/write",
			"Microsoft.Resources/deployments/*",
		}},
		{ID: "0ab0b1a8-8aac-4efd-b8c2-3ee1fb270be8", Name: "Azure Kubernetes Service Cluster Admin Role", Actions: []string{
			"Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action",
			"Microsoft.ContainerService/managedClusters/accessProfiles/listCredential/action",
			"Microsoft.ContainerService/managedClusters/read", "Microsoft.ContainerService/managedClusters/runcommand/action",
		}},
		{ID: "4abbcc35-e782-43d8-92c5-2d3f1bd2253f", Name: "Azure Kubernetes Service Cluster User Role", Actions: []string{
			"Microsoft.ContainerService/managedClusters/listClusterUserCredential/action",
			"Microsoft.ContainerService/managedClusters/read",
		}},
	}
}

// Allows says whether the role allows an action.
func (d RoleDefinition) Allows(action string) bool {
	for _, pattern := range d.NotActions {
		if matchAction(pattern, action) {
			return false
		}
	}
	for _, pattern := range d.Actions {
		if matchAction(pattern, action) {
			return true
		}
	}
	return false
}

// matchAction matches a pattern with any number of "*" against an action,
// regardless of case.
func matchAction(pattern, action string) bool {
	pattern, action = strings.ToLower(pattern), strings.ToLower(action)
	first, rest, wild := strings.Cut(pattern, "*")
	if !wild {
		return pattern == action
	}
	if !strings.HasPrefix(action, first) {
		return false
	}
	action = action[len(first):]
	for {
		part, next, more := strings.Cut(rest, "*")
		if !more {
			return strings.HasSuffix(action, part)
		}
		i := strings.Index(action, part)
		if i < 0 {
			return false
		}
		action, rest = action[i+len(part):], next
	}
}
