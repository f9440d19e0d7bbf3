package containerservice

import (
	"net/http"
	"slices"
	"time"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// A rule is a line of the conflict table: what an operation may meet in a cluster.
type rule struct {
	// preempts what runs: it ends Canceled. Otherwise an operation on the cluster
	// runs alone, and one on a pool beside those on other pools.
	preempts bool
	// stopped says that the cluster may be stopped.
	stopped bool
	// aborted says, for an operation on a pool, that the cluster's own last
	// operation may have been aborted. One on the cluster always goes on from there.
	aborted bool
	// deleted says that the cluster may be in deletion, which the request then joins.
	deleted bool
}

// conflicts is the conflict table. A verb that it does not name has the rule of
// an update. The deletion of a cluster is accepted at any time, whatever runs:
// whoever waits for something that hangs can always give it up.
func conflicts(scope string, verb meta.Verb) rule {
	if scope != meta.ScopeCluster {
		return rule{}
	}
	return map[meta.Verb]rule{
		meta.VerbDelete: {preempts: true, stopped: true, aborted: true, deleted: true},
		meta.VerbStop:   {stopped: true, aborted: true, deleted: true},
		meta.VerbStart:  {stopped: true, aborted: true},
		meta.VerbUpdate: {aborted: true},
	}[verb]
}

// admitOperation decides whether a write of a scope may start beside what runs.
func admitOperation(old *containerservicev1alpha1.ManagedCluster, scope string) error {
	return admitVerb(old, scope, meta.VerbUpdate)
}

// admitVerb decides whether an operation may start on a scope as the cluster stands.
func admitVerb(old *containerservicev1alpha1.ManagedCluster, scope string, verb meta.Verb) error {
	if old == nil {
		return nil
	}
	allowed := conflicts(scope, verb)
	if old.DeletionTimestamp != nil && !allowed.deleted {
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"Operation is not allowed: the managed cluster '%s' has been in deletion since %s. Wait until it is gone.",
			old.Spec.Name, old.DeletionTimestamp.UTC().Format(time.RFC3339))
	}
	for _, running := range old.Spec.Operations {
		beside := scope != meta.ScopeCluster && running.Scope != meta.ScopeCluster && running.Scope != scope
		if !beside && !allowed.preempts {
			return inTheWay(old, running)
		}
	}
	if queued := old.Queued(scope); queued != nil {
		return behind(queued)
	}
	if !allowed.stopped {
		if err := admitStopped(old, scope); err != nil {
			return err
		}
	}
	if scope != meta.ScopeCluster && !allowed.aborted && old.Aborted(meta.ScopeCluster) {
		return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
			"Operation is not allowed: the last operation on the managed cluster '%s' was aborted and left it as it was. Go on with the cluster first: update, start or stop it.",
			old.Spec.Name)
	}
	return nil
}

// admitStopped refuses an update of a cluster that is stopped, whatever it asks
// for. One whose stop was aborted is brought up again by an update of the cluster.
func admitStopped(old *containerservicev1alpha1.ManagedCluster, scope string) error {
	if old == nil || !old.Stopped() && len(old.Spec.Operations) > 0 || old.Spec.PowerState != meta.PowerStopped ||
		scope == meta.ScopeCluster && old.Aborted(meta.ScopeCluster) {
		return nil
	}
	return arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
		"Operation is not allowed: the managed cluster '%s' is stopped, and a stopped cluster can only be started or deleted. Start it first, with POST %s/start or 'az aks start'.",
		old.Spec.Name, IDOf(old, meta.ScopeCluster))
}

// inTheWay names the running operation that another one has to wait for.
func inTheWay(old *containerservicev1alpha1.ManagedCluster, running meta.RunningOperation) error {
	on := "the managed cluster '" + old.Spec.Name + "'"
	if running.Scope != meta.ScopeCluster {
		on = "the agent pool '" + running.Scope + "'"
	}
	return &waitError{refusal: arm.NewError(http.StatusConflict, arm.CodeOperationNotAllowed,
		"Operation is not allowed: Another operation (%s on %s, id %s) has been in progress since %s, please wait for it to finish before starting a new operation.",
		running.Verb, on, running.ID, running.StartTime.UTC().Format(time.RFC3339))}
}

// clusterVerb says what a PUT of a cluster does: it scales if nothing but the
// counts of pools changes.
func clusterVerb(old, next *containerservicev1alpha1.ManagedCluster) meta.Verb {
	if old == nil {
		return meta.VerbCreate
	}
	if upgrades(old, next) {
		return meta.VerbUpgrade
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
	case old.OrchestratorVersion != next.OrchestratorVersion:
		return meta.VerbUpgrade
	case old.PowerState != next.PowerState && next.PowerState == meta.PowerStopped:
		return meta.VerbStop
	case old.PowerState != next.PowerState:
		return meta.VerbStart
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
