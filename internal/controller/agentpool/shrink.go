package agentpool

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
)

// shrink lets machines go that are too many or not of the pool's version, as the
// plan says: each is told to drain, and deleted once it has. What a Machine held
// is released by its own controller before it goes; a slot that never got its
// Machine is released here.
type shrink struct {
	client    client.Client
	allocator allocation.Allocator
}

func (p *shrink) Reconcile(ctx context.Context, s *scope) error {
	if s.givesUp() {
		return nil
	}
	var errs []error
	for _, slot := range s.drained() { // first, so that the plan sees them go
		errs = append(errs, p.goOn(ctx, s, slot))
	}
	plan := s.plan()
	for _, slot := range plan.retire {
		errs = append(errs, p.retire(ctx, s, slot))
	}
	for _, slot := range plan.reclaim {
		errs = append(errs, p.drain(ctx, slot, nil))
	}
	return errors.Join(errs...)
}

// drained are the machines that were told to leave.
func (s *scope) drained() (slots []*slot) {
	for _, slot := range s.slots {
		if slot.drains() {
			slots = append(slots, slot)
		}
	}
	return slots
}

// goOn takes a machine that was told to leave a step further: it is deleted once
// it has drained, given up at its deadline, and begun anew for another operation.
func (p *shrink) goOn(ctx context.Context, s *scope, slot *slot) error {
	wish, operation := slot.machine.Spec.Drain, s.operation()
	left := wish.Deadline.Sub(s.now)
	switch {
	case s.clusterGoes() || wish.GivenUp == "" && slot.isDrained():
		return p.delete(ctx, s, slot)
	case operation != nil && operation.ID != wish.OperationID && wish.GivenUp != "":
		return p.drain(ctx, slot, nil) // whether it is still to leave is decided anew
	case operation != nil && operation.IgnoreDisruptionBudgets && !wish.IgnoreBudgets:
		return p.drain(ctx, slot, s.wish())
	case wish.GivenUp != "":
		return nil
	case left > 0:
		s.look(left)
		return nil
	}
	behavior := v1alpha1.UndrainableSchedule
	if s.isOutdated(slot) && s.pool.Spec.Profile.UpgradeSettings.UndrainableNodeBehavior != "" {
		behavior = s.pool.Spec.Profile.UpgradeSettings.UndrainableNodeBehavior
	}
	changed := *wish
	changed.GivenUp = behavior
	return p.drain(ctx, slot, &changed)
}

// retire lets one machine go.
func (p *shrink) retire(ctx context.Context, s *scope, slot *slot) error {
	if slot.machine == nil {
		err := p.allocator.ReleaseMachine(ctx, s.network.Name, slot.owner)
		if err == nil {
			s.forget(slot)
		}
		return err
	}
	if s.clusterGoes() || slot.machine.Status.KubeletVersion == "" {
		return p.delete(ctx, s, slot)
	}
	s.look(s.pool.Spec.Profile.UpgradeSettings.DrainTimeout())
	return p.drain(ctx, slot, s.wish())
}

// wish is to drain now, for the operation that runs.
func (s *scope) wish() *v1alpha1.MachineDrain {
	wish := &v1alpha1.MachineDrain{Deadline: metav1.NewTime(s.now.Add(s.pool.Spec.Profile.UpgradeSettings.DrainTimeout()).Truncate(time.Second))}
	if operation := s.operation(); operation != nil {
		wish.OperationID, wish.IgnoreBudgets = operation.ID, operation.IgnoreDisruptionBudgets
	}
	return wish
}

// drain writes the wish to drain, or takes it away.
func (p *shrink) drain(ctx context.Context, slot *slot, wish *v1alpha1.MachineDrain) error {
	changed := slot.machine.DeepCopy()
	changed.Spec.Drain = wish
	if err := p.client.Update(ctx, changed); err != nil {
		return fmt.Errorf("telling machine %s whether to drain: %w", slot.owner.Name, err)
	}
	slot.machine = changed
	return nil
}

func (p *shrink) delete(ctx context.Context, s *scope, slot *slot) error {
	if err := p.client.Delete(ctx, slot.machine); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting machine %s: %w", slot.owner.Name, err)
	}
	now := s.stampTime()
	slot.machine.DeletionTimestamp = &now
	return nil
}

// clusterGoes says that the whole cluster is on its way out: nothing is drained.
func (s *scope) clusterGoes() bool { return s.cluster == nil || s.cluster.DeletionTimestamp != nil }

// look asks to look again after a while.
func (s *scope) look(after time.Duration) {
	if after > 0 && (s.next == 0 || after < s.next) {
		s.next = after
	}
}
