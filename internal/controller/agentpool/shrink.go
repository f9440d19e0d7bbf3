package agentpool

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
)

// shrink lets machines go that are too many or not of the pool's version, as the
// plan says: each is told to drain, and deleted or deallocated once it has. It
// also takes back those that the pool needs again. What a Machine held is released
// by its own controller before it goes; a slot that never got its Machine is
// released here.
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
		errs = append(errs, p.reclaim(ctx, s, slot))
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

// goOn takes a machine that was told to leave a step further.
func (p *shrink) goOn(ctx context.Context, s *scope, slot *slot) error {
	if s.clusterGoes() {
		return p.delete(ctx, s, slot)
	}
	wish, done := s.advance(slot)
	switch {
	case done && s.deallocates(slot):
		return update(ctx, p.client, slot, func(spec *v1alpha1.MachineSpec) { spec.PowerState = meta.PowerStopped })
	case done:
		return p.delete(ctx, s, slot)
	default:
		return drain(ctx, p.client, slot, wish)
	}
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
	if s.clusterGoes() || slot.deallocated() || slot.machine.Status.KubeletVersion == "" {
		return p.delete(ctx, s, slot)
	}
	then := v1alpha1.AfterDrainDelete
	if s.keepsDisks() && !s.isOutdated(slot) && !s.isChosen(slot) {
		then = v1alpha1.AfterDrainDeallocate
	}
	return drain(ctx, p.client, slot, s.wish(then))
}

// reclaim makes a machine that was to leave, or that is deallocated, one of the
// pool's again.
func (p *shrink) reclaim(ctx context.Context, s *scope, slot *slot) error {
	return update(ctx, p.client, slot, func(spec *v1alpha1.MachineSpec) {
		spec.Drain, spec.PowerState = nil, s.pool.Spec.Profile.PowerState
	})
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
