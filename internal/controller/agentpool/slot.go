package agentpool

import (
	"slices"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
)

// slot is the place of one machine: its port, and the Machine once it exists.
type slot struct {
	owner    allocation.Owner
	index    int32
	nodeName string
	// port is nil once it is released, machine is nil before it is made and after it is gone.
	port    *networkv1.Port
	machine *v1alpha1.Machine
}

// wanted says that the slot counts: it is not on its way out, nor deallocated.
func (s *slot) wanted() bool { return !s.deleting() && !s.drains() && !s.deallocated() }

// deleting says that the machine is being taken down.
func (s *slot) deleting() bool { return s.machine != nil && s.machine.DeletionTimestamp != nil }

// drains says that the machine was told to leave and is still whole.
func (s *slot) drains() bool {
	return s.drainsFor(v1alpha1.AfterDrainDelete, v1alpha1.AfterDrainDeallocate, "")
}

// drainsToStop says that the machine was told to drain because its pool stops.
func (s *slot) drainsToStop() bool { return s.drainsFor(v1alpha1.AfterDrainStop) }

func (s *slot) drainsFor(then ...v1alpha1.AfterDrain) bool {
	return s.machine != nil && s.machine.DeletionTimestamp == nil && !s.machine.Deallocated() &&
		s.machine.Spec.Drain != nil && slices.Contains(then, s.machine.Spec.Drain.Then)
}

// gaveUp says that the machine was told to drain and did not in time.
func (s *slot) gaveUp() bool {
	return (s.drains() || s.drainsToStop()) && s.machine.Spec.Drain.GivenUp != ""
}

// isReady says that the machine's node is ready.
func (s *slot) isReady() bool {
	return s.machine != nil && v1alpha1.ConditionTrue(s.machine.Status.Conditions, v1alpha1.ConditionReady)
}

// isDrained says that the node of a machine that was told to leave is empty. One
// that never had a node is.
func (s *slot) isDrained() bool {
	if s.machine.Status.KubeletVersion == "" {
		return true
	}
	drained := apimeta.FindStatusCondition(s.machine.Status.Conditions, v1alpha1.ConditionDrained)
	return drained != nil && drained.Status == metav1.ConditionTrue && drained.ObservedGeneration >= s.machine.Generation
}

func (s *slot) reason(conditionType string) string {
	if c := apimeta.FindStatusCondition(s.machine.Status.Conditions, conditionType); c != nil {
		return c.Reason
	}
	return ""
}

func (s *slot) message(conditionType string) string {
	if c := apimeta.FindStatusCondition(s.machine.Status.Conditions, conditionType); c != nil {
		return c.Message
	}
	return ""
}

// staying are the slots that count, by index.
func (s *scope) staying() []*slot { return s.wanted() }

// isOutdated says that a machine is not what the pool's nodes are to be.
func (s *scope) isOutdated(slot *slot) bool {
	if slot.machine == nil {
		return false
	}
	profile, spec := s.pool.Spec.Profile, slot.machine.Spec
	image := profile.NodeImageVersion
	return spec.KubernetesVersion != profile.OrchestratorVersion ||
		image != "" && spec.NodeImageVersion != image && slot.machine.Status.NodeImage != image
}

// outdated are the machines that are to be replaced and were not told to leave.
func (s *scope) outdated() []*slot {
	return slices.DeleteFunc(s.staying(), func(o *slot) bool { return !s.isOutdated(o) })
}

// leaving is how many machines are on their way out, but for those that did not drain.
func (s *scope) leaving() (count int) {
	for _, slot := range s.slots {
		if slot.deleting() || slot.drains() && !slot.gaveUp() {
			count++
		}
	}
	return count
}

// moving says that something that was begun has not ended.
func (s *scope) moving() bool {
	return s.leaving() > 0 || slices.ContainsFunc(s.staying(), func(o *slot) bool { return !s.isOutdated(o) && !o.isReady() })
}

// chosen are the machines that a caller wanted to go.
func (s *scope) chosen(of []*slot) []*slot {
	return slices.DeleteFunc(slices.Clone(of), func(o *slot) bool { return !s.isChosen(o) })
}

// isChosen says that a caller wanted the machine to go, by its name.
func (s *scope) isChosen(slot *slot) bool {
	return slot.machine != nil && slices.Contains(s.pool.Spec.Profile.LeavingMachines, slot.machine.Name)
}

// reclaimable are machines that were told to leave and are needed after all, and
// then those that are deallocated, as many as are missing.
func (s *scope) reclaimable(missing int) []*slot {
	var found []*slot
	for _, slot := range s.slots {
		if len(found) < missing && slot.drains() && !s.isOutdated(slot) && !s.isChosen(slot) {
			found = append(found, slot)
		}
	}
	return append(found, s.startable(missing-len(found))...)
}
