package authorization

import (
	"net/http"

	"berth.dev/berth/internal/arm"
)

// Scopes are the patterns of what a role may be assigned at, the tenant first.
func Scopes() []string {
	const (
		subscription = "/subscriptions/{subscriptionID}"
		group        = subscription + "/resourceGroups/{resourceGroup}"
		resource     = group + "/providers/{namespace}/{type}/{name}"
	)
	return []string{"", subscription, group, resource, resource + "/{childType}/{childName}"}
}

// Routes are what the provider answers, at each scope.
func (p *Provider) Routes() []arm.Route {
	get, put, del := http.MethodGet, http.MethodPut, http.MethodDelete
	const definitions, assignments = Namespace + "/roleDefinitions/", Namespace + "/roleAssignments/"
	var routes []arm.Route
	for _, scope := range Scopes() {
		at := scope + "/providers/" + Namespace
		definition, assignment := at+"/roleDefinitions/{roleDefinitionID}", at+"/roleAssignments/{roleAssignmentName}"
		read := definitions + "read"
		if scope == "" {
			read = "" // the built-in roles are no secret
		}
		routes = append(routes, p.versioned("roleDefinitions", DefinitionVersions(),
			arm.Route{Method: get, Pattern: at + "/roleDefinitions", Action: read, Handle: p.listDefinitions},
			arm.Route{Method: get, Pattern: definition, Action: read, Handle: p.getDefinition})...)
		routes = append(routes, p.versioned("roleAssignments", AssignmentVersions(),
			arm.Route{Method: get, Pattern: at + "/roleAssignments", Action: assignments + "read", Handle: p.listAssignments},
			arm.Route{Method: get, Pattern: assignment, Action: assignments + "read", Handle: p.getAssignment},
			arm.Route{Method: put, Pattern: assignment, Action: assignments + "write", Handle: p.putAssignment},
			arm.Route{Method: del, Pattern: assignment, Action: assignments + "delete", Handle: p.deleteAssignment})...)
		if scope == Scopes()[1] || scope == Scopes()[2] {
			routes = append(routes, p.versioned("roleDefinitions", DefinitionVersions(),
				arm.Route{Method: put, Pattern: definition, Action: definitions + "write", Handle: p.putDefinition},
				arm.Route{Method: del, Pattern: definition, Action: definitions + "delete", Handle: p.deleteDefinition})...)
		}
	}
	return routes
}

func (p *Provider) versioned(resourceType string, versions []string, routes ...arm.Route) []arm.Route {
	for i := range routes {
		routes[i].Versions = &arm.VersionTable{ResourceType: resourceType, Location: p.Location, Versions: versions}
	}
	return routes
}

// ResourceTypes are the provider's resource types with their api-versions.
func (p *Provider) ResourceTypes() map[string][]string {
	return map[string][]string{"roleDefinitions": DefinitionVersions(), "roleAssignments": AssignmentVersions()}
}

// DefinitionVersions are the published api-versions of roleDefinitions.
func DefinitionVersions() []string {
	return []string{
		"2015-05-01-preview", "2015-06-01", "2015-07-01", "2016-07-01", "2017-05-01", "2017-09-01", "2018-01-01-preview", "2018-07-01",
		"2022-04-01", "2022-05-01-preview",
	}
}

// AssignmentVersions are the published api-versions of roleAssignments.
func AssignmentVersions() []string {
	return []string{
		"2015-05-01-preview", "2015-06-01", "2015-07-01", "2016-07-01", "2017-05-01", "2017-09-01", "2017-10-01-preview", "2018-01-01-preview",
		"2018-07-01", "2018-09-01-preview", "2018-12-01-preview", "2019-04-01-preview", "2020-03-01-preview", "2020-04-01-preview",
		"2020-08-01-preview", "2020-10-01-preview", "2021-04-01-preview", "2022-01-01-preview", "2022-04-01",
	}
}
