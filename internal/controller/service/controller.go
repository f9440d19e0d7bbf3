// Package service serves the tenants' services of type LoadBalancer: each gets a
// address, public or inside the virtual network, and a frontend in the LoadBalancer
// of its cluster, whose backends are the cluster's ready nodes. What cannot be had
// (SCTP, IPv6, another's address) is refused with an event in the tenant, never
// served half.
package service

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/tenant"
)

// Finalizer holds a service until its address is given back. It is the field's
// own name, so that nothing else mistakes it.
const Finalizer = "service.kubernetes.io/load-balancer-cleanup"

// unavailableRetry is the interval at which addresses that could not be had are asked for again.
const unavailableRetry = 10 * time.Second

// Tenants finds connected tenants.
type Tenants interface {
	Get(cluster string) (*tenant.Tenant, bool)
}

// Config is what the controller works with.
type Config struct {
	// Client writes and reads the cache; Reader reads the API server itself.
	Client  client.Client
	Reader  client.Reader
	Clock   clock.PassiveClock
	Tenants Tenants
	// Permissions says which public addresses of callers a cluster may use.
	Permissions Permissions
	Metrics     Metrics
	// Parallel is how many services of a cluster are written at a time, 1 if it is less.
	Parallel int
}

// Controller serves all services of one cluster at a time: they share one
// LoadBalancer object.
type Controller struct {
	config    Config
	allocator allocation.Allocator
	// unannounced are the services that were told their addresses and have no event
	// that says so yet.
	unannounced unannounced
}

// NewController makes the controller.
func NewController(config Config) *Controller {
	return &Controller{
		config:    config,
		allocator: allocation.Allocator{Client: config.Client, Reader: config.Reader},
	}
}

// Register adds the controller to a manager, fed by the tenants.
func (c *Controller) Register(manager ctrl.Manager, tenants *tenant.Registry) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("service").
		Watches(&networkv1.LoadBalancer{}, handler.EnqueueRequestsFromMapFunc(c.clusterOfBalancer)).
		Watches(&containerservicev1.Machine{}, handler.EnqueueRequestsFromMapFunc(clusterOfMachine)).
		WatchesRawSource(tenants.Source(tenant.Services, clusterOf)).
		WatchesRawSource(tenants.Source(tenant.Nodes, clusterOf)).
		WatchesRawSource(tenants.Source(tenant.EndpointSlices, clusterOf)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 8,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

func clusterOf(_ context.Context, event tenant.Event) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: event.Cluster}}}
}

func clusterOfMachine(_ context.Context, object client.Object) []reconcile.Request {
	machine, ok := object.(*containerservicev1.Machine)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: machine.Spec.ClusterName}}}
}

// clusterOfBalancer maps a balancer to its cluster, by the network of both.
func (c *Controller) clusterOfBalancer(ctx context.Context, object client.Object) []reconcile.Request {
	balancer, ok := object.(*networkv1.LoadBalancer)
	if !ok {
		return nil
	}
	vnet := &networkv1.VirtualNetwork{}
	if err := c.config.Client.Get(ctx, client.ObjectKey{Name: balancer.Spec.VirtualNetworkName}, vnet); err != nil {
		return nil // the network goes with the balancer
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: vnet.Spec.ClusterName}}}
}

// Reconcile brings the frontends of a cluster in line with its services, and
// the services' status in line with what is programmed.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	s, err := c.readScope(ctx, request.Name)
	if err != nil {
		return reconcile.Result{}, err
	}
	if s == nil {
		c.unannounced.forget(request.Name)
		return reconcile.Result{}, nil
	}
	var errs []error
	for _, step := range []func(context.Context, *scope) error{c.claim, c.program, c.publish, c.release, c.announce} {
		if err := step(ctx, s); err != nil {
			errs = append(errs, err)
		}
	}
	return conflict.Retry(reconcile.Result{RequeueAfter: s.again}, errors.Join(errs...))
}

// readScope reads the cluster with its tenant's services; nil while it is not
// connected, or once it is being deleted: then all goes with the cluster.
func (c *Controller) readScope(ctx context.Context, name string) (*scope, error) {
	t, ok := c.config.Tenants.Get(name)
	if !ok {
		return nil, nil
	}
	cluster := &containerservicev1.ManagedCluster{}
	if err := c.config.Reader.Get(ctx, client.ObjectKey{Name: name}, cluster); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if cluster.DeletionTimestamp != nil || cluster.Spec.Incarnation != t.Incarnation {
		return nil, nil
	}
	for _, kind := range []tenant.Kind{tenant.Services, tenant.Nodes} {
		if filled, err := t.Follow(ctx, kind); err != nil || !filled {
			return nil, err
		}
	}
	s := &scope{
		cluster: cluster, tenant: t, now: c.config.Clock.Now(),
		owner: allocation.Owner{Name: cluster.Name, Incarnation: cluster.Spec.Incarnation},
		pool:  sync.OnceValues(func() (*allocation.Pool, error) { return c.allocator.Pool(ctx, naming.LocalHost) }),
	}
	var services corev1.ServiceList
	if err := t.Reader.List(ctx, &services); err != nil {
		return nil, fmt.Errorf("listing services: %w", err)
	}
	for i := range services.Items {
		if concerns(&services.Items[i]) {
			b := &balanced{service: &services.Items[i]}
			b.wish, b.refused = readWish(b.service)
			s.services = append(s.services, b)
		}
	}
	balancer := &networkv1.LoadBalancer{}
	err := c.config.Reader.Get(ctx, client.ObjectKey{Name: cluster.Spec.Incarnation}, balancer)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the load balancer: %w", err)
	}
	s.found(balancer)
	return s, errors.Join(c.readClaims(ctx, s), c.readBackends(ctx, s))
}
