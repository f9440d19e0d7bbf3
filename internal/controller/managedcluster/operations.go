package managedcluster

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/history"
)

// CodeCanceled is the code of an operation that the cluster's deletion ended.
const CodeCanceled = "OperationPreempted"

// operations ends the running operations of a cluster: Succeeded when what they
// asked for is there, Canceled when they gave up on a caller's wish, Failed when
// their deadline has passed.
type operations struct {
	config Config
}

// ending is an operation with how it ended.
type ending struct {
	operation meta.RunningOperation
	record    history.Record
}

// end records what has ended and says when the next deadline is. A record that
// was written before a kill stays as it was written.
func (o *operations) end(ctx context.Context, s *scope) (ended []ending, next time.Duration, err error) {
	for _, operation := range s.cluster.Spec.Operations {
		phase, outcome := s.waitsFor(operation)
		var failure *meta.Failure
		switch left := operation.Deadline.Sub(s.now); {
		case outcome.True && s.cluster.Generation >= operation.Generation:
			failure = cmp.Or(s.verdict(operation), s.restoreFailure(operation))
		case operation.Abort != nil && s.gaveUp(operation.Scope) == "":
			failure = aborted(operation)
		case operation.Abort == nil && s.blocked(operation) != nil:
			failure = s.blocked(operation)
		case left <= 0:
			failure = &meta.Failure{Code: condition.Code(outcome.Reason), Message: fmt.Sprintf(
				"the operation did not reach %s before its deadline and goes on in the background: %s", phase, outcome.Message)}
		default:
			if next == 0 || left < next {
				next = left
			}
			if _, found, err := o.config.History.Get(operation.ID); err != nil {
				return nil, 0, fmt.Errorf("looking up operation %s: %w", operation.ID, err)
			} else if !found {
				continue
			}
		}
		record, err := o.record(s.cluster, operation, failure, s.now)
		if err != nil {
			return nil, 0, err
		}
		if err := o.recordAbort(s.cluster, operation, record); err != nil {
			return nil, 0, err
		}
		ended = append(ended, ending{operation: operation, record: record})
		if err := o.tellPools(ctx, s, operation, record.Failure); err != nil {
			return nil, 0, err
		}
	}
	return ended, next, nil
}

// record puts the end of an operation into the history and returns what the
// history then says.
func (o *operations) record(cluster *v1alpha1.ManagedCluster, operation meta.RunningOperation, failure *meta.Failure, now time.Time) (history.Record, error) {
	record := history.Record{
		ID: operation.ID, ResourceID: resourceID(cluster, operation.Scope), Verb: operation.Verb,
		Status:    meta.OperationSucceeded,
		StartTime: operation.Asked().Time, EndTime: now,
		Failure: failure, Caller: operation.Caller, CorrelationID: operation.CorrelationID,
	}
	switch {
	case failure != nil && (failure.Code == CodeCanceled || failure.Code == CodeAborted):
		record.Status = meta.OperationCanceled
	case failure != nil:
		record.Status = meta.OperationFailed
	}
	if err := o.config.History.Put(record); err != nil {
		return record, fmt.Errorf("recording the end of operation %s: %w", operation.ID, err)
	}
	written, found, err := o.config.History.Get(operation.ID)
	if err != nil || !found {
		return record, fmt.Errorf("reading back the end of operation %s (found: %t): %w", operation.ID, found, err)
	}
	return written, nil
}

// tellPools writes into the pools why their last operation failed, or that the
// last one succeeded. An operation on the whole cluster speaks for every pool:
// those that are ready have not failed.
func (o *operations) tellPools(ctx context.Context, s *scope, operation meta.RunningOperation, failure *meta.Failure) error {
	if failure != nil && failure.Code == CodeAborted {
		return nil // to give up is no failure, and takes none away
	}
	for _, pool := range s.pools {
		name := pool.Spec.Profile.Name
		verdict := failure
		switch {
		case operation.Scope != meta.ScopeCluster && operation.Scope != name:
			continue
		case operation.Scope == meta.ScopeCluster && poolOutcome(s, name).True:
			verdict = nil
		}
		if equality.Semantic.DeepEqual(pool.Status.Failure, verdict) {
			continue
		}
		changed := pool.DeepCopy()
		changed.Status.Failure = verdict
		err := o.config.Client.Status().Patch(ctx, changed, client.MergeFrom(pool))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("telling agent pool %s how operation %s ended: %w", pool.Name, operation.ID, err)
		}
	}
	return nil
}

// drop removes ended operations from the spec and remembers those that gave up, under the resourceVersion of the
// status that told their end.
func (o *operations) drop(ctx context.Context, cluster *v1alpha1.ManagedCluster, ended []ending) error {
	if len(ended) == 0 {
		return nil
	}
	takeOut(cluster, ended)
	if err := o.config.Client.Update(ctx, cluster); err != nil {
		return fmt.Errorf("dropping ended operations: %w", err)
	}
	return nil
}

// cancel ends every running and every queued operation of a cluster that is being deleted.
func (o *operations) cancel(ctx context.Context, cluster *v1alpha1.ManagedCluster, now time.Time) error {
	var ended []ending
	for _, operation := range append(slices.Clone(cluster.Spec.Operations), queued(cluster)...) {
		record, err := o.record(cluster, operation, &meta.Failure{
			Code: CodeCanceled, Message: "the operation was canceled because the cluster is being deleted",
		}, now)
		if err != nil {
			return err
		}
		if err := o.recordAbort(cluster, operation, record); err != nil {
			return err
		}
		ended = append(ended, ending{operation: operation, record: record})
	}
	return o.drop(ctx, cluster, ended)
}

// queued are the queued operations of a cluster as if they ran, to be ended.
func queued(cluster *v1alpha1.ManagedCluster) (operations []meta.RunningOperation) {
	for _, q := range cluster.Spec.Queue {
		operations = append(operations, meta.RunningOperation{
			Scope: q.Scope, ID: q.ID, Verb: q.Verb, StartTime: q.RequestTime, Caller: q.Caller, CorrelationID: q.CorrelationID, Abort: q.Abort,
		})
	}
	return operations
}

// resourceID is the ARM id of what a scope stands for.
func resourceID(cluster *v1alpha1.ManagedCluster, scope string) string {
	id := fmt.Sprintf("/subscriptions/%s/resourceGroups/%s/providers/Microsoft.ContainerService/managedClusters/%s",
		cluster.Spec.SubscriptionID, cluster.Spec.ResourceGroup, cluster.Spec.Name)
	if scope == meta.ScopeCluster {
		return id
	}
	return id + "/agentPools/" + scope
}
