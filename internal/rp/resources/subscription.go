package resources

import (
	"net/http"
	"strings"

	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// listTenants answers with the only tenant: whoever has a token is in it.
func (p *Provider) listTenants(w http.ResponseWriter, _ *arm.Request) error {
	id := p.Tokens.TenantID()
	return arm.WriteJSON(w, http.StatusOK, arm.List[map[string]string]{Value: []map[string]string{{
		"id": "/tenants/" + id, "tenantId": id, "displayName": "Berth", "tenantCategory": "Home",
	}}})
}

// subscriptionBody is a subscription on the wire.
func subscriptionBody(s *resourcesv1alpha1.Subscription) map[string]any {
	body := map[string]any{
		"id": "/subscriptions/" + s.Name, "subscriptionId": s.Name, "displayName": s.Spec.DisplayName,
		"state": s.Spec.State, "tenantId": s.Spec.TenantID, "authorizationSource": "RoleBased", "managedByTenants": []any{},
		"subscriptionPolicies": map[string]string{"locationPlacementId": "Internal_2014-09-01", "quotaId": "Internal_2014-09-01", "spendingLimit": "Off"},
	}
	if len(s.Spec.Tags) > 0 {
		body["tags"] = s.Spec.Tags
	}
	return body
}

// listSubscriptions answers with the subscriptions in which the caller has any role.
func (p *Provider) listSubscriptions(w http.ResponseWriter, r *arm.Request) error {
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil {
		return err
	}
	var list resourcesv1alpha1.SubscriptionList
	if err := p.Client.List(r.Context(), &list); err != nil {
		return err
	}
	visible := []map[string]any{}
	for i := range list.Items {
		if access.Sees("/subscriptions/" + list.Items[i].Name) {
			visible = append(visible, subscriptionBody(&list.Items[i]))
		}
	}
	page, err := arm.Page(r, visible, func(s map[string]any) string { return s["id"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, page)
}

// sees is nil if the caller has any role in the subscription of the path.
func (p *Provider) sees(r *arm.Request) error {
	scope := "/subscriptions/" + r.Param("subscriptionID")
	access, err := p.Tokens.Access(r.Context(), r.Principal)
	if err != nil || access.Sees(scope) {
		return err
	}
	return access.Check("Microsoft.Resources/subscriptions/read", scope)
}

func (p *Provider) getSubscription(w http.ResponseWriter, r *arm.Request) error {
	if err := p.sees(r); err != nil {
		return err
	}
	subscription, err := p.subscription(r.Context(), r.Param("subscriptionID"))
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, subscriptionBody(subscription))
}

func (p *Provider) listLocations(w http.ResponseWriter, r *arm.Request) error {
	if err := p.sees(r); err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, arm.List[map[string]any]{Value: []map[string]any{{
		"id":   "/subscriptions/" + r.Param("subscriptionID") + "/locations/" + p.Location,
		"name": p.Location, "displayName": displayName(p.Location), "regionalDisplayName": displayName(p.Location), "type": "Region",
		"metadata": map[string]string{"regionType": "Physical", "regionCategory": "Recommended"},
	}}})
}

// displayName is a region's name for people: its first letter is a capital.
func displayName(location string) string {
	return strings.ToUpper(location[:1]) + location[1:]
}
