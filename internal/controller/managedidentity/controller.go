// Package managedidentity reconciles UserAssignedIdentities: one that is
// deleted goes once the roles that were given to it and on it are gone.
package managedidentity

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/managedidentity/v1alpha1"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/controller/grant"
)

// Controller reconciles UserAssignedIdentities.
type Controller struct {
	client  client.Client
	revoker grant.Revoker
}

// NewController makes the controller; reader reads the API server itself.
func NewController(c client.Client, reader client.Reader) *Controller {
	return &Controller{client: c, revoker: grant.Revoker{Client: c, Reader: reader}}
}

// Register adds the controller to a manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("managedidentity").
		For(&v1alpha1.UserAssignedIdentity{}).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 2,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// Reconcile lets an identity go that is being deleted.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	identity := &v1alpha1.UserAssignedIdentity{}
	if err := c.client.Get(ctx, request.NamespacedName, identity); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if identity.DeletionTimestamp == nil || !controllerutil.ContainsFinalizer(identity, v1alpha1.UserAssignedIdentityFinalizer) {
		return reconcile.Result{}, nil
	}
	identity = identity.DeepCopy()
	if err := c.revoker.Revoke(ctx, grant.Identity(identity), identity.Spec.PrincipalID); err != nil {
		return reconcile.Result{}, err
	}
	controllerutil.RemoveFinalizer(identity, v1alpha1.UserAssignedIdentityFinalizer)
	if err := c.client.Update(ctx, identity); client.IgnoreNotFound(err) != nil {
		return conflict.Retry(reconcile.Result{}, fmt.Errorf("removing the finalizer: %w", err))
	}
	return reconcile.Result{}, nil
}
