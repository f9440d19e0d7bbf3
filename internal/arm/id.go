// Package arm speaks the protocol of Azure Resource Manager: resource ids,
// error bodies, request and correlation ids, api-versions, routes, bodies,
// paging, entity tags and asynchronous operations. It knows no product and
// stores nothing: what a resource is, its resource provider says.
package arm

import (
	"fmt"
	"strings"
)

// ResourceID names a subscription, a resource group or a resource. Ids compare
// regardless of case and keep the casing of whoever wrote them.
type ResourceID struct {
	// SubscriptionID is always there; ResourceGroup is empty for what lies
	// directly in the subscription.
	SubscriptionID, ResourceGroup string
	// Provider is the namespace, e.g. Microsoft.ContainerService; empty for a
	// subscription or a resource group.
	Provider string
	// Types and Names alternate in the id: managedClusters/demo/agentPools/nodepool1.
	Types, Names []string
}

// ParseResourceID reads an id as String prints it, its literal segments in any case.
func ParseResourceID(id string) (ResourceID, error) {
	parts := strings.Split(strings.Trim(id, "/"), "/")
	bad := func(why string) (ResourceID, error) {
		return ResourceID{}, fmt.Errorf("reading the resource id %q: %s", id, why)
	}
	for _, part := range parts {
		if part == "" {
			return bad("it has an empty segment")
		}
	}
	if len(parts) < 2 || !strings.EqualFold(parts[0], "subscriptions") {
		return bad("it does not begin with /subscriptions/{id}")
	}
	result := ResourceID{SubscriptionID: parts[1]}
	parts = parts[2:]
	if len(parts) >= 2 && strings.EqualFold(parts[0], "resourceGroups") {
		result.ResourceGroup, parts = parts[1], parts[2:]
	}
	if len(parts) == 0 {
		return result, nil
	}
	if len(parts) < 4 || len(parts)%2 != 0 || !strings.EqualFold(parts[0], "providers") {
		return bad("it does not go on with /providers/{namespace}/{type}/{name}")
	}
	result.Provider = parts[1]
	for i := 2; i < len(parts); i += 2 {
		result.Types = append(result.Types, parts[i])
		result.Names = append(result.Names, parts[i+1])
	}
	return result, nil
}

// String prints the id.
func (id ResourceID) String() string {
	var b strings.Builder
	b.WriteString("/subscriptions/" + id.SubscriptionID)
	if id.ResourceGroup != "" {
		b.WriteString("/resourceGroups/" + id.ResourceGroup)
	}
	if id.Provider != "" {
		b.WriteString("/providers/" + id.Provider)
	}
	for i := range id.Types {
		b.WriteString("/" + id.Types[i] + "/" + id.Names[i])
	}
	return b.String()
}

// Type is the full resource type, e.g. Microsoft.ContainerService/managedClusters/agentPools.
func (id ResourceID) Type() string {
	switch {
	case id.Provider != "":
		return id.Provider + "/" + strings.Join(id.Types, "/")
	case id.ResourceGroup != "":
		return "Microsoft.Resources/resourceGroups"
	default:
		return "Microsoft.Resources/subscriptions"
	}
}

// Name is the last name in the id.
func (id ResourceID) Name() string {
	switch {
	case len(id.Names) > 0:
		return id.Names[len(id.Names)-1]
	case id.ResourceGroup != "":
		return id.ResourceGroup
	default:
		return id.SubscriptionID
	}
}

// Equal compares two ids as ARM does, regardless of case.
func (id ResourceID) Equal(other ResourceID) bool {
	return strings.EqualFold(id.String(), other.String())
}

// Child is the id of a resource of a type and name below this one.
func (id ResourceID) Child(childType, name string) ResourceID {
	id.Types = append(append([]string(nil), id.Types...), childType)
	id.Names = append(append([]string(nil), id.Names...), name)
	return id
}
