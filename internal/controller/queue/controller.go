// Package queue starts operations on pools that were queued behind others. It
// asks for each as its caller would, once nothing stands in its way: what is
// refused then ends Failed with the reason, and what is aborted before ends
// Canceled. One write takes an operation out of the queue and starts it; one that
// ends unstarted is in the history before it leaves the queue. It starts nothing
// that the history has, so that a kill between the two changes no end.
package queue

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/history"
)

// lookAgain is how soon what could not be judged is tried again.
const lookAgain = 5 * time.Second

// codeAborted is the code of an operation that was aborted before it started.
const codeAborted = "Canceled"

// Runner asks for queued operations.
type Runner interface {
	// RunQueued asks for one anew, in one write that takes it out of the queue.
	// started is false if nothing was to be done, or if something stands in its
	// way: then waits says so. It fails with an *arm.Error if it is refused.
	RunQueued(ctx context.Context, cluster *v1alpha1.ManagedCluster, queued meta.QueuedOperation) (started, waits bool, err error)
}

// History keeps how operations ended; the first that is put stays.
type History interface {
	Get(id string) (history.Record, bool, error)
	Put(record history.Record) error
}

// Config is what the controller works with.
type Config struct {
	Client  client.Client
	Clock   clock.PassiveClock
	History History
	Runner  Runner
	// ResourceID is the ARM id of the pool that a scope of a cluster names.
	ResourceID func(cluster *v1alpha1.ManagedCluster, scope string) string
}

// Controller sees to the queues of ManagedClusters.
type Controller struct{ config Config }

// NewController makes the controller.
func NewController(config Config) *Controller { return &Controller{config: config} }

// Register adds the controller to a manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("queue").
		// Operations come and go in the spec.
		For(&v1alpha1.ManagedCluster{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 2,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// Reconcile sees to the first operation that something can be done about. What
// it writes wakes it for the next. The queue of a cluster that is being deleted
// is ended by whoever ends its running operations.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cluster := &v1alpha1.ManagedCluster{}
	if err := c.config.Client.Get(ctx, request.NamespacedName, cluster); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if cluster.DeletionTimestamp != nil || len(cluster.Spec.Queue) == 0 {
		return reconcile.Result{}, nil
	}
	cluster = cluster.DeepCopy()
	for i := range cluster.Spec.Queue {
		if done, err := c.see(ctx, cluster, &cluster.Spec.Queue[i]); done || err != nil {
			var refused *arm.Error
			if errors.As(err, &refused) { // the service itself cannot tell now
				return reconcile.Result{RequeueAfter: lookAgain}, nil
			}
			return conflict.Retry(reconcile.Result{}, err)
		}
	}
	return reconcile.Result{}, nil
}

// see starts or ends one operation; done is false if it waits.
func (c *Controller) see(ctx context.Context, cluster *v1alpha1.ManagedCluster, queued *meta.QueuedOperation) (done bool, err error) {
	if _, ended, err := c.config.History.Get(queued.ID); err != nil {
		return false, fmt.Errorf("looking up operation %s: %w", queued.ID, err)
	} else if ended {
		return true, c.drop(ctx, cluster, queued.ID)
	}
	if queued.Abort != nil {
		return true, c.cancel(ctx, cluster, queued)
	}
	if cluster.QueuedFor(queued) != "" {
		return false, nil
	}
	started, waits, err := c.config.Runner.RunQueued(ctx, cluster, *queued)
	var refused *arm.Error
	switch {
	case waits:
		return false, nil
	case errors.As(err, &refused) && refused.Status < http.StatusInternalServerError:
		return true, c.end(ctx, cluster, queued, meta.OperationFailed, &meta.Failure{Code: refused.Code, Message: refused.Message})
	case err != nil:
		return true, fmt.Errorf("starting the queued operation %s: %w", queued.ID, err)
	case !started: // there is nothing to do any more
		return true, c.end(ctx, cluster, queued, meta.OperationSucceeded, nil)
	default:
		return true, nil
	}
}

// cancel ends an operation that was aborted before it started, and its abort.
func (c *Controller) cancel(ctx context.Context, cluster *v1alpha1.ManagedCluster, queued *meta.QueuedOperation) error {
	abort := c.record(cluster, queued, meta.OperationSucceeded, nil)
	abort.ID, abort.Verb, abort.StartTime = queued.Abort.ID, meta.VerbAbort, queued.Abort.StartTime.Time
	abort.Caller, abort.CorrelationID = queued.Abort.Caller, queued.Abort.CorrelationID
	if err := c.config.History.Put(abort); err != nil {
		return fmt.Errorf("recording the end of abort %s: %w", abort.ID, err)
	}
	return c.end(ctx, cluster, queued, meta.OperationCanceled, &meta.Failure{Code: codeAborted, Message: fmt.Sprintf(
		"the operation was aborted by operation %s before it started: nothing was changed", queued.Abort.ID)})
}

// end records how an operation ended that does not start, and then drops it.
func (c *Controller) end(ctx context.Context, cluster *v1alpha1.ManagedCluster, queued *meta.QueuedOperation, status meta.OperationStatus, failure *meta.Failure) error {
	if err := c.config.History.Put(c.record(cluster, queued, status, failure)); err != nil {
		return fmt.Errorf("recording the end of operation %s: %w", queued.ID, err)
	}
	return c.drop(ctx, cluster, queued.ID)
}

func (c *Controller) record(cluster *v1alpha1.ManagedCluster, queued *meta.QueuedOperation, status meta.OperationStatus, failure *meta.Failure) history.Record {
	return history.Record{
		ID: queued.ID, ResourceID: c.config.ResourceID(cluster, queued.Scope), Verb: queued.Verb, Status: status,
		StartTime: queued.RequestTime.Time, EndTime: c.config.Clock.Now(), Failure: failure,
		Caller: queued.Caller, CorrelationID: queued.CorrelationID,
	}
}

// drop takes an operation out of the queue that is in the history.
func (c *Controller) drop(ctx context.Context, cluster *v1alpha1.ManagedCluster, id string) error {
	cluster.Spec.Queue = slices.DeleteFunc(cluster.Spec.Queue, func(q meta.QueuedOperation) bool { return q.ID == id })
	if err := c.config.Client.Update(ctx, cluster); err != nil {
		return fmt.Errorf("taking operation %s out of the queue: %w", id, err)
	}
	return nil
}
