package managedidentity

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	managedidentityv1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// users are the clusters that act as an identity, those in deletion included:
// they act until they are gone.
func (p *Provider) users(ctx context.Context, id arm.ResourceID) ([]containerservicev1alpha1.ManagedCluster, error) {
	var clusters containerservicev1alpha1.ManagedClusterList
	if err := p.Client.List(ctx, &clusters); err != nil {
		return nil, err
	}
	var users []containerservicev1alpha1.ManagedCluster
	for _, cluster := range clusters.Items {
		if slices.ContainsFunc(given(&cluster), func(has string) bool { return strings.EqualFold(has, id.String()) }) {
			users = append(users, cluster)
		}
	}
	return users, nil
}

// given are the ids of the identities that a cluster and its nodes were given.
func given(cluster *containerservicev1alpha1.ManagedCluster) []string {
	var ids []string
	if cluster.Spec.UserAssignedIdentityID != "" {
		ids = append(ids, cluster.Spec.UserAssignedIdentityID)
	}
	if cluster.Spec.KubeletIdentity != nil {
		ids = append(ids, cluster.Spec.KubeletIdentity.ID)
	}
	return ids
}

// unused refuses if a cluster has the identity.
func (p *Provider) unused(ctx context.Context, identity *managedidentityv1alpha1.UserAssignedIdentity) error {
	users, err := p.users(ctx, idOf(identity))
	if err != nil || len(users) == 0 {
		return err
	}
	spec := users[0].Spec
	return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
		"The identity '%s' is in use by the managed cluster '%s' in the resource group '%s' of subscription '%s'. Delete the cluster, or give it another identity, first.",
		identity.Spec.Name, spec.Name, spec.ResourceGroup, spec.SubscriptionID)
}

// Holds refuses the deletion of a group with an identity that a cluster of
// another group acts as: the cluster would be left without its rights.
func (p *Provider) Holds(ctx context.Context, subscriptionID, group string) error {
	var clusters containerservicev1alpha1.ManagedClusterList
	if err := p.Client.List(ctx, &clusters); err != nil {
		return err
	}
	for i := range clusters.Items {
		spec := clusters.Items[i].Spec
		if strings.EqualFold(spec.SubscriptionID, subscriptionID) && strings.EqualFold(spec.ResourceGroup, group) {
			continue // it goes with the group
		}
		for _, has := range given(&clusters.Items[i]) {
			id, err := arm.ParseResourceID(has)
			if err == nil && strings.EqualFold(id.SubscriptionID, subscriptionID) && strings.EqualFold(id.ResourceGroup, group) {
				return arm.NewError(http.StatusConflict, "ResourceGroupDeletionBlocked",
					"The resource group '%.100s' cannot be deleted: its identity '%s' is in use by the managed cluster '%s' in the resource group '%s' of subscription '%s'. Delete the cluster, or give it another identity, first.",
					group, id.Names[len(id.Names)-1], spec.Name, spec.ResourceGroup, spec.SubscriptionID)
			}
		}
	}
	return nil
}

// associated is a page of the resources that act as an identity.
type associated struct {
	TotalCount int `json:"totalCount"`
	arm.List[object]
}

// listAssociated lists the resources that act as an identity to whoever may ask
// it of the identity, as the public service does: the resources' own
// permissions play no part.
func (p *Provider) listAssociated(w http.ResponseWriter, r *arm.Request) error {
	for _, name := range []string{"$filter", "$orderby", "$skip"} {
		if r.URL.Query().Get(name) != "" {
			return arm.NewError(http.StatusBadRequest, "InvalidQueryParameterValue", "The query parameter %s is not supported here. Supported: $top, $skipToken.", name).At(name)
		}
	}
	identity, err := p.existing(r)
	if err != nil {
		return err
	}
	users, err := p.users(r.Context(), idOf(identity))
	if err != nil {
		return err
	}
	names := map[string]string{}
	all := make([]object, 0, len(users))
	for i := range users {
		spec := users[i].Spec
		if _, known := names[spec.SubscriptionID]; !known {
			var subscription resourcesv1alpha1.Subscription
			if err := p.Client.Get(r.Context(), client.ObjectKey{Name: spec.SubscriptionID}, &subscription); client.IgnoreNotFound(err) != nil {
				return err
			}
			names[spec.SubscriptionID] = subscription.Spec.DisplayName
		}
		id := arm.ResourceID{SubscriptionID: spec.SubscriptionID, ResourceGroup: spec.ResourceGroup, Provider: "Microsoft.ContainerService", Types: []string{"managedClusters"}, Names: []string{spec.Name}}
		all = append(all, object{"id": id.String(), "name": spec.Name, "type": id.Type(), "resourceGroup": spec.ResourceGroup,
			"subscriptionId": spec.SubscriptionID, "subscriptionDisplayName": names[spec.SubscriptionID]})
	}
	page, err := arm.Page(r, all, func(o object) string { return o["id"].(string) })
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, associated{TotalCount: len(all), List: page})
}
