// Package prestarted keeps a number of control planes running that no cluster has
// yet: a create that finds one takes it and waits for no API server to start.
//
// A pre-started control plane is a ControlPlane like any other, with an
// incarnation, an address, ids, authorities and data of its own, and without the
// name of a cluster. The front end takes it by writing the cluster's name into it
// under its resourceVersion, so that one cluster alone can have it, and then
// creates the cluster with its incarnation. From there on it is found and kept by
// the cluster's own controller. What is left of a front end that died between the
// two writes is taken away here.
//
// The order of every life is that of the whole service: the name is stored first,
// as a ControlPlane that no host runs; then address, ids and credentials are claimed
// under it; then it is bound to a host. A finalizer holds the object until all that
// is given back, or until the cluster is there, which then gives it back itself. So
// whoever looks after a kill knows from the objects what is left to do.
package prestarted

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	hostv1 "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/release"
)

// The times of the pool.
const (
	// quiet is for how long no cluster may have been changing before another control
	// plane is started: what customers asked for comes first.
	quiet = 10 * time.Second
	// abandoned is how long a claim may be without its cluster, which the front end
	// creates with its next write.
	abandoned = time.Minute
	// resync is the time to the next look where nothing calls for one.
	resync = 30 * time.Second
)

// Releases finds built releases.
type Releases interface {
	Lookup(version string) (release.Artifacts, bool)
}

// Config is what the controller works with.
type Config struct {
	// Client writes and reads the cache; Reader reads the API server itself.
	Client client.Client
	Reader client.Reader
	// Clock is the time.
	Clock clock.PassiveClock
	// Releases says whether the version is built: nothing is built for the pool.
	Releases Releases
	// Size is how many there are to be; with 0 those that are left go.
	Size int
	// Version and ServiceCIDR are what a cluster has that does not ask for others.
	Version, ServiceCIDR string
	// Location and Zone are where names lie, TenantID the directory that issuers name.
	Location, Zone, TenantID string
	// NewCredentials makes a cluster's PKI; nil means pki.NewCluster.
	NewCredentials func(pki.ClusterNames, time.Time) (map[string][]byte, error)
}

// Controller keeps the pool.
type Controller struct {
	config    Config
	allocator allocation.Allocator
	metrics   *poolMetrics
	// busy is when a cluster was last seen to change, and since when a claim has been
	// without its cluster, by incarnation. A new process begins to wait anew.
	busy  time.Time
	since map[string]time.Time
}

// NewController makes the controller.
func NewController(config Config) *Controller {
	if config.NewCredentials == nil {
		config.NewCredentials = pki.NewCluster
	}
	return &Controller{
		config: config, allocator: allocation.Allocator{Client: config.Client, Reader: config.Reader},
		metrics: newMetrics(config), busy: config.Clock.Now(), since: map[string]time.Time{},
	}
}

// Register adds the controller to a manager. The pool is reconciled as a whole,
// under the name of the host that it is for.
func (c *Controller) Register(manager ctrl.Manager) error {
	metrics.Registry.Unregister(c.metrics) // that of a service which this process ran before
	if err := metrics.Registry.Register(c.metrics); err != nil {
		return fmt.Errorf("registering the metrics of pre-started control planes: %w", err)
	}
	pool := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: naming.LocalHost}}}
	})
	ours := predicate.NewPredicateFuncs(func(o client.Object) bool {
		return controllerutil.ContainsFinalizer(o, v1alpha1.PrestartedFinalizer)
	})
	return ctrl.NewControllerManagedBy(manager).
		Named("prestarted").
		For(&hostv1.Host{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.ControlPlane{}, pool, builder.WithPredicates(ours)).
		Watches(&v1alpha1.ManagedCluster{}, pool, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 1,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// Reconcile brings every control plane of the pool one step on, and then begins
// another if one is wanted and nothing else is going on.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	if request.Name != naming.LocalHost {
		return reconcile.Result{}, nil
	}
	var planes v1alpha1.ControlPlaneList
	if err := c.config.Client.List(ctx, &planes); err != nil {
		return reconcile.Result{}, fmt.Errorf("listing control planes: %w", err)
	}
	var errs []error
	var waiting []*v1alpha1.ControlPlane
	next := resync
	for i := range planes.Items {
		plane := &planes.Items[i]
		if !controllerutil.ContainsFinalizer(plane, v1alpha1.PrestartedFinalizer) {
			continue
		}
		switch {
		case plane.DeletionTimestamp != nil:
			errs = append(errs, c.release(ctx, plane.DeepCopy()))
		case plane.Spec.ClusterName != "":
			wait, err := c.handOver(ctx, plane.DeepCopy())
			next, errs = min(next, wait), append(errs, err)
		default:
			waiting = append(waiting, plane)
		}
	}
	wait, err := c.keep(ctx, waiting)
	if err = errors.Join(append(errs, err)...); err != nil {
		return conflict.Retry(reconcile.Result{}, err)
	}
	return reconcile.Result{RequeueAfter: min(next, wait)}, nil
}

// keep makes the control planes without a cluster as many as there are to be: those
// that nobody would claim go, and of more than enough the youngest do.
func (c *Controller) keep(ctx context.Context, waiting []*v1alpha1.ControlPlane) (next time.Duration, err error) {
	slices.SortFunc(waiting, func(a, b *v1alpha1.ControlPlane) int {
		return a.CreationTimestamp.Compare(b.CreationTimestamp.Time)
	})
	kept, starting := 0, 0
	for _, plane := range waiting {
		current, err := c.current(ctx, plane)
		if err != nil {
			return 0, err
		}
		if !current || kept == c.config.Size {
			if err := c.drop(ctx, plane); err != nil {
				return 0, err
			}
			continue
		}
		kept++
		if !v1alpha1.ConditionTrue(plane.Status.Conditions, v1alpha1.ConditionReady) {
			starting++
		}
		if plane.Spec.HostName == "" {
			if err := c.bind(ctx, plane.DeepCopy()); err != nil {
				return 0, err
			}
		}
	}
	if kept == c.config.Size || starting > 0 {
		return resync, nil
	}
	return c.begin(ctx)
}

// begin stores the name of another one, once it would disturb nobody.
func (c *Controller) begin(ctx context.Context) (next time.Duration, err error) {
	if _, built := c.config.Releases.Lookup(c.config.Version); !built {
		return resync, nil
	}
	changing, err := c.changing(ctx)
	if err != nil {
		return 0, err
	}
	now := c.config.Clock.Now()
	if changing {
		c.busy = now
	}
	if wait := quiet - now.Sub(c.busy); wait > 0 {
		return wait, nil
	}
	plane := c.unbound(naming.Incarnation())
	if err := c.config.Client.Create(ctx, plane); err != nil {
		return 0, fmt.Errorf("storing the name of a control plane to start: %w", err)
	}
	c.busy = now // the next one begins when this one is seen, and not before
	return resync, nil
}

// changing says whether a cluster is being made, changed or deleted.
func (c *Controller) changing(ctx context.Context) (bool, error) {
	var clusters v1alpha1.ManagedClusterList
	if err := c.config.Client.List(ctx, &clusters, client.UnsafeDisableDeepCopy); err != nil { // they are only read
		return false, fmt.Errorf("listing clusters: %w", err)
	}
	return slices.ContainsFunc(clusters.Items, func(cluster v1alpha1.ManagedCluster) bool {
		return len(cluster.Spec.Operations) > 0 || cluster.DeletionTimestamp != nil
	}), nil
}
