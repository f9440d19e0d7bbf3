// Package agentpool reconciles AgentPools: it keeps exactly as many machines as
// the pool's profile says. All that a machine is (index, name, address, id
// range, one-time token) is chosen and stored here before anyone makes it.
//
// The record of a machine is its port in the virtual network: it is written
// first, with the machine's name, and removed last, so that whatever a kill
// leaves half made or half released is found by it.
package agentpool

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/controller/grant"
	"berth.dev/berth/internal/naming"
)

// Controller reconciles AgentPools.
type Controller struct {
	client client.Client
	reader client.Reader
	clock  clock.PassiveClock
	phases []phase
	grants grant.Revoker
	// readyTimeout is how long a new node has to become Ready.
	readyTimeout time.Duration
}

// phase brings the pool's machines nearer to what the profile says.
type phase interface {
	Reconcile(ctx context.Context, s *scope) error
}

// NewController makes the controller; reader reads the API server itself.
func NewController(c client.Client, reader client.Reader, clock clock.PassiveClock) *Controller {
	allocator := allocation.Allocator{Client: c, Reader: reader}
	return &Controller{client: c, reader: reader, clock: clock, readyTimeout: DefaultReadyTimeout, grants: grant.Revoker{Client: c, Reader: reader}, phases: []phase{
		&shrink{client: c, allocator: allocator},
		&grow{client: c, reader: reader, allocator: allocator},
		&power{client: c},
		&credentials{client: c, reader: reader},
	}}
}

// NodesReadyWithin changes how long a new node has to become Ready until a roll
// stops there; 0 changes nothing.
func (c *Controller) NodesReadyWithin(timeout time.Duration) *Controller {
	c.readyTimeout = cmp.Or(timeout, c.readyTimeout)
	return c
}

// Register adds the controller to a manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("agentpool").
		For(&v1alpha1.AgentPool{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Machine{}, handler.EnqueueRequestsFromMapFunc(poolOf)).
		// A pool's state follows from the cluster's running operations, which begin and end in its spec.
		Watches(&v1alpha1.ManagedCluster{}, handler.EnqueueRequestsFromMapFunc(poolsOf), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 8,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// poolOf maps a machine to its pool.
func poolOf(_ context.Context, object client.Object) []reconcile.Request {
	machine, ok := object.(*v1alpha1.Machine)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: machine.Spec.AgentPoolName}}}
}

// poolsOf maps a cluster to the pools that its spec has; the others are being
// deleted, and tell so themselves.
func poolsOf(_ context.Context, object client.Object) []reconcile.Request {
	cluster, ok := object.(*v1alpha1.ManagedCluster)
	if !ok {
		return nil
	}
	requests := make([]reconcile.Request, 0, len(cluster.Spec.AgentPools))
	for _, profile := range cluster.Spec.AgentPools {
		name := naming.AgentPool(profile.Name, profile.Incarnation)
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKey{Name: name}})
	}
	return requests
}

// Reconcile removes machines that are too many, makes those that are missing,
// and writes the status once.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	pool := &v1alpha1.AgentPool{}
	if err := c.client.Get(ctx, request.NamespacedName, pool); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	pool = pool.DeepCopy()
	if pool.DeletionTimestamp != nil && !controllerutil.ContainsFinalizer(pool, v1alpha1.AgentPoolFinalizer) {
		return reconcile.Result{}, nil
	}
	if pool.DeletionTimestamp == nil && controllerutil.AddFinalizer(pool, v1alpha1.AgentPoolFinalizer) {
		if err := c.client.Update(ctx, pool); err != nil {
			return conflict.Retry(reconcile.Result{}, fmt.Errorf("adding the finalizer: %w", err))
		}
	}
	s, err := readScope(ctx, c.client, c.reader, pool)
	if err != nil {
		return reconcile.Result{}, err
	}
	s.now, s.readyTimeout = c.clock.Now(), c.readyTimeout
	errs := []error{c.revoke(ctx, s)}
	for _, p := range c.phases {
		errs = append(errs, p.Reconcile(ctx, s))
	}
	err = errors.Join(errs...)
	if pool.DeletionTimestamp != nil && err == nil && len(s.slots) == 0 {
		controllerutil.RemoveFinalizer(pool, v1alpha1.AgentPoolFinalizer)
		return conflict.Retry(reconcile.Result{}, client.IgnoreNotFound(c.client.Update(ctx, pool)))
	}
	statusErr := c.writeStatus(ctx, s, err)
	result, err := conflict.Retry(reconcile.Result{}, errors.Join(err, client.IgnoreNotFound(statusErr)))
	if err == nil && result.RequeueAfter == 0 {
		result.RequeueAfter = s.next
		if result.RequeueAfter == 0 && len(s.slots) > 0 {
			result.RequeueAfter = lookEvery
		}
	}
	return result, err
}

// revoke takes away what was granted on a pool that is being deleted. A cluster
// that goes takes along what was granted below it. Once the pool has been made
// anew, under the same name, what is granted is granted on that one.
func (c *Controller) revoke(ctx context.Context, s *scope) error {
	name := s.pool.Spec.Profile.Name
	if s.pool.DeletionTimestamp == nil || s.cluster == nil || s.cluster.DeletionTimestamp != nil || s.cluster.AgentPool(name) != nil {
		return nil
	}
	return c.grants.Revoke(ctx, grant.AgentPool(s.cluster, name))
}

// stamp is what all conditions of one write have in common.
func (s *scope) stamp() condition.Stamp {
	return condition.Stamp{Generation: s.pool.Generation, Time: s.now}
}
