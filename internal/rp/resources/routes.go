package resources

import (
	"net/http"

	"berth.dev/berth/internal/arm"
)

// Routes are what the provider answers.
func (p *Provider) Routes() []arm.Route {
	const (
		subscription = "/subscriptions/{subscriptionID}"
		group        = subscription + "/resourceGroups/{resourceGroup}"
		groups       = "Microsoft.Resources/subscriptions/resourceGroups/"
		resource     = group + "/providers/{namespace}/{type}/{name}"
		tags         = "/providers/Microsoft.Resources/tags/default"
	)
	routes := []arm.Route{
		{Method: http.MethodGet, Pattern: "/tenants", Handle: p.listTenants},
		{Method: http.MethodGet, Pattern: "/subscriptions", Handle: p.listSubscriptions},
		{Method: http.MethodGet, Pattern: subscription, Handle: p.getSubscription},
		{Method: http.MethodGet, Pattern: subscription + "/locations", Handle: p.listLocations},
		{Method: http.MethodGet, Pattern: "/providers", Handle: p.listProviders},
		{Method: http.MethodGet, Pattern: subscription + "/providers", Handle: p.listProviders},
		{Method: http.MethodGet, Pattern: "/providers/{namespace}", Handle: p.getProvider},
		{Method: http.MethodGet, Pattern: subscription + "/providers/{namespace}", Handle: p.getProvider},
		{Method: http.MethodPost, Pattern: subscription + "/providers/{namespace}/register", Handle: p.registerProvider},
		{Method: http.MethodPost, Pattern: subscription + "/providers/{namespace}/unregister", Handle: p.unregisterProvider},
		{Method: http.MethodGet, Pattern: subscription + "/providers/{namespace}/resourceTypes", Handle: p.listResourceTypes},
		{Method: http.MethodGet, Pattern: subscription + "/tagNames", Action: "Microsoft.Resources/subscriptions/tagNames/read", Handle: p.listTagNames},
		{Method: http.MethodPut, Pattern: subscription + "/tagNames/{tagName}", Action: "Microsoft.Resources/subscriptions/tagNames/write", NotBuilt: "Defining a tag that no resource has"},
		{Method: http.MethodDelete, Pattern: subscription + "/tagNames/{tagName}", Action: "Microsoft.Resources/subscriptions/tagNames/delete", NotBuilt: "Defining a tag that no resource has"},
		{Method: http.MethodGet, Pattern: subscription + "/resources", Action: "Microsoft.Resources/subscriptions/resources/read", Handle: p.listResources},
		{Method: http.MethodGet, Pattern: group + "/resources", Action: groups + "resources/read", Handle: p.listResources},
		{Method: http.MethodGet, Pattern: subscription + "/resourceGroups", Handle: p.listGroups},
		{Method: http.MethodHead, Pattern: group, Action: groups + "read", Handle: p.headGroup},
		{Method: http.MethodGet, Pattern: group, Action: groups + "read", Handle: p.getGroup},
		{Method: http.MethodPut, Pattern: group, Action: groups + "write", Handle: p.putGroup},
		{Method: http.MethodPatch, Pattern: group, Action: groups + "write", Handle: p.patchGroup},
		{Method: http.MethodDelete, Pattern: group, Action: groups + "delete", Handle: p.deleteGroup},
		{Method: http.MethodPost, Pattern: group + "/exportTemplate", Action: groups + "read", NotBuilt: "Exporting a template"},
		{Method: http.MethodPost, Pattern: group + "/moveResources", Action: groups + "moveResources/action", NotBuilt: "Moving resources to another group"},
		{Method: http.MethodPost, Pattern: group + "/validateMoveResources", Action: groups + "validateMoveResources/action", NotBuilt: "Moving resources to another group"},
		{Method: http.MethodGet, Pattern: subscription + "/operationresults/{operationID}", Handle: p.operationResult},
	}
	for _, scope := range []string{subscription, group, resource} {
		routes = append(routes,
			arm.Route{Method: http.MethodGet, Pattern: scope + tags, Action: "Microsoft.Resources/tags/read", Handle: p.getTags},
			arm.Route{Method: http.MethodPut, Pattern: scope + tags, Action: "Microsoft.Resources/tags/write", Handle: p.putTags},
			arm.Route{Method: http.MethodPatch, Pattern: scope + tags, Action: "Microsoft.Resources/tags/write", Handle: p.patchTags},
			arm.Route{Method: http.MethodDelete, Pattern: scope + tags, Action: "Microsoft.Resources/tags/delete", Handle: p.deleteTags},
		)
	}
	versions := &arm.VersionTable{Location: p.Location, Versions: Versions()}
	for i := range routes {
		routes[i].Versions = versions
	}
	return routes
}

// Versions are the api-versions of ARM's own types, newest first.
func Versions() []string {
	return []string{
		"2025-04-01", "2025-03-01", "2024-11-01", "2024-08-01", "2024-07-01", "2024-03-01", "2023-07-01", "2023-07-01-preview", "2023-03-01-preview",
		"2022-12-01", "2022-11-01-preview", "2022-09-01", "2022-06-01", "2022-05-01", "2022-03-01-preview", "2022-01-01",
		"2021-04-01", "2021-01-01", "2020-10-01", "2020-09-01", "2020-08-01", "2020-07-01", "2020-06-01", "2020-05-01", "2020-01-01",
		"2019-11-01", "2019-10-01", "2019-09-01", "2019-08-01", "2019-07-01", "2019-06-01", "2019-05-10", "2019-05-01", "2019-03-01",
		"2018-11-01", "2018-09-01", "2018-08-01", "2018-07-01", "2018-06-01", "2018-05-01", "2018-02-01", "2018-01-01",
		"2017-12-01", "2017-08-01", "2017-06-01", "2017-05-10", "2017-05-01", "2017-03-01",
		"2016-09-01", "2016-07-01", "2016-06-01", "2016-02-01", "2015-11-01", "2015-01-01", "2014-04-01-preview", "2014-04-01",
	}
}
