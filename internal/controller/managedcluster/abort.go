package managedcluster

import (
	"fmt"
	"slices"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/history"
)

// CodeAborted is the code of an operation that gave up on a caller's wish.
const CodeAborted = "Canceled"

// codeNotAborted is the code of an abort that came too late.
const codeNotAborted = "OperationNotAllowed"

// finishFirst says that a phase is in the middle of something that cannot be
// left as it is: the cluster's operation does not give up before.
func (s *scope) finishFirst(what string) { s.unsafe = what }

// givesUp says that the phases of the whole cluster are to begin nothing new.
func (s *scope) givesUp() bool { return s.cluster.GivesUp(meta.ScopeCluster) }

// gaveUp says what an aborted operation still has to bring to a safe point; ""
// once it can end. The cluster's phases saw the abort before this is asked. A
// pool's controller tells that it saw it, and is at a safe point, by the
// generation that it observed.
func (s *scope) gaveUp(scope string) (waits string) {
	if scope == meta.ScopeCluster && s.unsafe != "" {
		return s.unsafe
	}
	if !s.poolsKnown {
		return "the agent pools to be read"
	}
	for _, pool := range s.pools {
		name := pool.Spec.Profile.Name
		if scope != meta.ScopeCluster && scope != name || pool.DeletionTimestamp != nil {
			continue
		}
		if pool.Spec.ClusterGeneration < wantedGeneration(s.cluster, name) ||
			pool.Status.ObservedClusterGeneration < pool.Spec.ClusterGeneration {
			return "agent pool " + name + " to come to a safe point"
		}
	}
	return ""
}

// aborted is how an operation ends that gave up.
func aborted(operation meta.RunningOperation) *meta.Failure {
	return &meta.Failure{Code: CodeAborted, Message: fmt.Sprintf(
		"the operation was aborted by operation %s: what exists is kept, and the next update, start or stop goes on from there", operation.Abort.ID)}
}

// recordAbort puts the end of an abort into the history, by how the operation
// ended that it was to end.
func (o *operations) recordAbort(cluster *v1alpha1.ManagedCluster, operation meta.RunningOperation, of history.Record) error {
	if operation.Abort == nil {
		return nil
	}
	record := history.Record{
		ID: operation.Abort.ID, ResourceID: of.ResourceID, Verb: meta.VerbAbort, Status: meta.OperationSucceeded,
		StartTime: operation.Abort.StartTime.Time, EndTime: of.EndTime,
		Caller: operation.Abort.Caller, CorrelationID: operation.Abort.CorrelationID,
	}
	if of.Status != meta.OperationCanceled {
		record.Status = meta.OperationFailed
		record.Failure = &meta.Failure{Code: codeNotAborted, Message: fmt.Sprintf(
			"the operation %s had ended %s before it could be aborted", operation.ID, of.Status)}
	}
	if err := o.config.History.Put(record); err != nil {
		return fmt.Errorf("recording the end of abort %s: %w", record.ID, err)
	}
	return nil
}

// takeOut removes ended operations from a cluster and remembers those that gave up.
func takeOut(cluster *v1alpha1.ManagedCluster, ended []ending) {
	for _, e := range ended {
		cluster.Spec.Operations = remove(cluster.Spec.Operations, e.operation.ID)
		cluster.Spec.Queue = slices.DeleteFunc(cluster.Spec.Queue, func(q meta.QueuedOperation) bool { return q.ID == e.operation.ID })
		if !e.gaveUp() {
			continue
		}
		cluster.Spec.Aborted = slices.DeleteFunc(cluster.Spec.Aborted, func(a meta.AbortedOperation) bool { return a.Scope == e.operation.Scope })
		cluster.Spec.Aborted = append(cluster.Spec.Aborted, meta.AbortedOperation{
			Scope: e.operation.Scope, ID: e.operation.ID, Verb: e.operation.Verb,
		})
	}
}

// gaveUp says that the operation ended because it was aborted.
func (e ending) gaveUp() bool { return e.record.Failure != nil && e.record.Failure.Code == CodeAborted }
