package agent

import (
	"context"
	"errors"

	ctrl "sigs.k8s.io/controller-runtime"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/machine"
)

// stop takes the processes of a control plane down, the API server before etcd.
// Its data and its address, which nobody answers at, stay. It is repeated like
// everything else: what somebody started meanwhile is stopped again.
func (r *controlPlaneReconciler) stop(ctx context.Context, object *containerservice.ControlPlane) ctrl.Result {
	r.watch.Forget(r.dir(object))
	_, networkReady := r.endpoint(ctx, object)
	err := r.Runtime.Stop(ctx, object.Spec.Incarnation)
	stopped, again := stoppedOutcome(err, errors.Is(err, controlplane.ErrInProgress), "stopping the API server and what runs beside it")
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, containerservice.ConditionNetworkReady, networkReady)
	stamp.Set(&object.Status.Conditions, containerservice.ConditionReady, condition.Stopped(stopped.Message))
	stamp.Set(&object.Status.Conditions, containerservice.ConditionStopped, stopped)
	if stopped.True {
		object.Status.Components = nil
	}
	return again
}

// stop takes the processes of a machine down; its disk stays.
func (r *machineReconciler) stop(ctx context.Context, object *containerservice.Machine) ctrl.Result {
	err := r.Provider.Stop(ctx, object.Spec.Incarnation)
	stopped, again := stoppedOutcome(err, errors.Is(err, machine.ErrInProgress), "ending the machine's processes")
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, containerservice.ConditionProvisioned, condition.Stopped(stopped.Message))
	stamp.Set(&object.Status.Conditions, containerservice.ConditionNetworked, condition.Stopped(stopped.Message))
	stamp.Set(&object.Status.Conditions, containerservice.ConditionStopped, stopped)
	return again
}

// stoppedOutcome says how a driver's stop stands, and when to look again.
func stoppedOutcome(err error, inProgress bool, doing string) (condition.Outcome, ctrl.Result) {
	switch {
	case err == nil:
		return condition.True("no process runs"), ctrl.Result{RequeueAfter: resync}
	case inProgress:
		return condition.Waiting(doing), ctrl.Result{RequeueAfter: deleting}
	default:
		return condition.Failed(err), ctrl.Result{RequeueAfter: retry}
	}
}
