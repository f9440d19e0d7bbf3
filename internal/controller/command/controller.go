// Package command reconciles ClusterCommands: it runs each in a pod of its
// cluster, at most once, stores what the pod printed and how it ended, and
// removes what it made. It reaches a cluster through its API server alone; the
// output comes from the node through konnectivity.
//
// What is made in a cluster is named after the command, so that after a kill
// the next look finds it. The pod ends itself at the command's deadline, even
// if nobody looks.
package command

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/command"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/tenant"
)

// The patience of the controller.
const (
	// startTimeout is how long a command may wait for its cluster and for a node.
	startTimeout = 5 * time.Minute
	// grace is how long after its deadline a pod may take to end by itself, and
	// how long after the end its output may take to be read.
	grace = time.Minute
	// reconnect is how often to look for a cluster that is not connected.
	reconnect = time.Second
)

// Tenants finds connected tenants.
type Tenants interface {
	Get(cluster string) (*tenant.Tenant, bool)
}

// Releases finds built releases.
type Releases interface {
	Lookup(version string) (release.Artifacts, bool)
}

// Config is what the controller needs.
type Config struct {
	Client client.Client
	// Reader reads the management API itself.
	Reader   client.Reader
	Clock    clock.PassiveClock
	Tenants  Tenants
	Releases Releases
}

// Controller reconciles ClusterCommands.
type Controller struct{ Config }

// NewController makes the controller.
func NewController(config Config) *Controller { return &Controller{Config: config} }

// Register adds the controller to a manager, fed by the tenants' pods.
func (c *Controller) Register(manager ctrl.Manager, tenants *tenant.Registry) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("command").
		For(&v1alpha1.ClusterCommand{}).
		Watches(&v1alpha1.ManagedCluster{}, handler.EnqueueRequestsFromMapFunc(func(ctx context.Context, object client.Object) []reconcile.Request {
			return c.commandsOf(ctx, tenant.Event{Cluster: object.GetName()})
		})).
		WatchesRawSource(tenants.Source(tenant.CommandPods, c.commandsOf)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 8,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, 15*time.Second),
		}).
		Complete(c)
}

// commandsOf maps a pod to its command, and a cluster to all of its commands.
func (c *Controller) commandsOf(ctx context.Context, event tenant.Event) []reconcile.Request {
	if id, ours := idOf(event.Name); ours {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: id}}}
	}
	if event.Name != "" {
		return nil
	}
	var list v1alpha1.ClusterCommandList
	if err := c.Client.List(ctx, &list, client.MatchingLabels{v1alpha1.CommandClusterLabel: event.Cluster}); err != nil {
		return nil // the cache is stopping
	}
	var requests []reconcile.Request
	for i := range list.Items {
		requests = append(requests, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
	}
	return requests
}

// Reconcile brings one command a step nearer to its end.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	found := &v1alpha1.ClusterCommand{}
	if err := c.Client.Get(ctx, request.NamespacedName, found); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	cluster, err := c.cluster(ctx, found)
	if err != nil {
		return reconcile.Result{}, err
	}
	if cluster == nil {
		return reconcile.Result{}, c.remove(ctx, found)
	}
	s := &scope{command: found.DeepCopy(), cluster: cluster, now: c.Clock.Now()}
	if s.command.Status.Phase == v1alpha1.CommandRemoved {
		return c.expire(ctx, s)
	}
	t, connected := c.Tenants.Get(cluster.Name)
	if !connected || t.Incarnation != s.command.Spec.Incarnation {
		return c.unreachable(ctx, s, "the cluster's API server does not answer")
	}
	filled, err := t.Follow(ctx, tenant.CommandPods)
	if err != nil {
		return reconcile.Result{}, err
	}
	if !filled { // an event follows; a cluster that never answers runs into the time limit
		return c.unreachable(ctx, s, "the cluster's API server does not answer")
	}
	s.tenant = t
	return conflict.Retry(c.step(ctx, s))
}

// scope is one look at one command.
type scope struct {
	command *v1alpha1.ClusterCommand
	cluster *v1alpha1.ManagedCluster
	tenant  *tenant.Tenant
	now     time.Time
}

// cluster is the cluster that a command is for, nil if that is gone or going.
func (c *Controller) cluster(ctx context.Context, found *v1alpha1.ClusterCommand) (*v1alpha1.ManagedCluster, error) {
	cluster := &v1alpha1.ManagedCluster{}
	err := c.Reader.Get(ctx, client.ObjectKey{Name: found.Spec.ClusterName}, cluster)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the cluster %s: %w", found.Spec.ClusterName, err)
	}
	if cluster.DeletionTimestamp != nil || cluster.Spec.Incarnation != found.Spec.Incarnation {
		return nil, nil
	}
	return cluster, nil
}

func (c *Controller) remove(ctx context.Context, found *v1alpha1.ClusterCommand) error {
	if err := c.Client.Delete(ctx, found); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting the command %s: %w", found.Name, err)
	}
	return nil
}

// step goes on from the phase that is stored.
func (c *Controller) step(ctx context.Context, s *scope) (reconcile.Result, error) {
	switch s.command.Status.Phase {
	case v1alpha1.CommandStarted:
		return c.run(ctx, s)
	case v1alpha1.CommandEnded:
		return c.clean(ctx, s)
	default:
		// From here on the pod may be there, whatever happens to this process.
		s.command.Status.Phase, s.command.Status.Message = v1alpha1.CommandStarted, "starting a pod"
		if err := c.writeStatus(ctx, s); err != nil {
			return reconcile.Result{}, err
		}
		return c.run(ctx, s)
	}
}

// unreachable waits for the connection to the cluster, as long as commands may.
func (c *Controller) unreachable(ctx context.Context, s *scope, why string) (reconcile.Result, error) {
	limit := s.command.Spec.StartTime.Add(startTimeout)
	if s.command.Status.PodUID != "" {
		limit = s.command.Spec.Deadline.Add(grace)
	}
	switch {
	case s.command.Finished():
		return reconcile.Result{RequeueAfter: reconnect}, nil
	case !s.now.Before(limit):
		return c.end(ctx, s, outcome{reason: "ClusterUnreachable: " + why + "."})
	}
	return reconcile.Result{RequeueAfter: reconnect}, c.wait(ctx, s, "waiting: "+why)
}

// wait stores what the command waits for.
func (c *Controller) wait(ctx context.Context, s *scope, message string) error {
	if s.command.Status.Message == message {
		return nil
	}
	s.command.Status.Message = message
	return c.writeStatus(ctx, s)
}

// writeStatus stores the status if nobody wrote since it was read.
func (c *Controller) writeStatus(ctx context.Context, s *scope) error {
	if err := c.Client.Status().Update(ctx, s.command); err != nil {
		return fmt.Errorf("writing the status of the command %s: %w", s.command.Name, err)
	}
	return nil
}

// expire removes a result that is old, or one of too many.
func (c *Controller) expire(ctx context.Context, s *scope) (reconcile.Result, error) {
	left := command.Retention
	if ended := s.command.Status.EndTime; ended != nil {
		left = ended.Add(command.Retention).Sub(s.now)
	}
	newer, err := c.newer(ctx, s.command)
	if err != nil {
		return reconcile.Result{}, err
	}
	if left > 0 && newer < command.MaxKept {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	return reconcile.Result{}, c.remove(ctx, s.command)
}

// newer counts the cluster's results that are newer than a command's.
func (c *Controller) newer(ctx context.Context, than *v1alpha1.ClusterCommand) (int, error) {
	var list v1alpha1.ClusterCommandList
	if err := c.Client.List(ctx, &list, client.MatchingLabels{v1alpha1.CommandClusterLabel: than.Spec.ClusterName}); err != nil {
		return 0, fmt.Errorf("listing commands: %w", err)
	}
	count := 0
	for i := range list.Items {
		if other := &list.Items[i]; other.Finished() && other.Name != than.Name && endOf(than).Before(endOf(other)) {
			count++
		}
	}
	return count, nil
}

func endOf(c *v1alpha1.ClusterCommand) *metav1.Time {
	if c.Status.EndTime == nil {
		return &metav1.Time{}
	}
	return c.Status.EndTime
}
