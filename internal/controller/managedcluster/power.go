package managedcluster

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

// power tells the control plane whether to run. It runs whenever the cluster
// is wanted to; it is stopped after the nodes, so that an abort before that
// leaves an API server that answers, and so that nobody watches it when it ends.
// The pools learn it in their projections.
type power struct {
	config Config
}

func (p *power) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if !s.wantsStop() {
		return reconcile.Result{}, p.set(ctx, s, meta.PowerRunning)
	}
	nodes := s.nodesStopped()
	if !nodes.True {
		s.report(v1alpha1.ConditionStopped, nodes)
		return reconcile.Result{}, nil
	}
	if s.givesUp() && s.controlPlane != nil && !s.planeStops() {
		s.report(v1alpha1.ConditionStopped, condition.Aborted())
		return reconcile.Result{}, nil
	}
	// Whoever still watches is let go before the API server ends.
	p.config.Tenants.Disconnect(s.cluster.Name)
	if err := p.set(ctx, s, meta.PowerStopped); err != nil {
		return reconcile.Result{}, err
	}
	s.report(v1alpha1.ConditionStopped, s.controlPlaneStopped())
	return reconcile.Result{}, nil
}

// set writes the power state of the control plane, unless it is there or the
// cluster's operation gives up.
func (p *power) set(ctx context.Context, s *scope, state meta.PowerState) error {
	plane := s.controlPlane
	if plane == nil || plane.DeletionTimestamp != nil || s.givesUp() || stops(plane.Spec.PowerState) == stops(state) {
		return nil
	}
	changed := plane.DeepCopy()
	changed.Spec.PowerState = state
	if err := p.config.Client.Update(ctx, changed); err != nil {
		return fmt.Errorf("setting the power state of the control plane: %w", err)
	}
	s.controlPlane = changed
	return nil
}

// stops says whether a power state is Stopped; an empty one is Running.
func stops(state meta.PowerState) bool { return state == meta.PowerStopped }

// wantsStop says whether the cluster is wanted to be stopped.
func (s *scope) wantsStop() bool { return stops(s.cluster.Spec.PowerState) }

// planeStops says whether the control plane was told to stop.
func (s *scope) planeStops() bool {
	return s.controlPlane != nil && stops(s.controlPlane.Spec.PowerState)
}

// projected is a pool's profile as its controller is to see it: a stopped
// cluster stops all its pools.
func (s *scope) projected(profile v1alpha1.AgentPoolProfile) v1alpha1.AgentPoolProfile {
	projected := *profile.DeepCopy()
	if s.wantsStop() {
		projected.PowerState = meta.PowerStopped
	}
	s.hold(&projected)
	return projected
}

// nodesStopped says whether no node of the cluster runs, or why not yet.
func (s *scope) nodesStopped() condition.Outcome {
	if !s.poolsKnown {
		return condition.Waiting("waiting for the agent pools to be read")
	}
	for _, pool := range s.pools {
		outcome := condition.Mirror(pool.Status.Conditions, v1alpha1.ConditionStopped, "waiting for its nodes to stop")
		current := pool.DeletionTimestamp == nil && stops(pool.Spec.Profile.PowerState) &&
			pool.Status.ObservedGeneration >= pool.Generation
		if outcome.True && current {
			continue
		}
		if outcome.True {
			outcome = condition.Waiting("waiting for its controller to see the change")
		}
		if pool.DeletionTimestamp != nil {
			outcome = condition.Waiting("waiting for the pool to be deleted")
		}
		return condition.Outcome{Reason: outcome.Reason, Message: fmt.Sprintf("pool %s: %s", pool.Spec.Profile.Name, outcome.Message)}
	}
	return condition.True("no node runs")
}

// controlPlaneStopped says whether nothing of the control plane runs.
func (s *scope) controlPlaneStopped() condition.Outcome {
	plane := s.controlPlane
	if plane == nil {
		return condition.True("nothing runs")
	}
	outcome := condition.Mirror(plane.Status.Conditions, v1alpha1.ConditionStopped, "waiting for the host agent to stop the control plane")
	if !stops(plane.Spec.PowerState) || plane.Status.ObservedGeneration < plane.Generation {
		return condition.Waiting("waiting for the host agent to stop the control plane")
	}
	if outcome.True {
		outcome.Message = "nothing runs; address, data and the nodes' disks are kept"
	}
	return outcome
}
