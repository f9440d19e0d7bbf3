// Package managedidentity is the resource provider Microsoft.ManagedIdentity:
// identities that users make, give roles and hand to resources. It writes
// UserAssignedIdentity objects; the roles that a deleted one leaves behind are
// its controller's.
package managedidentity

import (
	"context"
	"net/http"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	managedidentityv1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/rp/resources"
)

const (
	// Namespace is the name of the resource provider.
	Namespace = "Microsoft.ManagedIdentity"
	// Type is its resource type.
	Type = "userAssignedIdentities"
	// groupLabel is on every identity, so that a list reads no others: the name
	// of the object of its resource group.
	groupLabel = "resources.berth.dev/resource-group"
)

// Provider answers the routes of Microsoft.ManagedIdentity.
type Provider struct {
	// Client reaches the management API with live reads.
	Client client.Client
	// TenantID is the only tenant, Location the only region.
	TenantID, Location string
}

// Versions are the published api-versions of userAssignedIdentities.
func Versions() []string {
	return []string{
		"2015-08-31-preview", "2018-11-30", "2021-09-30-preview", "2022-01-31-preview", "2023-01-31", "2023-07-31-preview",
		"2024-11-30", "2025-01-31-preview",
	}
}

// ResourceTypes are the provider's resource types with their api-versions.
func (p *Provider) ResourceTypes() map[string][]string {
	return map[string][]string{Type: Versions(), Type + "/" + credentialsType: credentialVersions()}
}

// Routes are what the provider answers.
func (p *Provider) Routes() []arm.Route {
	const (
		subscription = "/subscriptions/{subscriptionID}"
		at           = "/providers/" + Namespace + "/" + Type
		group        = subscription + "/resourceGroups/{resourceGroup}"
		one          = group + at + "/{resourceName}"
		action       = Namespace + "/" + Type + "/"
		federated    = one + "/" + credentialsType
	)
	get, put, patch, del := http.MethodGet, http.MethodPut, http.MethodPatch, http.MethodDelete
	credentials := action + credentialsType + "/"
	routes := []arm.Route{
		{Method: get, Pattern: subscription + at, Action: action + "read", Handle: p.list},
		{Method: get, Pattern: group + at, Action: action + "read", Handle: p.list},
		{Method: get, Pattern: one, Action: action + "read", Handle: p.get},
		{Method: put, Pattern: one, Action: action + "write", Handle: p.put},
		{Method: patch, Pattern: one, Action: action + "write", Handle: p.patch},
		{Method: del, Pattern: one, Action: action + "delete", Handle: p.delete},
		{Method: http.MethodPost, Pattern: one + "/listAssociatedResources", Action: action + "listAssociatedResources/action", Handle: p.listAssociated},
		{Method: get, Pattern: federated, Action: credentials + "read", Handle: p.listCredentials},
		{Method: get, Pattern: federated + "/{credentialName}", Action: credentials + "read", Handle: p.getCredential},
		{Method: put, Pattern: federated + "/{credentialName}", Action: credentials + "write", Handle: p.putCredential},
		{Method: del, Pattern: federated + "/{credentialName}", Action: credentials + "delete", Handle: p.deleteCredential},
	}
	for i := range routes {
		routes[i].Versions = &arm.VersionTable{ResourceType: Type, Location: p.Location, Versions: Versions()}
		if strings.HasPrefix(routes[i].Action, credentials) {
			routes[i].Versions = &arm.VersionTable{ResourceType: Type + "/" + credentialsType, Location: p.Location, Versions: credentialVersions()}
		}
	}
	return routes
}

// ID is the ARM id of an identity.
func ID(subscriptionID, group, name string) arm.ResourceID {
	return arm.ResourceID{SubscriptionID: subscriptionID, ResourceGroup: group, Provider: Namespace, Types: []string{Type}, Names: []string{name}}
}

func idOf(identity *managedidentityv1alpha1.UserAssignedIdentity) arm.ResourceID {
	return ID(identity.Spec.SubscriptionID, identity.Spec.ResourceGroup, identity.Spec.Name)
}

func requestID(r *arm.Request) arm.ResourceID {
	return ID(r.Param("subscriptionID"), r.Param("resourceGroup"), r.Param("resourceName"))
}

// Find reads an identity, nil if there is none. One that is being deleted is
// found, with the time of its deletion.
func Find(ctx context.Context, c client.Client, id arm.ResourceID) (*managedidentityv1alpha1.UserAssignedIdentity, error) {
	var identity managedidentityv1alpha1.UserAssignedIdentity
	err := c.Get(ctx, client.ObjectKey{Name: naming.Object(id.String())}, &identity)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &identity, nil
}

// existing reads the identity of the path. What is being deleted is no more.
func (p *Provider) existing(r *arm.Request) (*managedidentityv1alpha1.UserAssignedIdentity, error) {
	identity, err := Find(r.Context(), p.Client, requestID(r))
	if err != nil {
		return nil, err
	}
	if identity != nil && identity.DeletionTimestamp == nil {
		return identity, nil
	}
	if _, err := resources.Group(r.Context(), p.Client, r.Param("subscriptionID"), r.Param("resourceGroup")); err != nil {
		return nil, err
	}
	return nil, arm.ResourceNotFound(requestID(r))
}

type object = map[string]any

// body is an identity on the wire.
func body(identity *managedidentityv1alpha1.UserAssignedIdentity) object {
	tags := identity.Spec.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return object{
		"id": idOf(identity).String(), "name": identity.Spec.Name, "type": Namespace + "/" + Type,
		"location": identity.Spec.Location, "tags": tags,
		"properties": object{"tenantId": identity.Spec.TenantID, "principalId": identity.Spec.PrincipalID, "clientId": identity.Spec.ClientID},
	}
}

func (p *Provider) get(w http.ResponseWriter, r *arm.Request) error {
	identity, err := p.existing(r)
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, body(identity))
}

// list lists the identities of a subscription, or of the group of the path.
func (p *Provider) list(w http.ResponseWriter, r *arm.Request) error {
	group := r.Param("resourceGroup")
	if group != "" {
		if _, err := resources.Group(r.Context(), p.Client, r.Param("subscriptionID"), group); err != nil {
			return err
		}
	}
	all, err := p.in(r.Context(), r.Param("subscriptionID"), group)
	if err != nil {
		return err
	}
	page, err := arm.Page(r, all, func(i managedidentityv1alpha1.UserAssignedIdentity) string { return idOf(&i).String() })
	if err != nil {
		return err
	}
	bodies := make([]object, 0, len(page.Value))
	for i := range page.Value {
		bodies = append(bodies, body(&page.Value[i]))
	}
	return arm.WriteJSON(w, http.StatusOK, arm.List[object]{Value: bodies, NextLink: page.NextLink})
}

// in are the identities of a subscription, or of one of its groups.
func (p *Provider) in(ctx context.Context, subscriptionID, group string) ([]managedidentityv1alpha1.UserAssignedIdentity, error) {
	selector := client.MatchingLabels{resources.SubscriptionLabel: strings.ToLower(subscriptionID)}
	if group != "" {
		selector[groupLabel] = naming.Object(resources.GroupID(subscriptionID, group).String())
	}
	var list managedidentityv1alpha1.UserAssignedIdentityList
	if err := p.Client.List(ctx, &list, selector); err != nil {
		return nil, err
	}
	kept := list.Items[:0]
	for _, identity := range list.Items {
		if identity.DeletionTimestamp == nil {
			kept = append(kept, identity)
		}
	}
	return kept, nil
}

// ListResources lists the identities as generic resources.
func (p *Provider) ListResources(ctx context.Context, subscriptionID, group string) ([]resources.Resource, error) {
	all, err := p.in(ctx, subscriptionID, group)
	if err != nil {
		return nil, err
	}
	result := make([]resources.Resource, 0, len(all))
	for i := range all {
		id := idOf(&all[i])
		result = append(result, resources.Resource{ID: id.String(), Name: all[i].Spec.Name, Type: id.Type(), Location: all[i].Spec.Location,
			Tags: all[i].Spec.Tags, ProvisioningState: "Succeeded", CreatedTime: all[i].CreationTimestamp.UTC().Format(time.RFC3339)})
	}
	return result, nil
}
