package agent

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"

	"golang.org/x/sys/unix"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	hostapi "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/network"
)

// hostReconciler reports what the host is and keeps its edge programmed.
type hostReconciler struct {
	Dependencies
	client client.Client
}

func (r *hostReconciler) register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("host").
		For(&hostapi.Host{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// Reconcile keeps the edge and the host's status; it comes again at every heartbeat.
func (r *hostReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if request.Name != r.HostName {
		return ctrl.Result{}, nil
	}
	var object hostapi.Host
	if err := r.client.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := object.DeepCopy()
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, hostapi.ConditionEdgeReady, r.edge(ctx, object.Spec))
	memory, err := memoryMiB()
	if err != nil {
		return ctrl.Result{}, err
	}
	object.Status.CPUs = int32(runtime.NumCPU())
	object.Status.MemoryMiB = memory
	object.Status.Isolation = string(r.Provider.Isolation())
	object.Status.Releases = r.built()
	now := metav1.NewTime(r.Clock.Now())
	object.Status.Heartbeat = &now
	return settled(ctrl.Result{RequeueAfter: resync}, patchStatus(ctx, r.client, before, &object))
}

func (r *hostReconciler) edge(ctx context.Context, spec hostapi.HostSpec) condition.Outcome {
	edge, err := Edge(spec)
	if err != nil {
		return condition.Failed(err)
	}
	if err := r.Fabric.EnsureEdge(ctx, edge); err != nil {
		return condition.Failed(err)
	}
	return condition.True("the edge has " + spec.PublicRange)
}

// built are the versions of the catalog whose binaries are on this host.
func (r *hostReconciler) built() []string {
	var built []string
	for _, version := range r.Versions {
		if _, ok := r.Releases.Lookup(version); ok {
			built = append(built, version)
		}
	}
	return built
}

// Edge is the desired edge of a host.
func Edge(spec hostapi.HostSpec) (network.Edge, error) {
	prefix, err := netip.ParsePrefix(spec.PublicRange)
	if err != nil {
		return network.Edge{}, fmt.Errorf("reading the public range: %w", err)
	}
	plan := network.PlanPublicRange(prefix)
	return network.Edge{
		PublicRange: prefix, HostAddress: plan.Host, ServiceAddresses: []netip.Addr{plan.FrontEnd, plan.DNS}, Egress: spec.Egress, Announce: spec.Announce,
	}, nil
}

// memoryMiB is the memory of this host.
func memoryMiB() (int64, error) {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0, fmt.Errorf("reading the host's memory: %w", err)
	}
	return int64(info.Totalram) * int64(info.Unit) >> 20, nil
}
