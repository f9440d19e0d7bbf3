package agentpool

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

// power tells every machine whether to run: as the pool's profile says, which
// is Stopped for all pools of a stopped cluster. The nodes of a pool that stops
// while its cluster runs are drained first; with the cluster everything ends.
type power struct {
	client client.Client
}

func (p *power) Reconcile(ctx context.Context, s *scope) error {
	if s.givesUp() || s.pool.DeletionTimestamp != nil {
		return nil
	}
	var errs []error
	for _, slot := range s.slots {
		switch {
		case slot.machine == nil || slot.deleting() || slot.deallocated():
		case s.stops() && !s.clusterStops():
			errs = append(errs, p.stop(ctx, s, slot))
		default:
			errs = append(errs, p.set(ctx, s, slot))
		}
	}
	return errors.Join(errs...)
}

// set gives a machine the power state of the pool. That it was to drain for a
// stop of the pool is over when the pool runs, and when it did not and is stopped
// with the cluster.
func (p *power) set(ctx context.Context, s *scope, slot *slot) error {
	return update(ctx, p.client, slot, func(spec *v1alpha1.MachineSpec) {
		if stops(spec.PowerState) != s.stops() {
			spec.PowerState = s.pool.Spec.Profile.PowerState
		}
		if slot.drainsToStop() && (!s.stops() || spec.Drain.GivenUp != "") {
			spec.Drain = nil
		}
	})
}

// stop drains the node of a machine that stays in the pool, and stops it once it
// is empty. A machine that leaves the pool goes its own way.
func (p *power) stop(ctx context.Context, s *scope, slot *slot) error {
	if slot.drains() || stops(slot.machine.Spec.PowerState) {
		return nil
	}
	wish := s.wish(v1alpha1.AfterDrainStop)
	if slot.drainsToStop() {
		next, done := s.advance(slot)
		if done {
			return p.set(ctx, s, slot)
		}
		if next != nil { // otherwise another operation asks again
			wish = next
		}
	} else if slot.machine.Status.KubeletVersion == "" {
		return p.set(ctx, s, slot) // there never was a node
	}
	return drain(ctx, p.client, slot, wish)
}

func stops(state meta.PowerState) bool { return state == meta.PowerStopped }

// stops says whether the pool's machines are wanted to be stopped.
func (s *scope) stops() bool { return stops(s.pool.Spec.Profile.PowerState) }

// clusterStops says that the whole cluster is wanted to be stopped, or goes.
func (s *scope) clusterStops() bool { return s.clusterGoes() || stops(s.cluster.Spec.PowerState) }

// givesUp says that an operation on the pool was aborted: nothing new is begun.
func (s *scope) givesUp() bool {
	return s.cluster != nil && s.pool.DeletionTimestamp == nil && s.cluster.GivesUp(s.pool.Spec.Profile.Name)
}

// stoppedOutcome says whether no machine of the pool runs.
func (s *scope) stoppedOutcome() condition.Outcome {
	running, deleting, first := 0, 0, ""
	for _, slot := range s.slots {
		switch {
		case slot.deleting():
			deleting++
		case slot.machine == nil || isStopped(slot.machine):
		default:
			if running++; first == "" {
				first = slot.whyRunning()
			}
		}
	}
	switch {
	case running > 0:
		return condition.Waiting(fmt.Sprintf("%d of %d nodes run; %s", running, len(s.slots), first))
	case deleting > 0:
		return condition.Waiting(fmt.Sprintf("%d nodes are being deleted", deleting))
	default:
		return condition.True("no node runs")
	}
}

// whyRunning says what a machine waits for that is to stop.
func (s *slot) whyRunning() string {
	if s.machine.Spec.Drain != nil && !stops(s.machine.Spec.PowerState) {
		return fmt.Sprintf("draining node %s: %s", s.nodeName, s.message(v1alpha1.ConditionDrained))
	}
	return condition.Mirror(s.machine.Status.Conditions, v1alpha1.ConditionStopped, "waiting for the host agent").Message
}

// isStopped says that a machine was told to stop and its host has seen it stopped.
func isStopped(machine *v1alpha1.Machine) bool {
	return stops(machine.Spec.PowerState) && v1alpha1.ConditionTrue(machine.Status.Conditions, v1alpha1.ConditionStopped)
}
