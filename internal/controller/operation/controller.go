// Package operation reconciles Operations, the records of deletes: one ends when
// its target is gone, Failed if that takes longer than its deadline. It also
// makes true what it records: a target that nobody marked yet is deleted here.
package operation

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	v1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/history"
)

// Retention is how long the object of an ended operation stays beside its
// record in the history.
const Retention = time.Hour

// History keeps ended operations.
type History interface {
	Get(id string) (history.Record, bool, error)
	Put(record history.Record) error
}

// Controller reconciles Operations.
type Controller struct {
	client  client.Client
	reader  client.Reader
	clock   clock.PassiveClock
	history History
}

// NewController makes the controller; reader reads the API server itself.
func NewController(c client.Client, reader client.Reader, clock clock.PassiveClock, history History) *Controller {
	return &Controller{client: c, reader: reader, clock: clock, history: history}
}

// Register adds the controller to a manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("operation").
		For(&v1alpha1.Operation{}).
		Watches(&containerservicev1.ManagedCluster{}, handler.EnqueueRequestsFromMapFunc(c.operationsOn("ManagedCluster"))).
		Watches(&v1alpha1.ResourceGroup{}, handler.EnqueueRequestsFromMapFunc(c.operationsOn("ResourceGroup"))).
		Watches(&networkv1.VirtualNetwork{}, handler.EnqueueRequestsFromMapFunc(c.operationsOn("VirtualNetwork"))).
		Watches(&networkv1.NetworkSecurityGroup{}, handler.EnqueueRequestsFromMapFunc(c.operationsOn("NetworkSecurityGroup"))).
		Watches(&networkv1.RouteTable{}, handler.EnqueueRequestsFromMapFunc(c.operationsOn("RouteTable"))).
		Watches(&networkv1.AddressReservation{}, handler.EnqueueRequestsFromMapFunc(c.operationsOn("AddressReservation"))).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 4,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// operationsOn maps a target to the operations on it.
func (c *Controller) operationsOn(kind string) handler.MapFunc {
	return func(ctx context.Context, object client.Object) []reconcile.Request {
		var operations v1alpha1.OperationList
		if err := c.client.List(ctx, &operations); err != nil {
			return nil // the cache is stopping
		}
		var requests []reconcile.Request
		for i := range operations.Items {
			target := operations.Items[i].Spec.Target
			if target.Kind == kind && target.Name == object.GetName() {
				requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&operations.Items[i])})
			}
		}
		return requests
	}
}

// Reconcile ends the operation when its target is gone.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	operation := &v1alpha1.Operation{}
	if err := c.client.Get(ctx, request.NamespacedName, operation); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	operation = operation.DeepCopy()
	if operation.Status.EndTime != nil {
		return c.expire(ctx, operation)
	}
	target, waits, err := c.target(ctx, operation.Spec.Target)
	if err != nil {
		return reconcile.Result{}, err
	}
	now := c.clock.Now()
	left := operation.Spec.Deadline.Sub(now)
	switch {
	case target == nil:
		return c.end(ctx, operation, nil, now)
	case left <= 0:
		return c.end(ctx, operation, &meta.Failure{Code: condition.Code(waits.Reason), Message: fmt.Sprintf(
			"the deletion was not done before its deadline and goes on in the background: %s", waits.Message)}, now)
	}
	if target.GetDeletionTimestamp() == nil {
		uid := types.UID(operation.Spec.Target.UID)
		err := c.client.Delete(ctx, target, client.Preconditions{UID: &uid})
		if client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return reconcile.Result{}, fmt.Errorf("deleting %s %s: %w", operation.Spec.Target.Kind, target.GetName(), err)
		}
	}
	original := operation.DeepCopy()
	operation.Status.Status, operation.Status.Message = meta.OperationInProgress, waits.Message
	if original.Status != operation.Status {
		if err := c.client.Status().Patch(ctx, operation, client.MergeFrom(original)); client.IgnoreNotFound(err) != nil {
			return reconcile.Result{}, fmt.Errorf("writing the status: %w", err)
		}
	}
	return reconcile.Result{RequeueAfter: left}, nil
}

// target reads the operation's target from the API server itself, nil if it is
// gone, with the condition that says what its deletion waits for.
func (c *Controller) target(ctx context.Context, target v1alpha1.Target) (client.Object, metav1.Condition, error) {
	waits := metav1.Condition{Message: "waiting for the deletion to begin"}
	var object client.Object
	var conditions *[]metav1.Condition
	switch target.Kind {
	case "ManagedCluster":
		cluster := &containerservicev1.ManagedCluster{}
		object, conditions = cluster, &cluster.Status.Conditions
	case "ResourceGroup":
		group := &v1alpha1.ResourceGroup{}
		object, conditions = group, &group.Status.Conditions
	case "VirtualNetwork":
		network := &networkv1.VirtualNetwork{}
		object, conditions = network, &network.Status.Conditions
	case "AddressReservation":
		reservation := &networkv1.AddressReservation{}
		object, conditions = reservation, &reservation.Status.Conditions
	case "NetworkSecurityGroup":
		object, conditions = &networkv1.NetworkSecurityGroup{}, &[]metav1.Condition{}
	case "RouteTable":
		object, conditions = &networkv1.RouteTable{}, &[]metav1.Condition{}
	default:
		return nil, waits, reconcile.TerminalError(fmt.Errorf("operation on unknown kind %q", target.Kind))
	}
	err := c.reader.Get(ctx, client.ObjectKey{Name: target.Name}, object)
	if apierrors.IsNotFound(err) || err == nil && string(object.GetUID()) != target.UID {
		return nil, waits, nil
	}
	if err != nil {
		return nil, waits, fmt.Errorf("reading %s %s: %w", target.Kind, target.Name, err)
	}
	if deleting := apimeta.FindStatusCondition(*conditions, containerservicev1.ConditionDeleting); deleting != nil {
		waits = *deleting
	}
	return object, waits, nil
}

// end records the end, first in the history, then in the object. A record that
// was written before a kill stays as it was written.
func (c *Controller) end(ctx context.Context, operation *v1alpha1.Operation, failure *meta.Failure, now time.Time) (reconcile.Result, error) {
	record := history.Record{
		ID: operation.Name, ResourceID: operation.Spec.ResourceID, Verb: operation.Spec.Verb,
		Status:    meta.OperationSucceeded,
		StartTime: operation.Spec.StartTime.Time, EndTime: now,
		Failure: failure, Caller: operation.Spec.Caller, CorrelationID: operation.Spec.CorrelationID,
	}
	if failure != nil {
		record.Status = meta.OperationFailed
	}
	if err := c.history.Put(record); err != nil {
		return reconcile.Result{}, fmt.Errorf("recording the end of operation %s: %w", operation.Name, err)
	}
	written, found, err := c.history.Get(operation.Name)
	if err != nil || !found {
		return reconcile.Result{}, fmt.Errorf("reading back operation %s (found: %t): %w", operation.Name, found, err)
	}
	original := operation.DeepCopy()
	ended := metav1.NewTime(written.EndTime)
	operation.Status = v1alpha1.OperationState{Status: written.Status, EndTime: &ended}
	if written.Failure != nil {
		operation.Status.Message = written.Failure.Message
	}
	if err := c.client.Status().Patch(ctx, operation, client.MergeFrom(original)); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("writing the status: %w", err)
	}
	return reconcile.Result{RequeueAfter: Retention}, nil
}

// expire deletes the object of an operation that ended long enough ago; its
// record stays in the history.
func (c *Controller) expire(ctx context.Context, operation *v1alpha1.Operation) (reconcile.Result, error) {
	if left := operation.Status.EndTime.Add(Retention).Sub(c.clock.Now()); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	if err := c.client.Delete(ctx, operation); client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("deleting ended operation %s: %w", operation.Name, err)
	}
	return reconcile.Result{}, nil
}
