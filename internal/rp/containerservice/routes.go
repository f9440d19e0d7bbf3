package containerservice

import (
	"net/http"

	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// The patterns of the provider's paths.
const (
	inSubscription = "/subscriptions/{subscriptionID}/providers/" + Namespace
	inGroup        = "/subscriptions/{subscriptionID}/resourceGroups/{resourceGroup}/providers/" + Namespace
	inLocation     = inSubscription + "/locations/{location}"
	aCluster       = inGroup + "/managedClusters/{resourceName}"
	aPool          = aCluster + "/agentPools/{agentPoolName}"
)

// The stems of the provider's actions.
const (
	onClusters  = Namespace + "/managedClusters/"
	onPools     = onClusters + "agentPools/"
	onLocations = Namespace + "/locations/"
)

// Routes are what the provider answers: what is built, then what is not.
func (p *Provider) Routes() []arm.Route {
	get, put, post, patch, del := http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete
	routes := []arm.Route{
		{Method: get, Pattern: inSubscription + "/managedClusters", Action: onClusters + "read", Handle: p.listClusters},
		{Method: get, Pattern: inGroup + "/managedClusters", Action: onClusters + "read", Handle: p.listClusters},
		{Method: get, Pattern: aCluster, Action: onClusters + "read", Handle: p.getCluster},
		{Method: put, Pattern: aCluster, Action: onClusters + "write", Handle: p.putCluster},
		{Method: patch, Pattern: aCluster, Action: onClusters + "write", Handle: p.patchTags},
		{Method: del, Pattern: aCluster, Action: onClusters + "delete", Handle: p.deleteCluster},
		{Method: post, Pattern: aCluster + "/listClusterAdminCredential", Action: onClusters + "listClusterAdminCredential/action", Handle: p.credentials(accessAdmin)},
		{Method: post, Pattern: aCluster + "/listClusterUserCredential", Action: onClusters + "listClusterUserCredential/action", Handle: p.credentials(accessUser)},
		{Method: post, Pattern: aCluster + "/listClusterMonitoringUserCredential", Action: onClusters + "listClusterMonitoringUserCredential/action", Handle: p.credentials(accessMonitoring)},
		{Method: post, Pattern: aCluster + "/accessProfiles/{roleName}/listCredential", Action: onClusters + "accessProfiles/listCredential/action", Handle: p.accessProfile},
		{Method: post, Pattern: aCluster + "/runCommand", Action: onClusters + "runcommand/action", Handle: p.commands().Start},
		{Method: get, Pattern: aCluster + "/commandResults/{commandID}", Action: onClusters + "commandResults/read", Handle: p.commands().Result},
		{Method: get, Pattern: aCluster + "/upgradeProfiles/default", Action: onClusters + "upgradeProfiles/read", Handle: p.upgradeProfile},
		{Method: get, Pattern: aCluster + "/availableAgentPoolVersions", Action: onClusters + "availableAgentPoolVersions/read", Handle: p.availableVersions},
		{Method: get, Pattern: aCluster + "/agentPools", Action: onPools + "read", Handle: p.listPools},
		{Method: get, Pattern: aPool + "/machines", Action: onPools + "machines/read", Handle: p.listMachines},
		{Method: get, Pattern: aPool + "/machines/{machineName}", Action: onPools + "machines/read", Handle: p.getMachine},
		{Method: get, Pattern: aCluster + "/outboundNetworkDependenciesEndpoints", Action: onClusters + "outboundNetworkDependenciesEndpoints/read", Handle: p.listOutboundDependencies},
		{Method: get, Pattern: aPool, Action: onPools + "read", Handle: p.getPool},
		{Method: put, Pattern: aPool, Action: onPools + "write", Handle: p.queueable(meta.VerbUpdate, p.putPool)},
		{Method: del, Pattern: aPool, Action: onPools + "delete", Handle: p.queueable(meta.VerbDelete, p.deletePool)},
		{Method: get, Pattern: inLocation + "/kubernetesVersions", Action: onLocations + "kubernetesVersions/read", Handle: p.listKubernetesVersions},
		{Method: get, Pattern: inLocation + "/orchestrators", Action: onLocations + "orchestrators/read", Handle: p.listOrchestrators},
	}
	versions := &arm.VersionTable{ResourceType: "managedClusters", Location: p.Location, Versions: apiVersions()}
	routes = append(routes, p.powerRoutes()...)
	routes = append(routes, p.rotationRoutes()...)
	routes = append(routes, p.maintenanceRoutes()...)
	routes = append(routes, p.poolRoutes()...)
	routes = append(routes, notBuilt()...)
	for i := range routes {
		routes[i].Versions = versions
	}
	routes = append(routes, p.upgradeRoutes()...)
	routes = append(routes, p.powerScheduleRoutes()...)
	routes = append(routes, p.berthRotationRoutes()...)
	routes = append(routes, p.traceRoutes()...)
	// Who may see an operation is decided by the resource that it works on.
	polling := &arm.VersionTable{ResourceType: "locations/operations", Location: p.Location, Versions: append(apiVersions(), operationVersion)}
	return append(routes,
		arm.Route{Method: get, Pattern: inLocation + "/operations/{operationID}", Versions: polling, Handle: p.operationStatus},
		arm.Route{Method: get, Pattern: inLocation + "/operationresults/{operationID}", Versions: polling, Handle: p.operationResult},
	)
}

// ResourceTypes are the provider's resource types with their api-versions.
func (p *Provider) ResourceTypes() map[string][]string {
	return map[string][]string{
		"managedClusters": apiVersions(), "managedClusters/agentPools": apiVersions(), "managedClusters/maintenanceConfigurations": apiVersions(),
		"locations/operations": append(apiVersions(), operationVersion), "locations/operationresults": append(apiVersions(), operationVersion),
		"locations/kubernetesVersions": apiVersions(), "locations/orchestrators": apiVersions(), "operations": apiVersions(),
	}
}
