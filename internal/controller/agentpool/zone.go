package agentpool

import "berth.dev/berth/internal/controller/nodeprofile"

// zone is the pool's failure domain that has the fewest machines, the first of
// those that have equally few; "" for a pool without.
func (s *scope) zone() string {
	machines := map[string]int{}
	for _, slot := range s.staying() {
		if slot.machine != nil {
			machines[slot.machine.Spec.Zone]++
		}
	}
	best := ""
	for _, zone := range s.pool.Spec.Profile.AvailabilityZones {
		if best == "" || machines[zone] < machines[best] {
			best = zone
		}
	}
	return best
}

// isProfiled says that a machine's node has the labels and taints that the pool wants.
func (s *scope) isProfiled(slot *slot) bool {
	return s.cluster == nil || slot.machine.Status.NodeProfile == nodeprofile.Of(s.cluster, s.pool.Spec.Profile, slot.machine.Spec.Zone).Digest()
}
