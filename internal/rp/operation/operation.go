// Package operation reads asynchronous operations wherever they lie (in a
// cluster's spec while they run, in an Operation object while a resource is
// being deleted, in the history once they ended) and starts the deletions. It
// ends none: controllers do.
package operation

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	resourcesv1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/history"
)

// Timeout is how long an operation may run before it ends Failed.
const Timeout = time.Hour

// Operation is one operation, wherever it was found.
type Operation struct {
	ID, ResourceID     string
	Verb               meta.Verb
	Status             meta.OperationStatus
	StartTime, EndTime time.Time
	// Phase and Message say where a running operation is.
	Phase, Message string
	// Failure says why it failed.
	Failure *meta.Failure
	// Caller is the object id of the principal that asked; CorrelationID ties the
	// operation to the request.
	Caller, CorrelationID string
}

// Terminal says whether the operation has ended.
func (o Operation) Terminal() bool { return o.Status != meta.OperationInProgress }

// History has the ended operations.
type History interface {
	Get(id string) (record history.Record, found bool, err error)
}

// Store finds and starts operations.
type Store struct {
	Client  client.Client
	History History
	Now     func() time.Time
	// ClusterID is the ARM id of a cluster, or of one of its pools if the scope names one.
	ClusterID func(cluster *containerservicev1alpha1.ManagedCluster, scope string) string
}

// Label is the label that a cluster carries for a running operation, so that
// a poll reads one object and not all clusters.
func Label(id string) string { return "operations.berth.dev/" + id }

// Find finds an operation. It looks where operations are before where they
// end up: a controller records the end before it drops the operation, so none
// is missed on the way.
func (s Store) Find(ctx context.Context, id string) (Operation, error) {
	if _, err := uuid.Parse(id); err != nil {
		return Operation{}, notFound(id)
	}
	for _, find := range []func(context.Context, string) (Operation, bool, error){s.running, s.deletion, s.ended} {
		operation, found, err := find(ctx, id)
		if err != nil {
			return Operation{}, fmt.Errorf("finding operation %s: %w", id, err)
		}
		if found {
			return operation, nil
		}
	}
	return Operation{}, notFound(id)
}

func notFound(id string) error {
	return arm.NewError(http.StatusNotFound, "OperationNotFound", "The operation '%.64s' was not found: operations can be polled until %s after their end.",
		id, "7 days")
}

func (s Store) running(ctx context.Context, id string) (Operation, bool, error) {
	var list containerservicev1alpha1.ManagedClusterList
	if err := s.Client.List(ctx, &list, client.HasLabels{Label(id)}); err != nil {
		return Operation{}, false, err
	}
	for i := range list.Items {
		for _, operation := range s.of(&list.Items[i]) {
			if strings.EqualFold(operation.ID, id) {
				return operation, true, nil
			}
		}
	}
	return Operation{}, false, nil
}

func (s Store) deletion(ctx context.Context, id string) (Operation, bool, error) {
	var object resourcesv1alpha1.Operation
	err := s.Client.Get(ctx, client.ObjectKey{Name: strings.ToLower(id)}, &object)
	if apierrors.IsNotFound(err) {
		return Operation{}, false, nil
	}
	if err != nil {
		return Operation{}, false, err
	}
	return deletionOf(&object), true, nil
}

func (s Store) ended(_ context.Context, id string) (Operation, bool, error) {
	record, found, err := s.History.Get(strings.ToLower(id))
	if err != nil || !found {
		return Operation{}, false, err
	}
	return Operation{
		ID: record.ID, ResourceID: record.ResourceID, Verb: record.Verb, Status: record.Status,
		StartTime: record.StartTime, EndTime: record.EndTime, Failure: record.Failure, Caller: record.Caller,
		CorrelationID: record.CorrelationID,
	}, true, nil
}

// Delete starts the deletion of an object: first the Operation, which outlives
// it, then the deletion itself. A second call joins the running operation, and
// finishes what a first one that was cut off between the two steps began.
func (s Store) Delete(ctx context.Context, r *arm.Request, id string, target resourcesv1alpha1.Target, object client.Object) (string, error) {
	name, err := s.runningDeletion(ctx, target)
	if err != nil {
		return "", err
	}
	if name == "" {
		now := metav1.NewTime(s.Now())
		operation := &resourcesv1alpha1.Operation{
			ObjectMeta: metav1.ObjectMeta{Name: uuid.NewString()},
			Spec: resourcesv1alpha1.OperationSpec{
				ResourceID: id, Target: target, Verb: meta.VerbDelete, StartTime: now,
				Deadline: metav1.NewTime(now.Add(Timeout)), Caller: r.Principal.ObjectID, CorrelationID: r.CorrelationID,
			},
		}
		if err := s.Client.Create(ctx, operation); err != nil {
			return "", fmt.Errorf("storing the deletion of %s: %w", id, err)
		}
		name = operation.Name
	}
	uid := object.GetUID()
	err = s.Client.Delete(ctx, object, client.Preconditions{UID: &uid})
	if err != nil && !apierrors.IsNotFound(err) {
		return "", fmt.Errorf("deleting %s: %w", id, err)
	}
	return name, nil
}

func (s Store) runningDeletion(ctx context.Context, target resourcesv1alpha1.Target) (string, error) {
	var list resourcesv1alpha1.OperationList
	if err := s.Client.List(ctx, &list); err != nil {
		return "", fmt.Errorf("reading operations: %w", err)
	}
	for _, operation := range list.Items {
		status := operation.Status.Status
		if operation.Spec.Target == target && (status == "" || status == meta.OperationInProgress) {
			return operation.Name, nil
		}
	}
	return "", nil
}
