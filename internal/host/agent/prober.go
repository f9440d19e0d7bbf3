package agent

import (
	"context"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	hostapi "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
)

// Prober is the process that takes dead backends out of rotation.
type Prober interface {
	// Ensure makes it run; running is false while it is not there.
	Ensure(ctx context.Context) (running bool, err error)
}

// proberReconciler keeps the prober running.
type proberReconciler struct {
	Dependencies
	client client.Client
}

func (r *proberReconciler) register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("host-prober").
		For(&hostapi.Host{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Complete(r)
}

// Reconcile starts the prober where it does not run.
func (r *proberReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if request.Name != r.HostName || r.Prober == nil {
		return ctrl.Result{}, nil
	}
	var object hostapi.Host
	if err := r.client.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	outcome, result := condition.True("backends are probed"), ctrl.Result{RequeueAfter: resync}
	running, err := r.Prober.Ensure(ctx)
	switch {
	case err != nil:
		outcome, result.RequeueAfter = condition.Failed(err), retry
	case !running:
		outcome, result.RequeueAfter = condition.Waiting("waiting for the prober to start"), soon
	}
	before := object.DeepCopy()
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, hostapi.ConditionBackendsProbed, outcome)
	return settled(result, patchStatus(ctx, r.client, before, &object))
}
