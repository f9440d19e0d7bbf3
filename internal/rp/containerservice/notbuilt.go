package containerservice

import (
	"net/http"
	"strings"

	"berth.dev/berth/internal/arm"
)

// notBuilt are the routes of the API that nothing answers yet. They are listed
// so that a caller is told what is missing, with the same authentication and
// authorization as if it were there.
func notBuilt() []arm.Route {
	get, put, post, patch, del := http.MethodGet, http.MethodPut, http.MethodPost, http.MethodPatch, http.MethodDelete
	lines := []struct{ method, pattern, what string }{
		{post, aCluster + "/resetServicePrincipalProfile", "Resetting a cluster's service principal"},
		{post, aCluster + "/resetAADProfile", "Resetting a cluster's directory profile"},
		{get, inLocation + "/meshRevisionProfiles", "Service meshes"},
		{get, inLocation + "/meshRevisionProfiles/{mode}", "Service meshes"},
		{get, aCluster + "/meshUpgradeProfiles", "Service meshes"},
		{get, aCluster + "/meshUpgradeProfiles/{mode}", "Service meshes"},
		{get, inSubscription + "/snapshots", "Snapshots"},
		{get, inGroup + "/snapshots", "Snapshots"},
		{get, inGroup + "/snapshots/{snapshotName}", "Snapshots"},
		{put, inGroup + "/snapshots/{snapshotName}", "Snapshots"},
		{patch, inGroup + "/snapshots/{snapshotName}", "Snapshots"},
		{del, inGroup + "/snapshots/{snapshotName}", "Snapshots"},
		{get, aCluster + "/privateEndpointConnections", "Private clusters"},
		{get, aCluster + "/privateEndpointConnections/{connectionName}", "Private clusters"},
		{put, aCluster + "/privateEndpointConnections/{connectionName}", "Private clusters"},
		{del, aCluster + "/privateEndpointConnections/{connectionName}", "Private clusters"},
		{get, aCluster + "/privateLinkResources", "Private clusters"},
		{post, aCluster + "/resolvePrivateLinkServiceId", "Private clusters"},
		{get, inLocation + "/trustedAccessRoles", "Trusted access"},
		{get, aCluster + "/trustedAccessRoleBindings", "Trusted access"},
		{get, aCluster + "/trustedAccessRoleBindings/{bindingName}", "Trusted access"},
		{put, aCluster + "/trustedAccessRoleBindings/{bindingName}", "Trusted access"},
		{del, aCluster + "/trustedAccessRoleBindings/{bindingName}", "Trusted access"},
	}
	routes := make([]arm.Route, 0, len(lines))
	for _, line := range lines {
		routes = append(routes, arm.Route{
			Method: line.method, Pattern: line.pattern, Action: actionOf(line.method, line.pattern), NotBuilt: line.what,
		})
	}
	return routes
}

// actionOf is the action of a route by ARM's rule: the types of the path, then
// read, write, delete, or the last segment and "action".
func actionOf(method, pattern string) string {
	_, path, _ := strings.Cut(pattern, "/providers/")
	var types []string
	for _, segment := range strings.Split(path, "/") {
		if !strings.HasPrefix(segment, "{") && segment != "default" {
			types = append(types, segment)
		}
	}
	verb := map[string]string{
		http.MethodGet: "read", http.MethodPut: "write", http.MethodPatch: "write", http.MethodDelete: "delete", http.MethodPost: "action",
	}[method]
	return strings.Join(types, "/") + "/" + verb
}
