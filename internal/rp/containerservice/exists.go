package containerservice

import (
	"context"
	"strings"

	"berth.dev/berth/internal/arm"
)

// HasNested says whether what an id names below a cluster is there: an agent
// pool, or any namespace, which roles on what lies in a cluster are given at.
// A pool that is being deleted no longer is, so that nothing can be granted on
// it that its next namesake would find.
func (p *Provider) HasNested(ctx context.Context, id arm.ResourceID) (bool, error) {
	if len(id.Types) != 2 || !strings.EqualFold(id.Types[0], "managedClusters") {
		return false, nil
	}
	cluster, err := p.find(ctx, ClusterID(id.SubscriptionID, id.ResourceGroup, id.Names[0]))
	switch {
	case err != nil || cluster == nil:
		return false, err
	case strings.EqualFold(id.Types[1], "agentPools"):
		return cluster.AgentPool(strings.ToLower(id.Names[1])) != nil, nil
	default:
		return strings.EqualFold(id.Types[1], "namespaces"), nil
	}
}
