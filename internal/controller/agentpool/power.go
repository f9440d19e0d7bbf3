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
// is Stopped for all pools of a stopped cluster.
type power struct {
	client client.Client
}

func (p *power) Reconcile(ctx context.Context, s *scope) error {
	if s.givesUp() || s.pool.DeletionTimestamp != nil {
		return nil
	}
	var errs []error
	for _, slot := range s.slots {
		if slot.machine == nil || slot.deleting() || stops(slot.machine.Spec.PowerState) == s.stops() {
			continue
		}
		changed := slot.machine.DeepCopy()
		changed.Spec.PowerState = s.pool.Spec.Profile.PowerState
		if err := p.client.Update(ctx, changed); err != nil {
			errs = append(errs, fmt.Errorf("setting the power state of machine %s: %w", slot.owner.Name, err))
			continue
		}
		slot.machine = changed
	}
	return errors.Join(errs...)
}

func stops(state meta.PowerState) bool { return state == meta.PowerStopped }

// stops says whether the pool's machines are wanted to be stopped.
func (s *scope) stops() bool { return stops(s.pool.Spec.Profile.PowerState) }

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
				first = condition.Mirror(slot.machine.Status.Conditions, v1alpha1.ConditionStopped, "waiting for the host agent").Message
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

// isStopped says that a machine was told to stop and its host has seen it stopped.
func isStopped(machine *v1alpha1.Machine) bool {
	return stops(machine.Spec.PowerState) && v1alpha1.ConditionTrue(machine.Status.Conditions, v1alpha1.ConditionStopped)
}
