package agentpool

import (
	"cmp"
	"slices"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// DefaultReadyTimeout is how long a new node has to become Ready until the roll
// stops there, unless the operator wants another time.
const DefaultReadyTimeout = 10 * time.Minute

// reasonBuilding is the host agent's: a build takes as long as it takes.
const reasonBuilding = "Building"

// plan is what to do next, decided from what there is alone: a process that
// starts after a kill decides the same.
type plan struct {
	// create is how many machines are missing now.
	create int
	// retire are the machines that are to leave now, reclaim those that were to
	// leave and stay, and those that are deallocated and needed again.
	retire, reclaim []*slot
	// blocked says why nothing goes on until a caller asks again.
	blocked *obstacle
	// next is when to look again at the latest; 0 for never.
	next time.Duration
}

// obstacle is a reason and a message.
type obstacle struct{ reason, message string }

// look asks to look again after a while.
func (p *plan) look(after time.Duration) {
	if after > 0 && (p.next == 0 || after < p.next) {
		p.next = after
	}
}

// plan decides for a pool as it stands.
func (s *scope) plan() plan {
	p := s.decide()
	p.retire = append(p.retire, s.discarded()...)
	return p
}

func (s *scope) decide() plan {
	if s.count() == 0 && s.pool.Spec.Profile.Count > 0 || s.pool.DeletionTimestamp != nil {
		return s.deletion()
	}
	if !s.stops() && slices.ContainsFunc(s.present(), s.isOutdated) {
		return s.roll()
	}
	p := plan{}
	staying, count := s.staying(), s.count()
	if chosen := s.chosen(staying); len(chosen) > 0 { // these go whatever the count is
		p.retire = chosen
		staying = slices.DeleteFunc(staying, func(o *slot) bool { return slices.Contains(chosen, o) })
	}
	if extra := len(staying) - count; extra > 0 {
		p.retire = append(p.retire, staying[count:]...)
	}
	p.reclaim = s.reclaimable(count - len(staying))
	p.create = max(count-len(staying)-len(p.reclaim), 0)
	p.blocked = s.undrained()
	return p
}

// deletion lets all machines go.
func (s *scope) deletion() plan {
	return plan{retire: s.staying(), blocked: s.undrained()}
}

// roll replaces machines that are not of the pool's version: new ones come as
// far as the surge allows, old ones go as far as enough nodes are ready.
func (s *scope) roll() plan {
	p := plan{}
	settings, count := s.pool.Spec.Profile.UpgradeSettings, s.count()
	surge, unavailable := int(settings.Surge(int32(count))), int(settings.Unavailable(int32(count)))
	renewed, stuck := s.renewed()
	if p.blocked = s.undrained(); p.blocked != nil && settings.UndrainableNodeBehavior != v1alpha1.UndrainableCordon {
		return p
	}
	if p.retire = stuck; len(stuck) == 0 && p.blocked == nil {
		p.blocked = s.neverReady(renewed, &p)
	}
	if p.blocked != nil && p.blocked.reason == v1alpha1.ReasonNodesNotReady {
		return p
	}
	p.reclaim = s.reclaimable(count - len(renewed))
	p.create = max(min(count-len(renewed)-len(p.reclaim), count+surge-len(s.present())), 0)
	p.retire = append(p.retire, s.retirable(renewed, count, surge, unavailable, &p)...)
	if p.blocked != nil && (p.create > 0 || len(p.retire) > 0 || s.moving()) {
		p.blocked = nil // the others go on; it is told when nothing does
	}
	return p
}

// renewed are the machines of the pool's version that stay. Those that never
// became ready, for an operation that has failed since, are to go.
func (s *scope) renewed() (renewed, stuck []*slot) {
	for _, slot := range s.staying() {
		switch operation := s.operation(); {
		case s.isOutdated(slot):
		case operation != nil && slot.machine != nil && !slot.isReady() && !operation.StartTime.After(s.now) && // else the clock was set back
			operation.StartTime.Sub(slot.machine.CreationTimestamp.Time) >= s.readyTimeout: // both count in seconds
			stuck = append(stuck, slot)
		default:
			renewed = append(renewed, slot)
		}
	}
	return renewed, stuck
}

// neverReady finds a new node that had its time to become Ready.
func (s *scope) neverReady(renewed []*slot, p *plan) *obstacle {
	for _, slot := range renewed {
		if slot.machine == nil || slot.isReady() || slot.reason(v1alpha1.ConditionProvisioned) == reasonBuilding {
			continue
		}
		left := slot.machine.CreationTimestamp.Add(s.readyTimeout).Sub(s.now)
		if left > 0 {
			p.look(left)
			continue
		}
		return &obstacle{v1alpha1.ReasonNodesNotReady, "the new node " + slot.outcome().Message + "; it did not become ready in " +
			s.readyTimeout.String() + ", so no other node is replaced. What exists is kept; the same request again replaces the node and goes on"}
	}
	return nil
}

// retirable are the old machines that can go now: those whose nodes are not
// ready first, and as many others as leave enough ready nodes behind.
func (s *scope) retirable(renewed []*slot, count, surge, unavailable int, p *plan) []*slot {
	ready := 0
	for _, slot := range renewed {
		if left, ok := s.soaked(slot); ok {
			ready++
		} else {
			p.look(left)
		}
	}
	outdated := s.outdated()
	for _, slot := range outdated {
		if slot.isReady() {
			ready++
		}
	}
	slices.SortStableFunc(outdated, func(a, b *slot) int {
		return cmp.Or(cmp.Compare(rank(a.isReady()), rank(b.isReady())), int(a.index-b.index))
	})
	room := surge + unavailable - s.leaving()
	var retire []*slot
	for _, slot := range outdated {
		if room <= 0 {
			break
		}
		if slot.isReady() {
			if ready <= max(count-unavailable, 0) {
				break
			}
			ready--
		}
		retire, room = append(retire, slot), room-1
	}
	return retire
}

func rank(last bool) int {
	if last {
		return 1
	}
	return 0
}

// soaked says that a new node is ready and has been for as long as it has to.
func (s *scope) soaked(slot *slot) (left time.Duration, ok bool) {
	if !slot.isReady() {
		return 0, false
	}
	since := apimeta.FindStatusCondition(slot.machine.Status.Conditions, v1alpha1.ConditionNodeReady)
	if since == nil || since.LastTransitionTime.After(s.now) { // the clock was set back since: nobody knows how long it is
		return 0, true
	}
	left = since.LastTransitionTime.Add(s.pool.Spec.Profile.UpgradeSettings.Soak()).Sub(s.now)
	return left, left <= 0
}

// undrained tells of the first machine that did not drain in time.
func (s *scope) undrained() *obstacle {
	for _, slot := range s.slots {
		if !slot.gaveUp() {
			continue
		}
		why := slot.message(v1alpha1.ConditionDrained)
		return &obstacle{v1alpha1.ReasonDrainFailure, "the node " + slot.nodeName + " did not drain in time: " + why +
			". Nothing is lost; mend that and send the same request again, which goes on from here"}
	}
	return nil
}

// operation is the running operation that the pool works for, nil if there is none.
func (s *scope) operation() *meta.RunningOperation {
	if s.cluster == nil {
		return nil
	}
	if operation := s.cluster.Operation(s.pool.Spec.Profile.Name); operation != nil {
		return operation
	}
	return s.cluster.Operation(meta.ScopeCluster)
}
