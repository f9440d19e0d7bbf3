package v1alpha1

import (
	"fmt"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// MaxQueue is how many operations of a cluster can be queued at a time.
const MaxQueue = 10

// Queued is the operation that was queued last in a scope, nil if none is.
func (c *ManagedCluster) Queued(scope string) *meta.QueuedOperation {
	for i := len(c.Spec.Queue) - 1; i >= 0; i-- {
		if c.Spec.Queue[i].Scope == scope {
			return &c.Spec.Queue[i]
		}
	}
	return nil
}

// QueuedFor says what a queued operation waits for, "" if nothing stands in its way.
func (c *ManagedCluster) QueuedFor(queued *meta.QueuedOperation) (why string) {
	for _, running := range c.Spec.Operations {
		switch running.Scope {
		case meta.ScopeCluster:
			why = fmt.Sprintf("waiting for the end of the operation %s on the managed cluster (id %s)", running.Verb, running.ID)
		case queued.Scope:
			why = fmt.Sprintf("waiting for the end of the operation %s on the agent pool '%s' (id %s)", running.Verb, running.Scope, running.ID)
		}
	}
	for _, other := range c.Spec.Queue {
		if other.ID == queued.ID {
			break
		}
		if other.Scope == queued.Scope {
			why = fmt.Sprintf("waiting for the operation %s on the agent pool '%s' (id %s), which was queued before", other.Verb, other.Scope, other.ID)
		}
	}
	return why
}
