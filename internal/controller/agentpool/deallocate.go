package agentpool

import (
	"cmp"
	"slices"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// keepsDisks says that machines which the pool does not need are stopped and
// kept, to be started again before new ones are made.
func (s *scope) keepsDisks() bool {
	goes := s.pool.DeletionTimestamp != nil || s.clusterGoes()
	return !goes && s.pool.Spec.Profile.ScaleDownMode == v1alpha1.ScaleDownDeallocate
}

// deallocated says that the machine is kept for when the pool grows.
func (s *slot) deallocated() bool {
	return s.machine != nil && s.machine.DeletionTimestamp == nil && s.machine.Deallocated()
}

// deallocates says that a machine which was told to leave is to be kept.
func (s *scope) deallocates(slot *slot) bool {
	return s.keepsDisks() && slot.machine.Spec.Drain.Then == v1alpha1.AfterDrainDeallocate && !s.isOutdated(slot) && !s.isChosen(slot)
}

// discarded are the deallocated machines that are not kept any longer: those of a
// pool that goes or whose mode is another one, those of another version, and
// those that a caller wanted to go.
func (s *scope) discarded() (slots []*slot) {
	for _, slot := range s.slots {
		if slot.deallocated() && !s.deallocates(slot) {
			slots = append(slots, slot)
		}
	}
	return slots
}

// startable are the deallocated machines that a pool starts when it grows, as
// many as are missing: those first whose zones have the fewest nodes.
func (s *scope) startable(missing int) []*slot {
	nodes := map[string]int{}
	for _, slot := range s.staying() {
		if slot.machine != nil {
			nodes[slot.machine.Spec.Zone]++
		}
	}
	var kept, chosen []*slot
	for _, slot := range s.slots {
		if slot.deallocated() && s.deallocates(slot) {
			kept = append(kept, slot)
		}
	}
	for ; missing > 0 && len(kept) > 0; missing-- {
		best := slices.MinFunc(kept, func(a, b *slot) int {
			return cmp.Compare(nodes[a.machine.Spec.Zone], nodes[b.machine.Spec.Zone])
		})
		nodes[best.machine.Spec.Zone]++
		chosen = append(chosen, best)
		kept = slices.DeleteFunc(kept, func(o *slot) bool { return o == best })
	}
	return chosen
}

// present are the slots but for those of deallocated machines.
func (s *scope) present() []*slot {
	return slices.DeleteFunc(slices.Clone(s.slots), (*slot).deallocated)
}

// kept are the slots that count, and those of deallocated machines.
func (s *scope) kept() []*slot {
	return slices.DeleteFunc(slices.Clone(s.slots), func(o *slot) bool { return !o.wanted() && !o.deallocated() })
}
