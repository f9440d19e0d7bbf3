package agent

import (
	"context"
	"errors"
	"fmt"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/machine"
)

// diskReconciler makes the disks that are bound to the host, and brings each into
// the machine that it is to be in.
type diskReconciler struct {
	Dependencies
	client client.Client
}

func (r *diskReconciler) register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("host-disk").
		For(&containerservice.Disk{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(options()).
		Complete(r)
}

// Reconcile brings one disk a step on. What is where it is to be is looked at
// again all the same: a machine that started anew has lost its mounts.
func (r *diskReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object containerservice.Disk
	if err := r.client.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if object.Spec.HostName != r.HostName {
		return ctrl.Result{}, nil
	}
	if !object.DeletionTimestamp.IsZero() {
		return settled(r.remove(ctx, &object))
	}
	if err := ensureFinalizer(ctx, r.client, &object, containerservice.DiskFinalizer); err != nil {
		return settled(ctrl.Result{}, err)
	}
	before := object.DeepCopy()
	found, err := r.Disks.EnsureDisk(ctx, machine.Disk{
		ID: object.Spec.Incarnation, SizeGiB: int(object.Spec.SizeGiB), MachineID: object.Spec.MachineIncarnation,
	})
	ready, result := condition.True("the disk is as asked for"), ctrl.Result{RequeueAfter: resync}
	switch {
	case err != nil:
		ready, result.RequeueAfter = outcomeOf(err), retry
	case found.Message != "":
		ready, result.RequeueAfter = condition.Waiting(found.Message), deleting
	default:
		object.Status.SizeGiB = int32(found.SizeGiB)
	}
	object.Status.Mounted = found.Mounted
	if err == nil {
		object.Status.MachineIncarnation, object.Status.ObservedGeneration = found.MachineID, object.Generation
	}
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, containerservice.ConditionReady, ready)
	return settled(result, patchStatus(ctx, r.client, before, &object))
}

// remove takes the disk out of its machine and deletes it with all that is on it.
func (r *diskReconciler) remove(ctx context.Context, object *containerservice.Disk) (ctrl.Result, error) {
	err := r.Disks.DeleteDisk(ctx, object.Spec.Incarnation)
	switch {
	case err == nil:
		return ctrl.Result{}, removeFinalizer(ctx, r.client, object, containerservice.DiskFinalizer)
	case errors.Is(err, machine.ErrInProgress):
		return ctrl.Result{RequeueAfter: deleting}, nil
	}
	return ctrl.Result{}, fmt.Errorf("deleting disk %s: %w", object.Name, err)
}
