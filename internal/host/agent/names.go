package agent

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/dns"
)

// Names is the DNS server of the install zone.
type Names interface {
	// Ensure makes it run and serve a zone; running is false while its process is not there.
	Ensure(ctx context.Context, desired dns.Desired) (running bool, err error)
}

// nameReconciler keeps the install's DNS running, with the names of the
// service and of every control plane that has an address.
type nameReconciler struct {
	Dependencies
	client client.Client
}

func (r *nameReconciler) register(manager ctrl.Manager) error {
	changed := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	this := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: r.HostName}}}
	})
	return ctrl.NewControllerManagedBy(manager).
		Named("host-dns").
		For(&hostapi.Host{}, changed).
		Watches(&containerservice.ControlPlane{}, this, changed).
		Complete(r)
}

// Reconcile makes the zone hold what there is.
func (r *nameReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if request.Name != r.HostName {
		return ctrl.Result{}, nil
	}
	var object hostapi.Host
	if err := r.client.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	outcome := r.serve(ctx)
	before := object.DeepCopy()
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, hostapi.ConditionDNSReady, outcome)
	result := ctrl.Result{RequeueAfter: resync}
	switch {
	case outcome.True:
	case outcome.Reason == condition.ReasonWaiting:
		result.RequeueAfter = soon
	default:
		result.RequeueAfter = retry
	}
	return settled(result, patchStatus(ctx, r.client, before, &object))
}

func (r *nameReconciler) serve(ctx context.Context) condition.Outcome {
	var controlPlanes containerservice.ControlPlaneList
	if err := r.client.List(ctx, &controlPlanes); err != nil {
		return condition.Failed(fmt.Errorf("listing the control planes: %w", err))
	}
	desired := r.DNS
	desired.Zone.Records = slices.Clone(r.DNS.Zone.Records)
	for _, c := range controlPlanes.Items {
		address, err := netip.ParseAddr(c.Spec.Address)
		if err != nil {
			continue // its own conditions say so; the other clusters keep their names
		}
		desired.Zone.Records = append(desired.Zone.Records, dns.Record{Name: c.Spec.FQDN, Address: address})
	}
	running, err := r.Names.Ensure(ctx, desired)
	switch {
	case err != nil:
		return condition.Failed(err)
	case !running:
		return condition.Waiting("waiting for the DNS server to start")
	}
	return condition.True("the zone " + desired.Zone.Name + " is served on " + desired.Zone.Server.String())
}
