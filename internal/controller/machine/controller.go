// Package machine reconciles the tenant's side of Machines: the bootstrap token
// that a machine joins with, and the Kubernetes node that it becomes. The
// machine's host side is the host agent's; both write conditions into one
// status, each its own.
package machine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/controller/fleet"
	"berth.dev/berth/internal/tenant"
)

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
}

// Controller reconciles Machines.
type Controller struct {
	config    Config
	allocator allocation.Allocator
	phases    []phase
}

// phase brings one part of the tenant's side nearer to what the machine says.
type phase interface {
	Reconcile(ctx context.Context, s *scope) (reconcile.Result, error)
}

// NewController makes the controller.
func NewController(config Config) *Controller {
	return &Controller{
		config:    config,
		allocator: allocation.Allocator{Client: config.Client, Reader: config.Reader},
		phases: []phase{
			&node{},
			&drain{endpoints: &endpoints{client: config.Client, answered: map[string]string{}}},
			&bootstrapped{},
			&token{config: config, stored: map[string]time.Time{}},
		},
	}
}

// Register adds the controller to a manager, fed by the tenants' nodes and
// certificate requests.
func (c *Controller) Register(manager ctrl.Manager, tenants *tenant.Registry) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("machine").
		For(&v1alpha1.Machine{}).
		Watches(&v1alpha1.ManagedCluster{}, handler.EnqueueRequestsFromMapFunc(c.machinesOfCluster),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.AgentPool{}, handler.EnqueueRequestsFromMapFunc(c.machinesOfPool),
			builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(tenants.Source(tenant.Nodes, c.machinesOfNode)).
		WatchesRawSource(tenants.Source(tenant.CertificateRequests, c.machinesOfRequest)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 8,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// Reconcile runs every phase that can go on and writes the status once.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	machine := &v1alpha1.Machine{}
	if err := c.config.Client.Get(ctx, request.NamespacedName, machine); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	s, err := c.newScope(ctx, machine.DeepCopy())
	if err != nil {
		return reconcile.Result{}, err
	}
	if machine.DeletionTimestamp != nil {
		return conflict.Retry(reconcile.Result{}, c.finalize(ctx, s))
	}
	var result reconcile.Result
	var errs []error
	for _, p := range c.phases {
		r, err := p.Reconcile(ctx, s)
		if r.RequeueAfter > 0 {
			result = r
		}
		errs = append(errs, err)
	}
	if left := s.registers(); left > 0 {
		result.RequeueAfter = left
	} else {
		errs = append(errs, client.IgnoreNotFound(c.writeStatus(ctx, s)))
	}
	return conflict.Retry(result, errors.Join(errs...))
}

// newScope finds the cluster, the pool and the tenant of a machine.
func (c *Controller) newScope(ctx context.Context, machine *v1alpha1.Machine) (*scope, error) {
	s := &scope{machine: machine, now: c.config.Clock.Now()}
	cluster := &v1alpha1.ManagedCluster{}
	switch err := c.config.Client.Get(ctx, client.ObjectKey{Name: machine.Spec.ClusterName}, cluster); {
	case err == nil:
		s.cluster = cluster
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("reading the cluster: %w", err)
	}
	pool := &v1alpha1.AgentPool{}
	switch err := c.config.Client.Get(ctx, client.ObjectKey{Name: machine.Spec.AgentPoolName}, pool); {
	case err == nil:
		s.pool = pool
	case client.IgnoreNotFound(err) != nil:
		return nil, fmt.Errorf("reading the agent pool: %w", err)
	}
	if t, ok := c.config.Tenants.Get(machine.Spec.ClusterName); ok && s.cluster != nil && t.Incarnation == s.cluster.Spec.Incarnation {
		s.tenant = t
	}
	return s, nil
}

func (c *Controller) machinesOfCluster(ctx context.Context, object client.Object) []reconcile.Request {
	return c.requests(ctx, object.GetName(), func(*v1alpha1.Machine) bool { return true })
}

func (c *Controller) machinesOfPool(ctx context.Context, object client.Object) []reconcile.Request {
	pool, ok := object.(*v1alpha1.AgentPool)
	if !ok {
		return nil
	}
	return c.requests(ctx, pool.Spec.ClusterName, func(m *v1alpha1.Machine) bool { return m.Spec.AgentPoolName == pool.Name })
}

func (c *Controller) machinesOfNode(ctx context.Context, event tenant.Event) []reconcile.Request {
	return c.requests(ctx, event.Cluster, func(m *v1alpha1.Machine) bool { return event.Name == "" || m.Spec.NodeName == event.Name })
}

// machinesOfRequest maps a certificate request to the machine whose node asks.
func (c *Controller) machinesOfRequest(ctx context.Context, event tenant.Event) []reconcile.Request {
	t, ok := c.config.Tenants.Get(event.Cluster)
	if !ok || event.Name == "" {
		return nil // the feed of the nodes has the same event
	}
	request := &certificatesv1.CertificateSigningRequest{}
	if err := t.Reader.Get(ctx, client.ObjectKey{Name: event.Name}, request); err != nil {
		return nil // gone again
	}
	nodeName, ok := strings.CutPrefix(request.Spec.Username, nodeUserPrefix)
	if !ok {
		return nil
	}
	return c.requests(ctx, event.Cluster, func(m *v1alpha1.Machine) bool { return m.Spec.NodeName == nodeName })
}

// requests asks for a look at every machine of a cluster that matches.
func (c *Controller) requests(ctx context.Context, cluster string, match func(*v1alpha1.Machine) bool) []reconcile.Request {
	machines, err := fleet.Of(ctx, c.config.Client, cluster)
	if err != nil {
		return nil // the cache is stopping
	}
	var requests []reconcile.Request
	for i := range machines {
		if match(&machines[i]) {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&machines[i])})
		}
	}
	return requests
}
