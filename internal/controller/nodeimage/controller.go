// Package nodeimage renews nodes whose node image is not the newest, in clusters
// that asked for that, inside the windows that were set for it. It is the ordinary
// upgrade of a pool's node image, one pool after the other. What is refused is told
// and tried again in the next window, or once the cluster is changed.
package nodeimage

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
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
	"berth.dev/berth/internal/controller/fleet"
	"berth.dev/berth/internal/maintenance"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/release"
)

// lookAgain bounds how long a clock that jumps goes unseen.
const lookAgain = time.Minute

// Runner starts upgrades of node images.
type Runner interface {
	// UpgradeNodeImage renews the nodes of a pool in one write, under the version of
	// the cluster that was looked at. It fails with an *arm.Error if a caller's
	// request would be refused.
	UpgradeNodeImage(ctx context.Context, cluster *v1alpha1.ManagedCluster, pool, image string) error
}

// Config is what the controller needs.
type Config struct {
	// Client reads from a cache.
	Client client.Client
	Clock  clock.PassiveClock
	Runner Runner
	// Image is the newest node image; nil means release.NodeImageName.
	Image func() string
}

// Controller reconciles the node images of ManagedClusters.
type Controller struct {
	config Config
}

// NewController makes the controller.
func NewController(config Config) *Controller {
	if config.Image == nil {
		config.Image = func() string { return release.NodeImageName }
	}
	return &Controller{config: config}
}

// Register adds the controller to a manager.
func (c *Controller) Register(manager ctrl.Manager) error {
	toCluster := func(name func(client.Object) string) handler.EventHandler {
		return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: name(object)}}}
		})
	}
	return ctrl.NewControllerManagedBy(manager).
		Named("nodeimage").
		For(&v1alpha1.ManagedCluster{}).
		Watches(&v1alpha1.MaintenanceConfiguration{}, toCluster(func(o client.Object) string { return o.GetLabels()[v1alpha1.MaintenanceClusterLabel] })).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: 2,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](20*time.Millisecond, time.Minute),
		}).
		Complete(c)
}

// look is what one look at a cluster finds.
type look struct {
	cluster *v1alpha1.ManagedCluster
	image   string
	now     time.Time
	// old are the pools with nodes of another image that nobody told to renew
	// them, renewed those with such nodes that were told.
	old, renewed []string
	schedule     *maintenance.Schedule
	planned      bool
	wrong        error
	window       maintenance.Window
	open         bool
	// started is the pool whose renewal has just begun; refused is the last attempt that was.
	started string
	refused *v1alpha1.RefusedUpgrade
}

// Reconcile renews the nodes of a pool if that is due, and says what comes when.
func (c *Controller) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	cluster := &v1alpha1.ManagedCluster{}
	if err := c.config.Client.Get(ctx, request.NamespacedName, cluster); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if cluster.DeletionTimestamp != nil {
		return reconcile.Result{}, nil
	}
	cluster = cluster.DeepCopy()
	if cluster.Spec.NodeOSUpgradeChannel != v1alpha1.NodeOSChannelNodeImage {
		return conflict.Retry(reconcile.Result{}, c.write(ctx, cluster, nil))
	}
	l, err := c.look(ctx, cluster)
	if err != nil {
		return reconcile.Result{}, err
	}
	if l.due() {
		if err := c.start(ctx, l); err != nil {
			return conflict.Retry(reconcile.Result{}, err)
		}
	}
	return conflict.Retry(reconcile.Result{RequeueAfter: lookAgain}, c.write(ctx, cluster, l.status()))
}

// look gathers what there is to know.
func (c *Controller) look(ctx context.Context, cluster *v1alpha1.ManagedCluster) (*look, error) {
	l := &look{cluster: cluster, image: c.config.Image(), now: c.config.Clock.Now(), schedule: maintenance.Always()}
	machines, err := fleet.Of(ctx, c.config.Client, cluster.Name)
	if err != nil {
		return nil, err
	}
	for _, pool := range cluster.Spec.AgentPools {
		name := naming.AgentPool(pool.Name, pool.Incarnation)
		switch {
		case !slices.ContainsFunc(machines, func(m v1alpha1.Machine) bool {
			return m.Spec.AgentPoolName == name && m.DeletionTimestamp == nil &&
				m.Status.NodeImage != "" && m.Status.NodeImage != l.image
		}):
		case pool.NodeImageVersion == l.image:
			l.renewed = append(l.renewed, pool.Name)
		default:
			l.old = append(l.old, pool.Name)
		}
	}
	var list v1alpha1.MaintenanceConfigurationList
	if err := c.config.Client.List(ctx, &list, client.MatchingLabels{v1alpha1.MaintenanceClusterLabel: cluster.Name}); err != nil {
		return nil, fmt.Errorf("listing maintenance configurations: %w", err)
	}
	for i := range list.Items {
		if configuration := &list.Items[i]; configuration.Of(cluster) && configuration.Spec.Name == v1alpha1.MaintenanceNodeOS {
			l.schedule, l.wrong = maintenance.New(configuration.Spec)
			l.planned = true
		}
	}
	if l.wrong == nil {
		l.window, l.open = l.schedule.Next(l.now)
	}
	if status := cluster.Status.NodeImageUpgrade; status != nil && status.Refused != nil && status.Refused.Version == l.image {
		l.refused = status.Refused
	}
	return l, nil
}

// due says that the nodes of a pool are to be renewed now.
func (l *look) due() bool {
	return len(l.old) > 0 && l.wrong == nil && l.open && l.window.Contains(l.now) && l.cluster.InTheWay() == "" && !l.refused.Rests(l.cluster, l.now)
}

// start renews the nodes of the first pool that has old ones. A kill right after
// it loses nothing: the cluster has the operation then, or has not.
func (c *Controller) start(ctx context.Context, l *look) error {
	err := c.config.Runner.UpgradeNodeImage(ctx, l.cluster, l.old[0], l.image)
	var refused *arm.Error
	switch {
	case err == nil:
		l.started, l.refused = l.old[0], nil
	case errors.As(err, &refused):
		l.refused = &v1alpha1.RefusedUpgrade{
			Version: l.image, Time: metav1.NewTime(l.now.Truncate(time.Second)), Generation: l.cluster.Generation, RetryTime: metav1.NewTime(l.window.End),
			Failure: meta.Failure{Code: refused.Code, Message: refused.Message},
		}
	default:
		return fmt.Errorf("renewing the nodes of %s: %w", l.old[0], err)
	}
	return nil
}

// status tells what was found.
func (l *look) status() *v1alpha1.NodeImageUpgradeStatus {
	status := &v1alpha1.NodeImageUpgradeStatus{Image: l.image, Done: len(l.old)+len(l.renewed) == 0, Message: l.message()}
	if len(l.old) == 0 {
		return status
	}
	status.Refused = l.refused
	if l.planned && l.open {
		status.WindowStart, status.WindowEnd = &metav1.Time{Time: l.window.Start.UTC()}, &metav1.Time{Time: l.window.End.UTC()}
	}
	return status
}

// message says what comes when, and what is in the way.
func (l *look) message() string {
	when := "at any time"
	if l.planned && l.open {
		when = fmt.Sprintf("in the maintenance window from %s to %s", l.window.Start.UTC().Format(time.RFC3339), l.window.End.UTC().Format(time.RFC3339))
	}
	switch busy := l.cluster.InTheWay(); {
	case len(l.old) == 0 && len(l.renewed) == 0:
		return "all nodes have the node image " + l.image
	case l.started != "":
		return fmt.Sprintf("the nodes of the agent pool '%s' are renewed with the node image %s", l.started, l.image)
	case len(l.old) == 0:
		return fmt.Sprintf("the agent pool '%s' is to have the node image %s and has older nodes: they are being renewed, or its last operation says why not", l.renewed[0], l.image)
	case l.wrong != nil:
		return fmt.Sprintf("the nodes of '%s' are of an older image and wait: the maintenance configuration '%s' is wrong: %v", l.old[0], v1alpha1.MaintenanceNodeOS, l.wrong)
	case !l.open:
		return fmt.Sprintf("the nodes of '%s' are of an older image and wait: the maintenance configuration leaves no window in the next years", l.old[0])
	case l.refused.Rests(l.cluster, l.now):
		return fmt.Sprintf("renewing the nodes of '%s' was refused: %s It is tried again in the next window, or as soon as the cluster is changed", l.old[0], l.refused.Failure.Message)
	case busy != "":
		return fmt.Sprintf("the nodes of '%s' are renewed with the node image %s %s, and wait: %s", l.old[0], l.image, when, busy)
	default:
		return fmt.Sprintf("the nodes of '%s' are renewed with the node image %s %s", l.old[0], l.image, when)
	}
}

// write tells how the nodes stand.
func (c *Controller) write(ctx context.Context, cluster *v1alpha1.ManagedCluster, status *v1alpha1.NodeImageUpgradeStatus) error {
	if equality.Semantic.DeepEqual(cluster.Status.NodeImageUpgrade, status) {
		return nil
	}
	original := cluster.DeepCopy()
	cluster.Status.NodeImageUpgrade = status
	if err := c.config.Client.Status().Patch(ctx, cluster, client.MergeFrom(original)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status: %w", err)
	}
	return nil
}
