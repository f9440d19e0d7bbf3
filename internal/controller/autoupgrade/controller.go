// Package autoupgrade starts the upgrades of clusters that are on an upgrade
// channel, inside their maintenance windows. The upgrade is the ordinary one, as
// if a caller had asked for it; what is refused is told and tried again in the
// next window. It also takes away maintenance configurations whose cluster is gone.
package autoupgrade

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
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
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/controller/conflict"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/upgrade"
)

// lookAgain bounds how long a clock that jumps goes unseen.
const lookAgain = time.Minute

// Runner starts upgrades.
type Runner interface {
	// AutoUpgrade starts the upgrade of a cluster and all its pools in one write,
	// under the version of the cluster that was looked at. It fails with an
	// *arm.Error if a caller's request would be refused.
	AutoUpgrade(ctx context.Context, cluster *v1alpha1.ManagedCluster, version string) error
}

// Config is what the controller needs.
type Config struct {
	// Client reads from a cache, Reader does not.
	Client client.Client
	Reader client.Reader
	Clock  clock.PassiveClock
	Runner Runner
	// Catalog are the versions that there are; nil means release.Versions.
	Catalog func() []release.Version
}

// Controller reconciles the upgrade channels of ManagedClusters.
type Controller struct {
	config Config
}

// NewController makes the controller.
func NewController(config Config) *Controller {
	if config.Catalog == nil {
		config.Catalog = release.Versions
	}
	return &Controller{config: config}
}

// Register adds the controller to a manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("autoupgrade").
		For(&v1alpha1.ManagedCluster{}).
		Watches(&v1alpha1.MaintenanceConfiguration{}, handler.EnqueueRequestsFromMapFunc(clusterOf)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 2,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, time.Minute),
		}).
		Complete(c)
}

func clusterOf(_ context.Context, object client.Object) []reconcile.Request {
	configuration, ok := object.(*v1alpha1.MaintenanceConfiguration)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: configuration.Spec.ClusterName}}}
}

// Reconcile starts an upgrade if one is due, and says what comes when.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cluster := &v1alpha1.ManagedCluster{}
	if err := c.config.Client.Get(ctx, request.NamespacedName, cluster); apierrors.IsNotFound(err) {
		_, err = c.configurations(ctx, request.Name)
		return reconcile.Result{}, err
	} else if err != nil {
		return reconcile.Result{}, err
	}
	configurations, err := c.configurations(ctx, request.Name)
	if err != nil || cluster.DeletionTimestamp != nil {
		return reconcile.Result{}, err
	}
	cluster = cluster.DeepCopy()
	if !upgrade.Automatic(cluster.Spec.UpgradeChannel) {
		return conflict.Retry(reconcile.Result{}, c.write(ctx, cluster, nil))
	}
	p := newPlan(cluster, configurations, c.config.Catalog(), c.config.Clock.Now())
	if p.due() {
		if err := c.start(ctx, cluster, p); err != nil {
			return conflict.Retry(reconcile.Result{}, err)
		}
	}
	if err := c.write(ctx, cluster, p.status()); err != nil {
		return conflict.Retry(reconcile.Result{}, err)
	}
	return reconcile.Result{RequeueAfter: p.again()}, nil
}

// start starts the upgrade that is due. A kill right after it loses nothing: the
// cluster has the operation then, or has not.
func (c *Controller) start(ctx context.Context, cluster *v1alpha1.ManagedCluster, p *plan) error {
	err := c.config.Runner.AutoUpgrade(ctx, cluster, p.next)
	var refused *arm.Error
	switch {
	case err == nil:
		p.started = true
	case errors.As(err, &refused):
		p.refused = &v1alpha1.RefusedUpgrade{
			Version: p.next, Time: metav1.NewTime(p.now.Truncate(time.Second)), Generation: cluster.Generation, RetryTime: metav1.NewTime(p.window.End),
			Failure: meta.Failure{Code: refused.Code, Message: refused.Message},
		}
	default:
		return fmt.Errorf("upgrading to %s: %w", p.next, err)
	}
	return nil
}

// configurations are the maintenance configurations under a cluster's name.
// Those of a cluster that is no more are deleted: a front end that died between
// its write and its second look has left them.
func (c *Controller) configurations(ctx context.Context, name string) ([]v1alpha1.MaintenanceConfiguration, error) {
	var list v1alpha1.MaintenanceConfigurationList
	if err := c.config.Client.List(ctx, &list, client.MatchingLabels{v1alpha1.MaintenanceClusterLabel: name}); err != nil || len(list.Items) == 0 {
		return nil, err
	}
	cluster := &v1alpha1.ManagedCluster{}
	if err := c.config.Reader.Get(ctx, client.ObjectKey{Name: name}, cluster); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("reading the cluster of maintenance configurations: %w", err)
	}
	var own []v1alpha1.MaintenanceConfiguration
	for i := range list.Items {
		configuration := &list.Items[i]
		if cluster.Name != "" && configuration.Of(cluster) {
			own = append(own, *configuration)
			continue
		}
		exactly := client.Preconditions{UID: &configuration.UID, ResourceVersion: &configuration.ResourceVersion}
		if err := c.config.Client.Delete(ctx, configuration, exactly); client.IgnoreNotFound(err) != nil && !apierrors.IsConflict(err) {
			return nil, fmt.Errorf("deleting the maintenance configuration %s of a former cluster: %w", configuration.Name, err)
		}
	}
	return own, nil
}

// write tells how the channel stands.
func (c *Controller) write(ctx context.Context, cluster *v1alpha1.ManagedCluster, status *v1alpha1.AutoUpgradeStatus) error {
	if equality.Semantic.DeepEqual(cluster.Status.AutoUpgrade, status) {
		return nil
	}
	original := cluster.DeepCopy()
	cluster.Status.AutoUpgrade = status
	if err := c.config.Client.Status().Patch(ctx, cluster, client.MergeFrom(original)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}
