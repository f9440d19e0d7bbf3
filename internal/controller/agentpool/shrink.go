package agentpool

import (
	"context"
	"errors"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/controller/allocation"
)

// shrink deletes the machines that are too many, those with the highest
// indexes first. What a Machine held is released by its own controller before
// it goes; a slot that never got its Machine is released here.
type shrink struct {
	client    client.Client
	allocator allocation.Allocator
}

func (p *shrink) Reconcile(ctx context.Context, s *scope) error {
	if s.givesUp() {
		return nil
	}
	wanted := s.wanted()
	var errs []error
	for _, extra := range wanted[min(s.count(), len(wanted)):] {
		if extra.machine == nil {
			err := p.allocator.ReleaseMachine(ctx, s.network.Name, extra.owner)
			if err == nil {
				s.forget(extra)
			}
			errs = append(errs, err)
			continue
		}
		if err := p.client.Delete(ctx, extra.machine); client.IgnoreNotFound(err) != nil {
			errs = append(errs, fmt.Errorf("deleting machine %s: %w", extra.owner.Name, err))
			continue
		}
		now := s.stampTime()
		extra.machine.DeletionTimestamp = &now
	}
	return errors.Join(errs...)
}
