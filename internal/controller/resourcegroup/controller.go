// Package resourcegroup reconciles ResourceGroups: a group that is deleted takes
// all that lies in it along, and goes last.
package resourcegroup

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	managedidentityv1 "berth.dev/berth/api/managedidentity/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	v1alpha1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/controller/grant"
)

// Controller reconciles ResourceGroups.
type Controller struct {
	client client.Client
	reader client.Reader
	clock  clock.PassiveClock
}

// NewController makes the controller; reader reads the API server itself.
func NewController(c client.Client, reader client.Reader, clock clock.PassiveClock) *Controller {
	return &Controller{client: c, reader: reader, clock: clock}
}

// Register adds the controller to a manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("resourcegroup").
		For(&v1alpha1.ResourceGroup{}).
		Watches(&containerservicev1.ManagedCluster{}, handler.EnqueueRequestsFromMapFunc(c.groupOf)).
		Watches(&managedidentityv1.UserAssignedIdentity{}, handler.EnqueueRequestsFromMapFunc(c.groupOf)).
		Watches(&containerservicev1.Backup{}, handler.EnqueueRequestsFromMapFunc(c.groupOf)).
		Watches(&networkv1.VirtualNetwork{}, handler.EnqueueRequestsFromMapFunc(c.groupOf)).
		Watches(&networkv1.NetworkSecurityGroup{}, handler.EnqueueRequestsFromMapFunc(c.groupOf)).
		Watches(&networkv1.RouteTable{}, handler.EnqueueRequestsFromMapFunc(c.groupOf)).
		Watches(&networkv1.AddressReservation{}, handler.EnqueueRequestsFromMapFunc(c.groupOf)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 4,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// groupOf maps a resource to the group that it lies in.
func (c *Controller) groupOf(ctx context.Context, object client.Object) []reconcile.Request {
	var groups v1alpha1.ResourceGroupList
	if err := c.client.List(ctx, &groups); err != nil {
		return nil // the cache is stopping
	}
	var requests []reconcile.Request
	for i := range groups.Items {
		if holds(&groups.Items[i], object) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&groups.Items[i])})
		}
	}
	return requests
}

// holds says that a resource lies in a group; names in ARM have no case.
func holds(group *v1alpha1.ResourceGroup, object client.Object) bool {
	var subscriptionID, name string
	switch o := object.(type) {
	case networkv1.Object:
		return lies(group, o.Common().ResourceID)
	case *containerservicev1.ManagedCluster:
		subscriptionID, name = o.Spec.SubscriptionID, o.Spec.ResourceGroup
	case *containerservicev1.Backup:
		subscriptionID, name = o.Spec.SubscriptionID, o.Spec.ResourceGroup
	case *managedidentityv1.UserAssignedIdentity:
		subscriptionID, name = o.Spec.SubscriptionID, o.Spec.ResourceGroup
	}
	return strings.EqualFold(group.Spec.SubscriptionID, subscriptionID) && strings.EqualFold(group.Spec.Name, name)
}

// Reconcile holds a group by its finalizer, and empties one that is deleted.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	group := &v1alpha1.ResourceGroup{}
	if err := c.client.Get(ctx, request.NamespacedName, group); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	group = group.DeepCopy()
	if group.DeletionTimestamp != nil {
		return conflict.Retry(reconcile.Result{}, c.finalize(ctx, group))
	}
	if controllerutil.AddFinalizer(group, v1alpha1.ResourceGroupFinalizer) {
		return conflict.Retry(reconcile.Result{}, client.IgnoreNotFound(c.client.Update(ctx, group)))
	}
	return reconcile.Result{}, nil
}

// finalize deletes what lies in the group and lets the group go once it is
// empty. It reads the API server itself: a cluster that a cache has not seen yet
// would outlive its group.
func (c *Controller) finalize(ctx context.Context, group *v1alpha1.ResourceGroup) error {
	if !controllerutil.ContainsFinalizer(group, v1alpha1.ResourceGroupFinalizer) {
		return nil
	}
	var clusters containerservicev1.ManagedClusterList
	if err := c.reader.List(ctx, &clusters); err != nil {
		return fmt.Errorf("listing clusters: %w", err)
	}
	var left []string
	var errs []error
	for i := range clusters.Items {
		cluster := &clusters.Items[i]
		if !holds(group, cluster) {
			continue
		}
		left = append(left, cluster.Spec.Name)
		if cluster.DeletionTimestamp == nil {
			if err := c.client.Delete(ctx, cluster); client.IgnoreNotFound(err) != nil {
				errs = append(errs, fmt.Errorf("deleting cluster %s: %w", cluster.Name, err))
			}
		}
	}
	if len(left) > 0 {
		errs = append(errs, c.report(ctx, group, "waiting for the managed clusters "+strings.Join(left, ", ")+" to be deleted"))
		return errors.Join(errs...)
	}
	if waits, err := c.backups(ctx, group); waits != "" {
		return errors.Join(err, c.report(ctx, group, waits))
	} else if err != nil {
		return err
	}
	if waits, err := c.identities(ctx, group); waits != "" {
		return errors.Join(err, c.report(ctx, group, waits))
	} else if err != nil {
		return err
	}
	if waits, err := c.networks(ctx, group); waits != "" {
		return errors.Join(err, c.report(ctx, group, waits))
	} else if err != nil {
		return err
	}
	revoker := grant.Revoker{Client: c.client, Reader: c.reader}
	if err := revoker.Revoke(ctx, grant.Group(group.Spec.SubscriptionID, group.Spec.Name)); err != nil {
		return err
	}
	controllerutil.RemoveFinalizer(group, v1alpha1.ResourceGroupFinalizer)
	if err := c.client.Update(ctx, group); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("removing the finalizer: %w", err)
	}
	return nil
}

// identities deletes the group's identities, after the clusters that may act
// under them, and says which are left.
func (c *Controller) identities(ctx context.Context, group *v1alpha1.ResourceGroup) (waits string, err error) {
	var list managedidentityv1.UserAssignedIdentityList
	if err := c.reader.List(ctx, &list); err != nil {
		return "", fmt.Errorf("listing identities: %w", err)
	}
	var left []string
	var errs []error
	for i := range list.Items {
		identity := &list.Items[i]
		if !holds(group, identity) {
			continue
		}
		left = append(left, identity.Spec.Name)
		if identity.DeletionTimestamp == nil {
			if err := c.client.Delete(ctx, identity); client.IgnoreNotFound(err) != nil {
				errs = append(errs, fmt.Errorf("deleting identity %s: %w", identity.Name, err))
			}
		}
	}
	if len(left) == 0 {
		return "", nil
	}
	return "waiting for the identities " + strings.Join(left, ", ") + " to be deleted", errors.Join(errs...)
}

// report tells what the deletion waits for.
func (c *Controller) report(ctx context.Context, group *v1alpha1.ResourceGroup, message string) error {
	original := group.DeepCopy()
	condition.Stamp{Generation: group.Generation, Time: c.clock.Now()}.Set(&group.Status.Conditions,
		containerservicev1.ConditionDeleting, condition.Outcome{True: true, Reason: condition.ReasonDeleting, Message: message})
	if len(original.Status.Conditions) > 0 && original.Status.Conditions[0].Message == message {
		return nil
	}
	if err := c.client.Status().Patch(ctx, group, client.MergeFrom(original)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}
