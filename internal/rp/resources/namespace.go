package resources

import (
	"context"
	"net/http"
	"slices"
	"strings"

	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// typeBodies are a namespace's resource types, their newest api-version first:
// clients take the first one that is no preview.
func (p *Provider) typeBodies(n Namespace) []map[string]any {
	types := make([]map[string]any, 0, len(n.Types))
	for _, t := range n.Types {
		versions := slices.Clone(t.Versions)
		slices.Sort(versions)
		slices.Reverse(versions)
		types = append(types, map[string]any{
			"resourceType": t.Name, "apiVersions": versions, "locations": []string{displayName(p.Location)},
		})
	}
	return types
}

func (p *Provider) namespaceBody(n Namespace, subscription *resourcesv1alpha1.Subscription) map[string]any {
	id := "/providers/" + n.Name
	if subscription != nil {
		id = "/subscriptions/" + subscription.Name + id
	}
	policy := "RegistrationFree"
	if n.canUnregister() {
		policy = "RegistrationRequired"
	}
	return map[string]any{
		"id": id, "namespace": n.Name, "registrationState": registrationState(n.Name, subscription),
		"registrationPolicy": policy, "resourceTypes": p.typeBodies(n),
	}
}

// seen is the subscription of a path, nil without one, if the caller may see it.
func (p *Provider) seen(r *arm.Request) (*resourcesv1alpha1.Subscription, error) {
	if r.Param("subscriptionID") == "" {
		return nil, nil
	}
	if err := p.sees(r); err != nil {
		return nil, err
	}
	return p.subscription(r.Context(), r.Param("subscriptionID"))
}

func (p *Provider) listProviders(w http.ResponseWriter, r *arm.Request) error {
	subscription, err := p.seen(r)
	if err != nil {
		return err
	}
	bodies := []map[string]any{}
	for _, n := range p.Namespaces {
		bodies = append(bodies, p.namespaceBody(n, subscription))
	}
	page, err := arm.Page(r, bodies, func(b map[string]any) string { return b["namespace"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

func (p *Provider) getProvider(w http.ResponseWriter, r *arm.Request) error {
	return p.withNamespace(r, func(n Namespace, subscription *resourcesv1alpha1.Subscription) error {
		return arm.WriteJSON(w, http.StatusOK, p.namespaceBody(n, subscription))
	})
}

func (p *Provider) listResourceTypes(w http.ResponseWriter, r *arm.Request) error {
	return p.withNamespace(r, func(n Namespace, _ *resourcesv1alpha1.Subscription) error {
		return arm.WriteJSON(w, http.StatusOK, arm.List[map[string]any]{Value: p.typeBodies(n)})
	})
}

// withNamespace answers with the namespace and the subscription of the path, if
// the caller may see it.
func (p *Provider) withNamespace(r *arm.Request, answer func(Namespace, *resourcesv1alpha1.Subscription) error) error {
	subscription, err := p.seen(r)
	if err != nil {
		return err
	}
	for _, n := range p.Namespaces {
		if strings.EqualFold(n.Name, r.Param("namespace")) {
			return answer(n, subscription)
		}
	}
	return arm.NewError(http.StatusNotFound, "InvalidResourceNamespace", "The resource namespace '%.100s' is invalid.", r.Param("namespace")).At("namespace")
}

// listResources lists the resources of all types.
func (p *Provider) listResources(w http.ResponseWriter, r *arm.Request) error {
	subscriptionID, group := r.Param("subscriptionID"), r.Param("resourceGroup")
	if group != "" {
		if _, err := Group(r.Context(), p.Client, subscriptionID, group); err != nil {
			return err
		}
	}
	wanted, err := resourceFilter(r)
	if err != nil {
		return err
	}
	all := []Resource{}
	for _, n := range p.Namespaces {
		if n.List == nil {
			continue
		}
		resources, err := n.List(r.Context(), subscriptionID, group)
		if err != nil {
			return err
		}
		for _, resource := range resources {
			if wanted(resource) {
				all = append(all, expanded(r, resource))
			}
		}
	}
	page, err := arm.Page(r, all, func(resource Resource) string { return resource.ID })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

// Exists is nil if a resource group, a tracked resource or what is nested in one
// is there to stay, and ARM's answer otherwise: what is being deleted takes
// along what was granted on it, and would miss what is granted from then on.
func (p *Provider) Exists(ctx context.Context, id arm.ResourceID) error {
	if _, err := WritableGroup(ctx, p.Client, id.SubscriptionID, id.ResourceGroup); err != nil || id.Provider == "" {
		return err
	}
	for _, n := range p.Namespaces {
		if n.List == nil || !strings.EqualFold(n.Name, id.Provider) {
			continue
		}
		there, err := n.has(ctx, id)
		if err != nil || there {
			return err
		}
	}
	return arm.ResourceNotFound(id)
}

// has says whether a resource of the namespace is there.
func (n Namespace) has(ctx context.Context, id arm.ResourceID) (bool, error) {
	if len(id.Types) > 1 {
		if n.HasNested == nil {
			return false, nil
		}
		return n.HasNested(ctx, id)
	}
	all, err := n.List(ctx, id.SubscriptionID, id.ResourceGroup)
	if err != nil {
		return false, err
	}
	at := slices.IndexFunc(all, func(r Resource) bool { return strings.EqualFold(r.ID, id.String()) })
	if at >= 0 && all[at].ProvisioningState == "Deleting" {
		return false, arm.NewError(http.StatusConflict, "ResourceBeingDeleted", "The resource '%s' is being deleted.", id)
	}
	return at >= 0, nil
}
