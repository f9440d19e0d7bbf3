// Package nodegroup shows what clusters have in their node resource groups as
// the resources that Azure makes of it: a load balancer, an interface a node, a
// scale set a pool with its instances. It derives all of it from the hub, stores
// nothing and changes nothing: whoever tries is told which cluster it belongs to.
package nodegroup

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

// The namespaces that the views belong to.
const (
	Compute = "Microsoft.Compute"
	Network = "Microsoft.Network"
)

// Provider answers the routes of the views.
type Provider struct {
	// Client reaches the management API with live reads.
	Client client.Client
	// Location is the only region.
	Location string
	// NetworkVersions are the published api-versions of Microsoft.Network.
	NetworkVersions []string
}

type object = map[string]any

// resource is one thing of a node resource group.
type resource struct {
	id      arm.ResourceID
	cluster *containerservicev1.ManagedCluster
	tags    map[string]string
	created time.Time
	// power is the state of an instance: running, starting or deallocated.
	power string
	// around stands beside the properties.
	around, properties object
}

// view is one type of such things; children are nested in another.
type view struct {
	namespace, name string
	list            func(s *state) ([]resource, error)
	// parent is what it is nested in, nil for nothing.
	parent *view
}

// views are all of them, what is nested behind what it is nested in.
func views() []*view {
	return []*view{
		{namespace: Network, name: "loadBalancers", list: (*state).loadBalancers},
		{namespace: Network, name: "networkInterfaces", list: (*state).networkInterfaces},
		scaleSets(), instances(),
	}
}

func scaleSets() *view {
	return &view{namespace: Compute, name: "virtualMachineScaleSets", list: (*state).scaleSets}
}

func instances() *view {
	return &view{namespace: Compute, name: "virtualMachines", list: (*state).instances, parent: scaleSets()}
}

// types is the full type of a view below its namespace.
func (v *view) types() string {
	if v.parent != nil {
		return v.parent.types() + "/" + v.name
	}
	return v.name
}

// ComputeVersions are the published api-versions of scale sets, oldest first.
func ComputeVersions() []string {
	return []string{
		"2016-03-30", "2016-04-30-preview", "2017-03-30", "2017-12-01", "2018-04-01", "2018-06-01", "2018-10-01",
		"2019-03-01", "2019-07-01", "2019-12-01", "2020-06-01", "2020-12-01", "2021-03-01", "2021-04-01", "2021-07-01", "2021-11-01",
		"2022-03-01", "2022-08-01", "2022-11-01", "2023-03-01", "2023-07-01", "2023-09-01", "2024-03-01", "2024-07-01", "2024-11-01",
	}
}

func (p *Provider) versions(namespace string) []string {
	if namespace == Compute {
		return ComputeVersions()
	}
	return p.NetworkVersions
}

// ResourceTypes are the types of a namespace with their api-versions.
func (p *Provider) ResourceTypes(namespace string) map[string][]string {
	types := map[string][]string{}
	for _, v := range views() {
		if v.namespace == namespace {
			types[v.types()] = p.versions(namespace)
		}
	}
	return types
}

// Routes are what the provider answers.
func (p *Provider) Routes() []arm.Route {
	const (
		subscription = "/subscriptions/{subscriptionID}"
		group        = subscription + "/resourceGroups/{resourceGroup}"
	)
	get := http.MethodGet
	var routes []arm.Route
	for _, v := range views() {
		at, action := "/providers/"+v.namespace+"/"+v.name, v.namespace+"/"+v.types()+"/"
		one := group + at + "/{resourceName}"
		own := []arm.Route{{Method: get, Pattern: subscription + at, Action: action + "read", Handle: p.list(v)}}
		if v.parent != nil {
			at = "/providers/" + v.namespace + "/" + v.parent.name + "/{resourceName}/" + v.name
			one = group + at + "/{childName}"
			own = []arm.Route{{Method: get, Pattern: one + "/instanceView", Action: action + "instanceView/read", Handle: p.instanceView}}
		}
		own = append(own,
			arm.Route{Method: get, Pattern: group + at, Action: action + "read", Handle: p.list(v)},
			arm.Route{Method: get, Pattern: one, Action: action + "read", Handle: p.get(v)})
		for method, verb := range map[string]string{http.MethodPut: "write", http.MethodPatch: "write", http.MethodDelete: "delete"} {
			own = append(own, arm.Route{Method: method, Pattern: one, Action: action + verb, Handle: p.refuse(v)})
		}
		slices.SortStableFunc(own, func(a, b arm.Route) int { return strings.Compare(b.Method, a.Method) })
		for i := range own {
			own[i].Versions = &arm.VersionTable{ResourceType: v.types(), Location: p.Location, Versions: p.versions(v.namespace)}
		}
		routes = append(routes, own...)
	}
	return routes
}

// all are the things of a view in the scope of a request: of nested ones, those
// of the scale set that the path names.
func (p *Provider) all(r *arm.Request, v *view) ([]resource, error) {
	group := r.Param("resourceGroup")
	if group != "" {
		if _, err := resources.Group(r.Context(), p.Client, r.Param("subscriptionID"), group); err != nil {
			return nil, err
		}
	}
	s, err := p.read(r.Context(), r.Param("subscriptionID"), group)
	if err != nil {
		return nil, err
	}
	all, err := v.list(s)
	if err != nil || v.parent == nil {
		return all, err
	}
	parents, err := v.parent.list(s)
	if err != nil {
		return nil, err
	}
	set := r.Param("resourceName")
	if !slices.ContainsFunc(parents, func(one resource) bool { return strings.EqualFold(one.id.Name(), set) }) {
		return nil, arm.ResourceNotFound(v.parent.id(r))
	}
	return slices.DeleteFunc(all, func(one resource) bool { return !strings.EqualFold(one.id.Names[0], set) }), nil
}

// id is what the path of a request names.
func (v *view) id(r *arm.Request) arm.ResourceID {
	if v.parent != nil {
		return v.parent.id(r).Child(v.name, r.Param("childName"))
	}
	return arm.ResourceID{SubscriptionID: r.Param("subscriptionID"), ResourceGroup: r.Param("resourceGroup"), Provider: v.namespace,
		Types: []string{v.name}, Names: []string{r.Param("resourceName")}}
}

// named is the thing that the path of a request names, nil if it is not there.
func (p *Provider) named(r *arm.Request, v *view) (*resource, error) {
	all, err := p.all(r, v)
	if err != nil {
		return nil, err
	}
	id := v.id(r)
	for i := range all {
		if all[i].id.Equal(id) {
			return &all[i], nil
		}
	}
	return nil, nil
}

func (p *Provider) list(v *view) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		all, err := p.all(r, v)
		if err != nil {
			return err
		}
		page, err := arm.Page(r, all, func(one resource) string { return one.id.String() })
		if err != nil {
			return err
		}
		bodies := make([]object, 0, len(page.Value))
		for _, one := range page.Value {
			bodies = append(bodies, p.body(one))
		}
		return arm.WriteJSON(w, http.StatusOK, arm.List[object]{Value: bodies, NextLink: page.NextLink})
	}
}

func (p *Provider) get(v *view) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		one, err := p.named(r, v)
		if err != nil {
			return err
		}
		if one == nil {
			return arm.ResourceNotFound(v.id(r))
		}
		return arm.WriteJSON(w, http.StatusOK, p.body(*one))
	}
}

// refuse says whose a thing is. What is not there cannot be made.
func (p *Provider) refuse(v *view) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		one, err := p.named(r, v)
		switch {
		case err != nil:
			return err
		case one != nil:
			return resources.Unmanaged(r.Context(), p.Client, r, one.id.String(), one.cluster.Name)
		case r.Method == http.MethodDelete:
			w.WriteHeader(http.StatusNoContent)
			return nil
		case r.Method == http.MethodPut:
			return arm.NotImplemented("Making a resource of the type " + v.id(r).Type() + " (clusters make theirs by themselves)")
		}
		return arm.ResourceNotFound(v.id(r))
	}
}

func (p *Provider) body(one resource) object {
	body := object{"id": one.id.String(), "name": one.id.Name(), "type": one.id.Type(), "location": p.Location, "properties": one.properties}
	if len(one.tags) > 0 {
		body["tags"] = one.tags
	}
	for name, value := range one.around {
		body[name] = value
	}
	return body
}

// ListResources lists the things of a namespace as generic resources.
func (p *Provider) ListResources(namespace string) func(ctx context.Context, subscriptionID, group string) ([]resources.Resource, error) {
	return func(ctx context.Context, subscriptionID, group string) ([]resources.Resource, error) {
		s, err := p.read(ctx, subscriptionID, group)
		if err != nil {
			return nil, err
		}
		var result []resources.Resource
		for _, v := range views() {
			if v.namespace != namespace || v.parent != nil { // what is nested is in no such list
				continue
			}
			all, err := v.list(s)
			if err != nil {
				return nil, err
			}
			for _, one := range all {
				state, _ := one.properties["provisioningState"].(string)
				result = append(result, resources.Resource{ID: one.id.String(), Name: one.id.Name(), Type: one.id.Type(), Location: p.Location,
					Tags: one.tags, ProvisioningState: state, CreatedTime: one.created.UTC().Format(time.RFC3339)})
			}
		}
		return result, nil
	}
}
