// Package managedcluster reconciles ManagedClusters: a list of phases makes what
// a cluster consists of (addresses, credentials, network, control plane,
// add-ons, agent pools), a delete list takes it away in the reverse order, and
// the cluster's running operations end here. It writes objects of the management
// API alone; the kernel work behind them is the host agent's.
package managedcluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	resourcesv1 "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/history"
	"berth.dev/berth/internal/naming"
	networks "berth.dev/berth/internal/network"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/tenant"
)

// Tenants connects the API servers of clusters.
type Tenants interface {
	Connect(ctx context.Context, cluster, incarnation string, endpoint tenant.Endpoint) (*tenant.Tenant, error)
	Disconnect(cluster string)
}

// History keeps ended operations.
type History interface {
	Get(id string) (history.Record, bool, error)
	Put(record history.Record) error
}

// Releases finds built releases.
type Releases interface {
	Lookup(version string) (release.Artifacts, bool)
}

// Config is what the controller works with.
type Config struct {
	// Client writes and reads the cache; Reader reads the API server itself.
	Client client.Client
	Reader client.Reader
	// Clock is the time; Tenants, History and Releases are the rest of the service.
	Clock    clock.PassiveClock
	Tenants  Tenants
	History  History
	Releases Releases
	// Zone is the install zone, TenantID the directory that issuers name.
	Zone     string
	TenantID string
	// UpstreamDNS answers the clusters' queries for other names; empty: none does.
	UpstreamDNS string
	// NewCredentials makes a cluster's PKI; nil means pki.NewCluster.
	NewCredentials func(pki.ClusterNames, time.Time) (map[string][]byte, error)
}

// Controller reconciles ManagedClusters.
type Controller struct {
	config     Config
	phases     []conditionPhase
	deletions  []deletion
	operations operations
}

// phase makes one part of a cluster as far as it can be made now, and says in
// the scope how far it came. It never waits.
type phase interface {
	Reconcile(ctx context.Context, s *scope) (reconcile.Result, error)
}

// conditionPhase is a phase with the condition that its errors are told in.
type conditionPhase struct {
	condition string
	phase     phase
}

// NewController makes the controller.
func NewController(config Config) *Controller {
	if config.NewCredentials == nil {
		config.NewCredentials = pki.NewCluster
	}
	allocator := allocation.Allocator{Client: config.Client, Reader: config.Reader}
	return &Controller{
		config: config,
		phases: []conditionPhase{
			{v1alpha1.ConditionCredentialsReady, &formerIdentities{config: config}},
			{v1alpha1.ConditionNetworkReady, &addresses{config: config, allocator: allocator}},
			{v1alpha1.ConditionCredentialsReady, &credentials{config: config, renewal: renewal{config: config, seen: map[string]looked{}}}},
			{v1alpha1.ConditionNetworkReady, &nodeGroup{config: config}},
			{v1alpha1.ConditionNetworkReady, &network{config: config, allocator: allocator}},
			{v1alpha1.ConditionUpgraded, &upgradeBackup{config: config}},
			{v1alpha1.ConditionControlPlaneReady, &controlPlane{config: config}},
			{v1alpha1.ConditionUpgraded, &upgrade{config: config}},
			{v1alpha1.ConditionAddonsReady, &addons{config: config, applied: map[string]string{}, named: map[string]string{}}},
			{v1alpha1.ConditionAgentPoolsReady, &agentPools{config: config}},
			{v1alpha1.ConditionCredentialsReady, &rotation{config: config}},
			{v1alpha1.ConditionStopped, &power{config: config}},
		},
		deletions:  deletions(config, allocator),
		operations: operations{config: config},
	}
}

// Register adds the controller to a manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	collector := newExpiries(c.config)
	metrics.Registry.Unregister(collector) // that of a service which this process ran before
	if err := metrics.Registry.Register(collector); err != nil {
		return fmt.Errorf("registering the metric of certificates: %w", err)
	}
	return ctrl.NewControllerManagedBy(manager).
		Named("managedcluster").
		For(&v1alpha1.ManagedCluster{}, builder.WithPredicates(predicate.Or(predicate.GenerationChangedPredicate{}, autoUpgradeChanged()))).
		Watches(&v1alpha1.ControlPlane{}, handler.EnqueueRequestsFromMapFunc(clusterOf)).
		Watches(&networkv1.VirtualNetwork{}, handler.EnqueueRequestsFromMapFunc(c.clustersIn)).
		Watches(&resourcesv1.ResourceGroup{}, handler.EnqueueRequestsFromMapFunc(clusterOf)).
		Watches(&v1alpha1.AgentPool{}, handler.EnqueueRequestsFromMapFunc(clusterOf)).
		Watches(&v1alpha1.Disk{}, handler.EnqueueRequestsFromMapFunc(clusterOf)).
		Watches(&v1alpha1.Backup{}, handler.EnqueueRequestsFromMapFunc(clusterOf)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 8,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// clusterOf maps what a cluster consists of to the cluster.
func clusterOf(_ context.Context, object client.Object) []reconcile.Request {
	var name string
	switch o := object.(type) {
	case *v1alpha1.ControlPlane:
		name = o.Spec.ClusterName
	case *resourcesv1.ResourceGroup:
		if o.Spec.ManagedBy == "" { // a caller's
			return nil
		}
		name = naming.Object(o.Spec.ManagedBy)
	case *v1alpha1.AgentPool:
		name = o.Spec.ClusterName
	case *v1alpha1.Disk:
		name = o.Spec.ClusterName
	case *v1alpha1.Backup:
		if name = o.Spec.ClusterName; name == "" { // it was uploaded
			return nil
		}
	}
	if name == "" { // a control plane that waits for a cluster
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: name}}}
}

// clustersIn maps a virtual network to the clusters that live in it.
func (c *Controller) clustersIn(ctx context.Context, object client.Object) []reconcile.Request {
	if vnet, ok := object.(*networkv1.VirtualNetwork); ok && vnet.Spec.ClusterName != "" {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: vnet.Spec.ClusterName}}}
	}
	var clusters v1alpha1.ManagedClusterList
	if err := c.config.Client.List(ctx, &clusters); err != nil {
		return nil // the cache is stopping
	}
	var requests []reconcile.Request
	for i := range clusters.Items {
		if networkName(&clusters.Items[i]) == object.GetName() {
			requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&clusters.Items[i])})
		}
	}
	return requests
}

// Reconcile runs every phase that can go on, computes the status once from what
// they said, writes it once, and then drops the operations that ended.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cluster := &v1alpha1.ManagedCluster{}
	if err := c.config.Client.Get(ctx, request.NamespacedName, cluster); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	cluster = cluster.DeepCopy()
	if cluster.DeletionTimestamp != nil {
		return c.finalize(ctx, cluster)
	}
	if controllerutil.AddFinalizer(cluster, v1alpha1.ManagedClusterFinalizer) {
		if err := c.config.Client.Update(ctx, cluster); err != nil {
			return conflict.Retry(reconcile.Result{}, fmt.Errorf("adding the finalizer: %w", err))
		}
	}
	s := newScope(cluster, c.config.Clock.Now())
	var result reconcile.Result
	var errs []error
	for _, p := range c.phases {
		r, err := p.phase.Reconcile(ctx, s)
		if err != nil {
			s.report(p.condition, outcomeOf(err))
			errs = append(errs, err)
		}
		result = sooner(result, r)
	}
	r, err := c.finish(ctx, s)
	result = sooner(result, r)
	if err = errors.Join(append(errs, err)...); err != nil {
		return conflict.Retry(reconcile.Result{}, err)
	}
	return result, nil
}

// finish ends operations and writes the status. The order is what makes a kill
// after any line heal: history first, then the status with what follows from the
// end, and last the spec that loses the operation, under one chain of
// resourceVersions from the read of the cluster on.
func (c *Controller) finish(ctx context.Context, s *scope) (reconcile.Result, error) {
	original := s.cluster.DeepCopy()
	s.writeStatus()
	ended, next, err := c.operations.end(ctx, s)
	if err != nil {
		return reconcile.Result{}, err
	}
	s.writeOperationStatus(ended)
	if err := c.patchStatus(ctx, original, s.cluster, len(ended) > 0); err != nil {
		return reconcile.Result{}, err
	}
	if err := c.operations.drop(ctx, s.cluster, ended); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: next}, nil
}

// patchStatus writes the status if it changed; exactly insists that nobody
// wrote the cluster since it was read.
func (c *Controller) patchStatus(ctx context.Context, original, changed *v1alpha1.ManagedCluster, exactly bool) error {
	if equality.Semantic.DeepEqual(original.Status, changed.Status) {
		return nil
	}
	patch := client.MergeFrom(original)
	if exactly {
		patch = client.MergeFromWithOptions(original, client.MergeFromWithOptimisticLock{})
	}
	if err := c.config.Client.Status().Patch(ctx, changed, patch); err != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}

// outcomeOf tells an error in a condition.
func outcomeOf(err error) condition.Outcome {
	outcome := condition.Failed(err)
	if errors.Is(err, networks.ErrExhausted) {
		outcome.Reason = ReasonAllocationFailed
	}
	return outcome
}

// sooner is the one of two results that comes first.
func sooner(a, b reconcile.Result) reconcile.Result {
	if a.RequeueAfter == 0 || b.RequeueAfter > 0 && b.RequeueAfter < a.RequeueAfter {
		return b
	}
	return a
}

// secret is the object key of a Secret of Berth.
func secret(namespace, name string) *corev1.Secret {
	s := &corev1.Secret{}
	s.Namespace, s.Name = namespace, name
	return s
}
