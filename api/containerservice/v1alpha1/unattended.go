package v1alpha1

import (
	"fmt"
	"time"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// InTheWay says why nothing that nobody asked for, an upgrade by a channel or a
// renewal of nodes, can begin on the cluster as it stands; "" if it can.
func (c *ManagedCluster) InTheWay() string {
	switch state := c.DeriveProvisioningState(); {
	case c.Spec.PowerState == meta.PowerStopped:
		return "the cluster is stopped; start it first"
	case len(c.Spec.Operations) > 0:
		return fmt.Sprintf("the operation %s runs on the cluster", c.Spec.Operations[0].Verb)
	case state != StateSucceeded:
		return fmt.Sprintf("the cluster is %s; bring it back to %s by an update first", state, StateSucceeded)
	case c.Spec.Upgrade.Revocable():
		return fmt.Sprintf("the upgrade to Kubernetes %s can still be taken back; lift it, or wait for the end of its soak", c.Spec.KubernetesVersion)
	}
	return ""
}

// Rests says that an attempt was refused in this window, and that nobody has changed
// the cluster since. It may be called on nil, which is no attempt.
func (r *RefusedUpgrade) Rests(c *ManagedCluster, now time.Time) bool {
	return r != nil && r.Generation == c.Generation && now.Before(r.RetryTime.Time)
}
