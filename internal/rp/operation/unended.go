package operation

import (
	"context"
	"fmt"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
)

// PhaseQueued is the phase of an operation that waits to start.
const PhaseQueued = "Queued"

// Unended are the operations of a subscription that run or wait. clusters
// selects the clusters of the subscription.
func (s Store) Unended(ctx context.Context, subscriptionID string, clusters client.ListOption) ([]Operation, error) {
	var list containerservicev1alpha1.ManagedClusterList
	if err := s.Client.List(ctx, &list, clusters); err != nil {
		return nil, fmt.Errorf("reading the operations of clusters: %w", err)
	}
	var all []Operation
	for i := range list.Items {
		all = append(all, s.of(&list.Items[i])...)
	}
	var deletions resourcesv1alpha1.OperationList
	if err := s.Client.List(ctx, &deletions); err != nil {
		return nil, fmt.Errorf("reading deletions: %w", err)
	}
	prefix := strings.ToLower("/subscriptions/" + subscriptionID + "/")
	for i := range deletions.Items {
		operation := deletionOf(&deletions.Items[i])
		if !operation.Terminal() && strings.HasPrefix(strings.ToLower(operation.ResourceID), prefix) {
			all = append(all, operation)
		}
	}
	return all, nil
}

// of are the operations that run on a cluster, those that wait to, and their aborts.
func (s Store) of(cluster *containerservicev1alpha1.ManagedCluster) (all []Operation) {
	for i := range cluster.Spec.Operations {
		op := &cluster.Spec.Operations[i]
		result := Operation{
			ID: op.ID, ResourceID: s.ClusterID(cluster, op.Scope), Verb: op.Verb, Status: meta.OperationInProgress,
			StartTime: op.Asked().Time, Caller: op.Caller, CorrelationID: op.CorrelationID,
		}
		for _, progress := range cluster.Status.Progress {
			if progress.Scope == op.Scope {
				result.Phase, result.Message = progress.Phase, progress.Message
			}
		}
		all = append(all, result)
		if op.Abort != nil {
			all = append(all, result.abort(op.Abort,
				fmt.Sprintf("waiting for the operation %s (%s) to come to a point where it can give up", op.ID, op.Verb)))
		}
	}
	for i := range cluster.Spec.Queue {
		op := &cluster.Spec.Queue[i]
		result := Operation{
			ID: op.ID, ResourceID: s.ClusterID(cluster, op.Scope), Verb: op.Verb, Status: meta.OperationInProgress,
			StartTime: op.RequestTime.Time, Caller: op.Caller, CorrelationID: op.CorrelationID,
			Phase: PhaseQueued, Message: cluster.QueuedFor(op),
		}
		if result.Message == "" {
			result.Message = "about to start"
		}
		all = append(all, result)
		if op.Abort != nil {
			all = append(all, result.abort(op.Abort, "taking the operation "+op.ID+" out of the queue"))
		}
	}
	return all
}

// abort is the wish to end an operation, as an operation of its own.
func (o Operation) abort(wish *meta.AbortRequest, message string) Operation {
	return Operation{
		ID: wish.ID, ResourceID: o.ResourceID, Verb: meta.VerbAbort, Status: meta.OperationInProgress,
		StartTime: wish.StartTime.Time, Caller: wish.Caller, CorrelationID: wish.CorrelationID,
		Phase: "Canceling", Message: message,
	}
}

// deletionOf is the operation that an object of the management API stands for.
func deletionOf(object *resourcesv1alpha1.Operation) Operation {
	result := Operation{
		ID: object.Name, ResourceID: object.Spec.ResourceID, Verb: object.Spec.Verb, Status: object.Status.Status,
		StartTime: object.Spec.StartTime.Time, Caller: object.Spec.Caller, CorrelationID: object.Spec.CorrelationID,
	}
	if object.Status.EndTime != nil {
		result.EndTime = object.Status.EndTime.Time
	}
	switch result.Status {
	case "", meta.OperationInProgress:
		result.Status = meta.OperationInProgress
		result.Phase, result.Message = "Deleting", object.Status.Message
	case meta.OperationFailed, meta.OperationCanceled:
		result.Failure = &meta.Failure{Code: "OperationFailed", Message: object.Status.Message}
	}
	return result
}
