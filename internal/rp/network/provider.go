// Package network is the resource provider Microsoft.Network: virtual networks
// with their subnets, security groups, route tables and public addresses that
// callers make, and views of the balancers and interfaces that clusters have. It
// writes the objects of api/network; routers are the host agent's, claims of
// addresses their controller's.
package network

import (
	"context"
	"net/http"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/rp/operation"
	"berth.dev/berth/internal/rp/resources"
)

// Namespace is the name of the resource provider.
const Namespace = "Microsoft.Network"

// Provider answers the routes of Microsoft.Network.
type Provider struct {
	// Client reaches the management API with live reads.
	Client client.Client
	// Tokens evaluates the permissions on what a body refers to.
	Tokens *identity.Service
	// Operations starts deletions.
	Operations operation.Store
	// Location is the only region.
	Location string
	// Now is the clock.
	Now func() time.Time
}

// Versions are the published api-versions of the types here, oldest first.
func Versions() []string {
	return []string{
		"2015-06-15", "2016-03-30", "2016-06-01", "2016-09-01", "2016-12-01",
		"2017-03-01", "2017-06-01", "2017-08-01", "2017-09-01", "2017-10-01", "2017-11-01",
		"2018-01-01", "2018-02-01", "2018-04-01", "2018-06-01", "2018-07-01", "2018-08-01", "2018-10-01", "2018-11-01", "2018-12-01",
		"2019-02-01", "2019-04-01", "2019-06-01", "2019-07-01", "2019-08-01", "2019-09-01", "2019-11-01", "2019-12-01",
		"2020-03-01", "2020-04-01", "2020-05-01", "2020-06-01", "2020-07-01", "2020-08-01", "2020-11-01",
		"2021-02-01", "2021-03-01", "2021-05-01", "2021-08-01",
		"2022-01-01", "2022-05-01", "2022-07-01", "2022-09-01", "2022-11-01",
		"2023-02-01", "2023-04-01", "2023-05-01", "2023-06-01", "2023-09-01", "2023-11-01",
		"2024-01-01", "2024-03-01", "2024-05-01", "2024-07-01", "2024-10-01",
		"2025-01-01", "2025-03-01", "2025-05-01",
	}
}

// ResourceTypes are the provider's resource types with their api-versions.
func (p *Provider) ResourceTypes() map[string][]string {
	types := map[string][]string{}
	for _, k := range kinds() {
		types[k.name] = Versions()
		if k.child != nil {
			types[k.name+"/"+k.child.name] = Versions()
		}
	}
	for _, view := range []string{"locations", "locations/operations", "locations/operationResults", "locations/usages"} {
		types[view] = Versions()
	}
	return types
}

const (
	subscriptionScope = "/subscriptions/{subscriptionID}"
	groupScope        = subscriptionScope + "/resourceGroups/{resourceGroup}"
	provider          = "/providers/" + Namespace + "/"
)

// Routes are what the provider answers.
func (p *Provider) Routes() []arm.Route {
	var routes []arm.Route
	for _, k := range kinds() {
		routes = append(routes, p.kindRoutes(k)...)
	}
	location := subscriptionScope + provider + "locations/{location}/"
	one := groupScope + provider + "virtualNetworks/{resourceName}/"
	routes = append(routes,
		arm.Route{Method: http.MethodGet, Pattern: one + "checkIPAddressAvailability", Action: Namespace + "/virtualNetworks/checkIpAddressAvailability/read", Handle: p.checkAddress},
		arm.Route{Method: http.MethodGet, Pattern: one + "usages", Action: Namespace + "/virtualNetworks/usages/read", Handle: p.subnetUsages},
		arm.Route{Method: http.MethodGet, Pattern: location + "usages", Action: Namespace + "/locations/usages/read", Handle: p.usages},
		arm.Route{Method: http.MethodGet, Pattern: location + "checkDnsNameAvailability", Action: Namespace + "/locations/checkDnsNameAvailability/read", NotBuilt: "A DNS name of a public address"},
		arm.Route{Method: http.MethodGet, Pattern: location + "operations/{operationID}", Handle: p.operationStatus},
		arm.Route{Method: http.MethodGet, Pattern: location + "operationResults/{operationID}", Handle: p.operationResult},
		arm.Route{Method: http.MethodPut, Pattern: one + "virtualNetworkPeerings/{peeringName}", Action: Namespace + "/virtualNetworks/virtualNetworkPeerings/write", NotBuilt: "Peering virtual networks"},
	)
	for i := range routes {
		if routes[i].Versions == nil {
			routes[i].Versions = &arm.VersionTable{ResourceType: "locations", Location: p.Location, Versions: Versions()}
		}
	}
	return routes
}

// kindRoutes are the routes of a type and of what is nested in it.
func (p *Provider) kindRoutes(k *kind) []arm.Route {
	get, put, patch, del := http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete
	all, one, action := provider+k.name, groupScope+provider+k.name+"/{resourceName}", Namespace+"/"+k.name+"/"
	routes := []arm.Route{
		{Method: get, Pattern: subscriptionScope + all, Action: action + "read", Handle: p.list(k)},
		{Method: get, Pattern: groupScope + all, Action: action + "read", Handle: p.list(k)},
		{Method: get, Pattern: one, Action: action + "read", Handle: p.get(k)},
		{Method: put, Pattern: one, Action: action + "write", Handle: p.put(k)},
		{Method: patch, Pattern: one, Action: action + "write", Handle: p.patch(k)},
		{Method: del, Pattern: one, Action: action + "delete", Handle: p.delete(k)},
	}
	if k.child != nil {
		children := one + "/" + k.child.name
		nested := children + "/{childName}"
		routes = append(routes,
			arm.Route{Method: get, Pattern: children, Action: action + k.child.name + "/read", Handle: p.listChildren(k)},
			arm.Route{Method: get, Pattern: nested, Action: action + k.child.name + "/read", Handle: p.getChild(k)},
			arm.Route{Method: put, Pattern: nested, Action: action + k.child.name + "/write", Handle: p.putChild(k)},
			arm.Route{Method: del, Pattern: nested, Action: action + k.child.name + "/delete", Handle: p.deleteChild(k)},
		)
	}
	if k.defaults != nil {
		routes = append(routes,
			arm.Route{Method: get, Pattern: one + "/defaultSecurityRules", Action: action + "defaultSecurityRules/read", Handle: p.listDefaults(k)},
			arm.Route{Method: get, Pattern: one + "/defaultSecurityRules/{childName}", Action: action + "defaultSecurityRules/read", Handle: p.getDefault(k)})
	}
	versions := &arm.VersionTable{ResourceType: k.name, Location: p.Location, Versions: Versions()}
	for i := range routes {
		routes[i].Versions = versions
	}
	return routes
}

// ID is the ARM id of a resource of a type.
func ID(subscriptionID, group, resourceType, name string) arm.ResourceID {
	return arm.ResourceID{SubscriptionID: subscriptionID, ResourceGroup: group, Provider: Namespace, Types: []string{resourceType}, Names: []string{name}}
}

func requestID(r *arm.Request, k *kind) arm.ResourceID {
	return ID(strings.ToLower(r.Param("subscriptionID")), r.Param("resourceGroup"), k.name, r.Param("resourceName"))
}

// ListResources lists what callers and clusters have, as generic resources.
func (p *Provider) ListResources(ctx context.Context, subscriptionID, group string) ([]resources.Resource, error) {
	s := p.snapshot(ctx)
	var result []resources.Resource
	for _, k := range kinds() {
		all, err := s.in(k, subscriptionID, group)
		if err != nil {
			return nil, err
		}
		for _, o := range all {
			state, err := s.state(k, o)
			if err != nil {
				return nil, err
			}
			id, err := arm.ParseResourceID(o.Common().ResourceID)
			if err != nil {
				return nil, err
			}
			created := o.GetCreationTimestamp()
			result = append(result, resources.Resource{ID: id.String(), Name: id.Name(), Type: id.Type(), Location: o.Common().Location,
				Tags: o.Common().Tags, ProvisioningState: state, CreatedTime: created.UTC().Format(time.RFC3339)})
		}
	}
	return result, nil
}

// HasNested says whether a subnet, rule or route is there.
func (p *Provider) HasNested(ctx context.Context, id arm.ResourceID) (bool, error) {
	if len(id.Types) != 2 {
		return false, nil
	}
	for _, k := range kinds() {
		if k.child == nil || !strings.EqualFold(k.name, id.Types[0]) || !strings.EqualFold(k.child.name, id.Types[1]) {
			continue
		}
		parent, err := find(ctx, p.Client, k, ID(id.SubscriptionID, id.ResourceGroup, k.name, id.Names[0]))
		if err != nil || parent == nil || parent.GetDeletionTimestamp() != nil {
			return false, err
		}
		return k.child.index(parent, id.Names[1]) >= 0, nil
	}
	return false, nil
}

// prefixOf is what the ids of all resources in a subscription, or in one of its
// groups, begin with, in lower case.
func prefixOf(subscriptionID, group string) string {
	prefix := "/subscriptions/" + subscriptionID + "/resourcegroups/"
	if group != "" {
		prefix += group + "/"
	}
	return strings.ToLower(prefix)
}

// liesIn says whether an object lies in a subscription, or in one of its groups.
func liesIn(o networkv1.Object, subscriptionID, group string) bool {
	return strings.HasPrefix(strings.ToLower(o.Common().ResourceID), prefixOf(subscriptionID, group))
}
