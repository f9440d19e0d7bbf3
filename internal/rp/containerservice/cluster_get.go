package containerservice

import (
	"context"
	"net/http"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/rp/resources"
)

func (p *Provider) getCluster(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.cluster(r)
	if err != nil {
		return err
	}
	pools, err := p.poolsOf(r.Context(), cluster)
	if err != nil {
		return err
	}
	tellUnsupported(w, cluster.UnsupportedProperties())
	return arm.WriteJSON(w, http.StatusOK, p.clusterBody(r, cluster, pools))
}

// listClusters lists the clusters of a subscription or of one of its groups.
func (p *Provider) listClusters(w http.ResponseWriter, r *arm.Request) error {
	subscriptionID, group := r.Param("subscriptionID"), r.Param("resourceGroup")
	if group != "" {
		if _, err := resources.Group(r.Context(), p.Client, subscriptionID, group); err != nil {
			return err
		}
	}
	clusters, err := p.clustersIn(r.Context(), subscriptionID, group)
	if err != nil {
		return err
	}
	refs := make([]*containerservicev1alpha1.ManagedCluster, len(clusters)) // of a list of thousands none is copied
	for i := range clusters {
		refs[i] = &clusters[i]
	}
	page, err := arm.Page(r, refs, func(c *containerservicev1alpha1.ManagedCluster) string { return IDOf(c, meta.ScopeCluster) })
	if err != nil {
		return err
	}
	pools, err := p.pools(r.Context())
	if err != nil {
		return err
	}
	bodies := make([]object, 0, len(page.Value))
	for _, cluster := range page.Value {
		bodies = append(bodies, p.clusterBody(r, cluster, pools[cluster.Name]))
	}
	return arm.WriteJSON(w, http.StatusOK, arm.List[object]{Value: bodies, NextLink: page.NextLink})
}

func (p *Provider) clustersIn(ctx context.Context, subscriptionID, group string) ([]containerservicev1alpha1.ManagedCluster, error) {
	// Ids compare regardless of case, labels do not; objects have lower case.
	selector := client.MatchingLabels{resources.SubscriptionLabel: strings.ToLower(subscriptionID)}
	if group != "" {
		selector[GroupLabel] = groupObject(subscriptionID, group)
	}
	var list containerservicev1alpha1.ManagedClusterList
	if err := p.Client.List(ctx, &list, selector, client.UnsafeDisableDeepCopy); err != nil { // they are only read
		return nil, err
	}
	return list.Items, nil
}

// ListResources lists the clusters as generic resources.
func (p *Provider) ListResources(ctx context.Context, subscriptionID, group string) ([]resources.Resource, error) {
	clusters, err := p.clustersIn(ctx, subscriptionID, group)
	if err != nil {
		return nil, err
	}
	result := make([]resources.Resource, 0, len(clusters))
	for i := range clusters {
		c := &clusters[i]
		id := ClusterID(c.Spec.SubscriptionID, c.Spec.ResourceGroup, c.Spec.Name)
		result = append(result, resources.Resource{ID: id.String(), Name: c.Spec.Name, Type: id.Type(), Location: c.Spec.Location, Tags: c.Spec.Tags,
			ProvisioningState: c.DeriveProvisioningState(), CreatedTime: c.CreationTimestamp.UTC().Format(time.RFC3339)})
	}
	return result, nil
}

// deleteCluster starts the deletion of a cluster. It is allowed at any time:
// whoever waits for a creation that hangs can always give it up.
func (p *Provider) deleteCluster(w http.ResponseWriter, r *arm.Request) error {
	cluster, err := p.find(r.Context(), requestID(r))
	if err != nil {
		return err
	}
	if cluster == nil {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	if err := checkETag(r, cluster, meta.ScopeCluster); err != nil {
		return err
	}
	id, err := p.Operations.Delete(r.Context(), r, IDOf(cluster, meta.ScopeCluster),
		resourcesv1alpha1.Target{Kind: "ManagedCluster", Name: cluster.Name, UID: string(cluster.UID)}, cluster)
	if err != nil {
		return err
	}
	p.async(r, id, true).Set(w, r)
	w.WriteHeader(http.StatusAccepted)
	return nil
}
