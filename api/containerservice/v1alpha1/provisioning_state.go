package v1alpha1

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// The provisioning states; Succeeded, Failed and Canceled are terminal.
const (
	StateCreating             = "Creating"
	StateUpdating             = "Updating"
	StateScaling              = "Scaling"
	StateUpgrading            = "Upgrading"
	StateUpgradingNodeImage   = "UpgradingNodeImageVersion"
	StateRollingBack          = "RollingBack"
	StateStopping             = "Stopping"
	StateStarting             = "Starting"
	StateRotatingCertificates = "RotatingClusterCertificates"
	StateRotatingKeys         = "RotatingServiceAccountSigningKeys"
	StateRotatingEncryption   = "RotatingEncryptionKey"
	StateRestoring            = "Restoring"
	StateDeleting             = "Deleting"
	StateCanceling            = "Canceling"
	StateSucceeded            = "Succeeded"
	StateFailed               = "Failed"
	StateCanceled             = "Canceled"
)

// Operation is the running operation of a scope, nil if there is none.
func (c *ManagedCluster) Operation(scope string) *meta.RunningOperation {
	for i := range c.Spec.Operations {
		if c.Spec.Operations[i].Scope == scope {
			return &c.Spec.Operations[i]
		}
	}
	return nil
}

// AgentPool is the profile of a pool, nil if there is none of that name.
func (c *ManagedCluster) AgentPool(name string) *AgentPoolProfile {
	for i := range c.Spec.AgentPools {
		if c.Spec.AgentPools[i].Name == name {
			return &c.Spec.AgentPools[i]
		}
	}
	return nil
}

// Aborted says that the last operation of a scope gave up on a caller's wish.
func (c *ManagedCluster) Aborted(scope string) bool {
	return slices.ContainsFunc(c.Spec.Aborted, func(a meta.AbortedOperation) bool { return a.Scope == scope })
}

// GivesUp says that whoever works on a scope is to begin nothing new: its
// operation, or the whole cluster's, is to give up, or gave up and nothing was
// asked for since. What was begun is brought to its next safe point, what exists is kept.
func (c *ManagedCluster) GivesUp(scope string) bool {
	if c.DeletionTimestamp != nil {
		return false // what goes is to go whole
	}
	for _, s := range []string{scope, meta.ScopeCluster} {
		if operation := c.Operation(s); operation != nil && operation.Abort != nil || c.Aborted(s) {
			return true
		}
	}
	return false
}

// Stopped says that the cluster is stopped and nothing of it runs any more. One
// that is wanted to stop runs until then.
func (c *ManagedCluster) Stopped() bool {
	return c.Spec.PowerState == meta.PowerStopped && ConditionTrue(c.Status.Conditions, ConditionStopped)
}

// ObservedPowerState is what a caller is told: Stopped once nothing runs.
func (c *ManagedCluster) ObservedPowerState() meta.PowerState {
	if c.Stopped() {
		return meta.PowerStopped
	}
	return meta.PowerRunning
}

// DeriveProvisioningState is the state of the whole cluster: it follows from
// what the object says and is never set by hand.
func (c *ManagedCluster) DeriveProvisioningState() string {
	if c.DeletionTimestamp != nil {
		return StateDeleting
	}
	return derive(c.Operation(meta.ScopeCluster), c.Aborted(meta.ScopeCluster), c.Status.Failure)
}

// DerivePoolProvisioningState is the state of one pool. A pool that is made
// together with its cluster shares the cluster's operation. pool is the pool's
// projection, nil while the controllers have not made it.
func (c *ManagedCluster) DerivePoolProvisioningState(name string, pool *AgentPool) string {
	if c.DeletionTimestamp != nil {
		return StateDeleting
	}
	operation := c.Operation(name)
	if operation == nil {
		operation = c.Operation(meta.ScopeCluster)
	}
	var failure *meta.Failure
	if pool != nil {
		failure = pool.Status.Failure
	}
	return derive(operation, c.Aborted(name) || c.Aborted(meta.ScopeCluster), failure)
}

func derive(operation *meta.RunningOperation, aborted bool, failure *meta.Failure) string {
	switch {
	case operation != nil && operation.Abort != nil:
		return StateCanceling
	case operation != nil:
		return whileRunning(operation.Verb)
	case aborted:
		return StateCanceled
	case failure != nil:
		return StateFailed
	default:
		return StateSucceeded
	}
}

// whileRunning is the state that a resource is in while an operation works on it.
func whileRunning(verb meta.Verb) string {
	return map[meta.Verb]string{
		meta.VerbCreate: StateCreating, meta.VerbUpdate: StateUpdating, meta.VerbScale: StateScaling, meta.VerbDelete: StateDeleting,
		meta.VerbUpgrade: StateUpgrading, meta.VerbRollback: StateRollingBack, meta.VerbUpgradeNodeImage: StateUpgradingNodeImage,
		meta.VerbDeleteMachines: StateScaling, meta.VerbStop: StateStopping, meta.VerbStart: StateStarting,
		meta.VerbRotateCertificates: StateRotatingCertificates, meta.VerbRotateServiceAccountKeys: StateRotatingKeys,
		meta.VerbRotateEncryptionKey: StateRotatingEncryption, meta.VerbRestore: StateRestoring,
	}[verb]
}

// ConditionTrue says whether a list of conditions holds one of a type that is true.
func ConditionTrue(conditions []metav1.Condition, conditionType string) bool {
	for _, c := range conditions {
		if c.Type == conditionType {
			return c.Status == metav1.ConditionTrue
		}
	}
	return false
}
