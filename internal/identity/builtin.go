package identity

// The GUIDs of built-in roles that the service itself assigns or names.
const (
	RoleOwner       = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
	RoleContributor = "b24988ac-6180-42a0-ab88-20f7382dd24c"
	RoleReader      = "acdd72a7-3385-48ef-bd42-f606fba81ae7"
	// RoleUserAccessAdministrator may assign roles.
	RoleUserAccessAdministrator = "18d7d88d-d35e-4fb5-a5c3-7773c20a72d9"
	// RoleTenantAdministrator is Berth's own: it administers service principals
	// and who may do so. Azure keeps that right in its directory.
	RoleTenantAdministrator = "b3e7ad00-0000-4000-8000-000000000001"
)

// RoleDefinitions are the built-in roles, with Azure's GUIDs and actions.
func RoleDefinitions() []RoleDefinition {
	return append(generalRoles(), serviceRoles()...)
}

// allow is the permissions of a role that only allows.
func allow(actions ...string) []Permission { return []Permission{{Actions: actions}} }

// generalRoles are those over resources of all types.
func generalRoles() []RoleDefinition {
	return []RoleDefinition{
		{ID: RoleOwner, Name: "Owner",
			Description: "Grants full access to manage all resources, including the ability to assign roles in Azure RBAC.",
			Permissions: allow("*")},
		{ID: RoleContributor, Name: "Contributor",
			Description: "Grants full access to manage all resources, but does not allow you to assign roles in Azure RBAC, manage assignments in Azure Blueprints, or share image galleries.",
			Permissions: []Permission{{Actions: []string{"*"}, NotActions: []string{
				"Microsoft.Authorization/*/Delete", "Microsoft.Authorization/*/Write", "Microsoft.Authorization/elevateAccess/Action",
				"Microsoft.Blueprint/blueprintAssignments/write", "Microsoft.Blueprint/blueprintAssignments/delete",
				"Microsoft.Compute/galleries/share/action",
			}}}},
		{ID: RoleReader, Name: "Reader",
			Description: "View all resources, but does not allow you to make any changes.",
			Permissions: allow("*/read")},
		{ID: RoleUserAccessAdministrator, Name: "User Access Administrator",
			Description: "Lets you manage user access to Azure resources.",
			Permissions: allow("*/read", "Microsoft.Authorization/*", "Microsoft.Support/*")},
		{ID: RoleTenantAdministrator, Name: "Berth Tenant Administrator",
			Description: "Manages service principals and their credentials, and who may do so.",
			Permissions: allow("Berth.Identity/*", "Microsoft.Authorization/*")},
	}
}

// serviceRoles are those over resources of single types.
func serviceRoles() []RoleDefinition {
	around := []string{
		"Microsoft.Authorization/*/read", "Microsoft.Insights/alertRules/*", "Microsoft.Resources/deployments/*",
		"Microsoft.Resources/subscriptions/resourceGroups/read", "Microsoft.Support/*",
	}
	with := func(actions ...string) []Permission { return allow(append(actions, around...)...) }
	const (
		aks      = "Microsoft.ContainerService/"
		clusters = aks + "managedClusters/"
		msi      = "Microsoft.ManagedIdentity/userAssignedIdentities/"
	)
	return []RoleDefinition{
		{ID: "ed7f3fbd-7b88-4dd4-9017-9adb7ce333f8", Name: "Azure Kubernetes Service Contributor Role",
			Description: "Grants access to read and write Azure Kubernetes Service clusters",
			Permissions: allow("Microsoft.Authorization/*/read", aks+"locations/*", clusters+"*", aks+"managedclustersnapshots/*",
				aks+"snapshots/*", "Microsoft.Insights/alertRules/*", "Microsoft.Resources/deployments/*",
				"Microsoft.Resources/subscriptions/resourceGroups/read", aks+"deploymentSafeguards/*")},
		{ID: "0ab0b1a8-8aac-4efd-b8c2-3ee1fb270be8", Name: "Azure Kubernetes Service Cluster Admin Role",
			Description: "List cluster admin credential action.",
			Permissions: allow(clusters+"listClusterAdminCredential/action", clusters+"accessProfiles/listCredential/action",
				clusters+"read", clusters+"runcommand/action")},
		{ID: "4abbcc35-e782-43d8-92c5-2d3f1bd2253f", Name: "Azure Kubernetes Service Cluster User Role",
			Description: "List cluster user credential action.",
			Permissions: allow(clusters+"listClusterUserCredential/action", clusters+"read")},
		{ID: "1afdec4b-e479-420e-99e7-f82237c7c5e6", Name: "Azure Kubernetes Service Cluster Monitoring User",
			Description: "List cluster monitoring user credential action.",
			Permissions: allow(clusters+"listClusterMonitoringUserCredential/action", clusters+"read")},
		{ID: "4d97b98b-1d4f-4787-a291-c67834d212e7", Name: "Network Contributor",
			Description: "Lets you manage networks, but not access to them.",
			Permissions: with("Microsoft.Network/*", "Microsoft.ResourceHealth/availabilityStatuses/read")},
		{ID: "e40ec5ca-96e0-45a2-b4ff-59039f2c2b59", Name: "Managed Identity Contributor",
			Description: "Create, Read, Update, and Delete User Assigned Identity",
			Permissions: with(msi+"read", msi+"write", msi+"delete")},
		{ID: "f1a07417-d97a-45cb-824c-7a7467783830", Name: "Managed Identity Operator",
			Description: "Read and Assign User Assigned Identity",
			Permissions: with(msi+"*/read", msi+"*/assign/action")},
		{ID: "7f951dda-4ed3-4680-a7ca-43fe172d538d", Name: "AcrPull",
			Description: "acr pull", Permissions: allow("Microsoft.ContainerRegistry/registries/pull/read")},
	}
}
