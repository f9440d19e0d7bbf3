package network

import (
	"context"
	"net/http"
	"strings"

	"berth.dev/berth/internal/arm"
)

// Holds refuses the deletion of a group with something that lies outside of it
// and has need of it: a cluster of another group in one of its networks, or a
// subnet of another group that refers to its rules or routes.
func (p *Provider) Holds(ctx context.Context, subscriptionID, group string) error {
	s := p.snapshot(ctx)
	within := prefixOf(subscriptionID, group)
	if err := s.load(&s.clusters); err != nil {
		return err
	}
	for _, k := range kinds() {
		all, err := s.in(k, subscriptionID, group)
		if err != nil {
			return err
		}
		for _, o := range all {
			users, err := k.users(s, o)
			if err != nil {
				return err
			}
			for _, user := range users {
				if strings.HasPrefix(strings.ToLower(user), within) || s.goesAlong(user, within) {
					continue
				}
				return arm.NewError(http.StatusConflict, "ResourceGroupDeletionBlocked",
					"The resource group '%.100s' cannot be deleted: its resource '%s' is in use by '%s'. Delete that, or have it use something else, first.", group, o.Common().ResourceID, user)
			}
		}
	}
	return nil
}

// goesAlong says whether a user lies in the node resource group of a cluster
// that lies in the group: it goes with the cluster.
func (s *snapshot) goesAlong(user, within string) bool {
	for i := range s.clusters.Items {
		cluster := &s.clusters.Items[i]
		nodes := prefixOf(cluster.Spec.SubscriptionID, cluster.Spec.NodeResourceGroup)
		if strings.HasPrefix(strings.ToLower(clusterID(cluster)), within) && strings.HasPrefix(strings.ToLower(user), nodes) {
			return true
		}
	}
	return false
}
