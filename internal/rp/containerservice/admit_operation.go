package containerservice

import (
	"net/http"
	"slices"
	"time"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// admitOperation decides whether an operation on a scope may start beside those
// that run: one on the cluster runs alone, one on a pool beside those on other pools.
func admitOperation(old *containerservicev1alpha1.ManagedCluster, scope string) error {
	if old == nil {
		return nil
	}
	if old.DeletionTimestamp != nil {
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"Operation is not allowed: the managed cluster '%s' has been in deletion since %s. Wait until it is gone.",
			old.Spec.Name, old.DeletionTimestamp.UTC().Format(time.RFC3339))
	}
	for _, running := range old.Spec.Operations {
		if scope != meta.ScopeCluster && running.Scope != meta.ScopeCluster && running.Scope != scope {
			continue
		}
		on := "the managed cluster '" + old.Spec.Name + "'"
		if running.Scope != meta.ScopeCluster {
			on = "the agent pool '" + running.Scope + "'"
		}
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"Operation is not allowed: Another operation (%s on %s, id %s) has been in progress since %s, please wait for it to finish before starting a new operation.",
			running.Verb, on, running.ID, running.StartTime.UTC().Format(time.RFC3339))
	}
	return nil
}

// clusterVerb says what a PUT of a cluster does: it scales if nothing but the
// counts of pools changes.
func clusterVerb(old, next *containerservicev1alpha1.ManagedCluster) meta.Verb {
	if old == nil {
		return meta.VerbCreate
	}
	scales := len(old.Spec.AgentPools) == len(next.Spec.AgentPools)
	changed := false
	for _, pool := range next.Spec.AgentPools {
		before := old.AgentPool(pool.Name)
		if before == nil || poolVerb(before, pool) == meta.VerbUpdate && before.Count != pool.Count {
			scales = false
			continue
		}
		changed = changed || before.Count != pool.Count
	}
	if scales && changed {
		return meta.VerbScale
	}
	return meta.VerbUpdate
}

// poolVerb says what a PUT of a pool does.
func poolVerb(old *containerservicev1alpha1.AgentPoolProfile, next containerservicev1alpha1.AgentPoolProfile) meta.Verb {
	switch {
	case old == nil:
		return meta.VerbCreate
	case old.Count != next.Count && mapsEqual(old.Tags, next.Tags) && slices.Equal(old.NodeTaints, next.NodeTaints):
		return meta.VerbScale
	default:
		return meta.VerbUpdate
	}
}

func mapsEqual(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for key, value := range a {
		if other, there := b[key]; !there || other != value {
			return false
		}
	}
	return true
}
