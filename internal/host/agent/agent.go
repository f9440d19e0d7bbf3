// Package agent is the host agent: it reconciles what is bound to its host, as
// a kubelet does with pods. It is the only caller of the drivers (control-plane
// runtime, machine provider, network fabric) and writes status only. It must
// not decide what should exist, nor choose any name or address: all of that is
// in the specs when it sees them.
package agent

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/dns"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/host/collector"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/release"
)

// Releases is the cache of what was built.
type Releases interface {
	// Lookup returns a release that is built.
	Lookup(version string) (release.Artifacts, bool)
	// Build builds one.
	Build(ctx context.Context, version string, report func(release.Progress)) (release.Artifacts, error)
}

// Dependencies are what the agent works with.
type Dependencies struct {
	Home     home.Home
	HostName string
	Runtime  controlplane.Runtime
	Provider machine.Provider
	Fabric   network.Fabric
	Releases Releases
	// Prober takes dead backends out of rotation; nil where nobody does.
	Prober Prober
	// Disks keeps the disks of volumes.
	Disks machine.Disks
	// Backups keeps the files of backups, and TenantID is what they say whose they are.
	Backups  Backups
	TenantID string
	// Names is the server of the install zone, and DNS what it serves beside the
	// names of clusters. The nodes resolve with it, too.
	Names Names
	DNS   dns.Desired
	// Versions are the versions of the catalog, by which the host reports what is built.
	Versions []string
	Clock    clock.Clock
}

// The intervals after which a reconcile is repeated.
const (
	// soon is the interval while a process is expected to become ready.
	soon = 50 * time.Millisecond
	// queued is the interval while others have to start first.
	queued = 250 * time.Millisecond
	// deleting is the interval while a driver takes something down.
	deleting = 100 * time.Millisecond
	// building is the interval while a release is built.
	building = time.Second
	// retry is the interval after an error of a driver, which is said in a condition.
	retry = 2 * time.Second
	// resync is the interval at which everything is looked at again: what died
	// without an event is found then.
	resync = 10 * time.Second
)

// workers is how many objects of a kind are reconciled at once.
const workers = 8

// Add adds the agent's controllers to a manager.
func Add(manager ctrl.Manager, d Dependencies) error {
	builds := newBuilds(d.Releases)
	if err := manager.Add(builds); err != nil {
		return fmt.Errorf("adding the release builder: %w", err)
	}
	c := manager.GetClient()
	watch := newStatusWatch()
	if err := manager.Add(watch); err != nil {
		return fmt.Errorf("adding the watch of supervisors: %w", err)
	}
	work := newJobs()
	if err := manager.Add(work); err != nil {
		return fmt.Errorf("adding the jobs: %w", err)
	}
	collect, err := collector.New(collector.Config{
		Client: c, Reader: manager.GetAPIReader(), Runtime: d.Runtime, Provider: d.Provider, Fabric: d.Fabric, Backups: d.Backups, Disks: d.Disks,
		Clock: d.Clock, Registerer: metrics.Registry,
	})
	if err != nil {
		return fmt.Errorf("adding the host agent: %w", err)
	}
	if err := manager.Add(collect); err != nil {
		return fmt.Errorf("adding the collector: %w", err)
	}
	if meter, ok := d.Fabric.(network.Meter); ok {
		if err := metrics.Registry.Register(newNetworkMetrics(meter)); err != nil {
			return fmt.Errorf("adding the metrics of networks: %w", err)
		}
	}
	for _, register := range []func(ctrl.Manager) error{
		(&hostReconciler{client: c, Dependencies: d}).register,
		(&controlPlaneReconciler{client: c, Dependencies: d, builds: builds, watch: watch, jobs: work}).register,
		(&backupReconciler{client: c, Dependencies: d, jobs: work}).register,
		(&nameReconciler{client: c, Dependencies: d}).register,
		(&networkReconciler{client: c, Dependencies: d}).register,
		(&proberReconciler{client: c, Dependencies: d}).register,
		(&machineReconciler{client: c, Dependencies: d, builds: builds}).register,
		(&diskReconciler{client: c, Dependencies: d}).register,
	} {
		if err := register(manager); err != nil {
			return fmt.Errorf("adding the host agent: %w", err)
		}
	}
	return nil
}

func options() controller.Options { return controller.Options{MaxConcurrentReconciles: workers} }

// ensureFinalizer adds a finalizer before anything external is made.
func ensureFinalizer(ctx context.Context, c client.Client, object client.Object, finalizer string) error {
	before := object.DeepCopyObject().(client.Object)
	if !controllerutil.AddFinalizer(object, finalizer) {
		return nil
	}
	return c.Patch(ctx, object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
}

// removeFinalizer lets the object go.
func removeFinalizer(ctx context.Context, c client.Client, object client.Object, finalizer string) error {
	before := object.DeepCopyObject().(client.Object)
	if !controllerutil.RemoveFinalizer(object, finalizer) {
		return nil
	}
	err := c.Patch(ctx, object, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{}))
	return client.IgnoreNotFound(err)
}

// settled turns the conflict of a write into another look: the cache was
// behind, or another controller wrote the object's status in between.
func settled(result ctrl.Result, err error) (ctrl.Result, error) {
	switch {
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: soon}, nil
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, nil
	case err != nil:
		return ctrl.Result{}, err // a result beside an error would be ignored
	}
	return result, nil
}
