package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkapi "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/supervise"
	"berth.dev/berth/internal/topology"
)

// machineReconciler makes the machines that are bound to the host and attaches
// them to their virtual networks.
type machineReconciler struct {
	Dependencies
	client client.Client
	builds *builds
}

func (r *machineReconciler) register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("host-machine").
		For(&containerservice.Machine{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&networkapi.VirtualNetwork{}, handler.EnqueueRequestsFromMapFunc(machinesOfNetwork)).
		WithOptions(options()).
		Complete(r)
}

func machinesOfNetwork(_ context.Context, object client.Object) []reconcile.Request {
	virtual, ok := object.(*networkapi.VirtualNetwork)
	if !ok {
		return nil
	}
	var requests []reconcile.Request
	for _, port := range virtual.Spec.Ports {
		requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: port.MachineName}})
	}
	return requests
}

// Reconcile makes one machine run, attached to its network.
func (r *machineReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object containerservice.Machine
	if err := r.client.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if object.Spec.HostName != r.HostName {
		return ctrl.Result{}, nil
	}
	if !object.DeletionTimestamp.IsZero() {
		return settled(r.remove(ctx, &object))
	}
	if err := ensureFinalizer(ctx, r.client, &object, containerservice.MachineFinalizer); err != nil {
		return settled(ctrl.Result{}, err)
	}
	before := object.DeepCopy()
	var result ctrl.Result
	if object.Spec.PowerState == meta.PowerStopped {
		result = r.stop(ctx, &object)
	} else {
		result = r.ensure(ctx, &object)
	}
	return settled(result, patchStatus(ctx, r.client, before, &object))
}

// ensure runs the phases: provision, then network. A machine is made before
// its control plane answers: what runs inside waits for it.
func (r *machineReconciler) ensure(ctx context.Context, object *containerservice.Machine) ctrl.Result {
	cluster, err := r.surroundings(ctx, object)
	var provisioned condition.Outcome
	networked := condition.Waiting("waiting for the machine")
	var status machine.Status
	if err != nil {
		provisioned = outcomeOf(err)
	} else {
		status, provisioned = r.provision(ctx, object, cluster)
	}
	if status.NetworkNamespace != "" {
		networked = r.attach(ctx, object, cluster, status.NetworkNamespace)
	}
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, containerservice.ConditionProvisioned, provisioned)
	stamp.Set(&object.Status.Conditions, containerservice.ConditionNetworked, networked)
	apimeta.RemoveStatusCondition(&object.Status.Conditions, containerservice.ConditionStopped)
	next := interval(provisioned, networked)
	if !credentialed(object, cluster, status) {
		next = min(next, soon)
	}
	if status.Running && certificatesEnded(object, status) {
		next = min(next, retry)
	}
	return ctrl.Result{RequeueAfter: min(next, r.lookAtBundles(ctx, object, cluster, status))}
}

// certificatesEnded takes note of whether the node has no certificate but one that
// has ended, as after a long stop: then nobody but its one-time token speaks for it.
func certificatesEnded(object *containerservice.Machine, status machine.Status) bool {
	ended := slices.ContainsFunc(status.Components, func(c supervise.ComponentStatus) bool { return c.Ended })
	object.Status.CertificatesEnded = ended
	return ended
}

// credentialed takes note of it once everything in the machine runs with the
// credentials that its spec names; false if that is to be looked at again.
func credentialed(object *containerservice.Machine, cluster surroundings, status machine.Status) bool {
	wanted := object.Spec.Credentials
	if wanted == nil || object.Status.CredentialsDigest == wanted.Digest {
		return true
	}
	if !status.Running || status.Outdated || !namesCredentials(object, cluster) {
		return false
	}
	object.Status.CredentialsDigest = wanted.Digest
	return true
}

// namesCredentials says whether the credentials that the spec names are those that
// lie in the Secrets.
func namesCredentials(object *containerservice.Machine, cluster surroundings) bool {
	wanted := object.Spec.Credentials
	return wanted != nil && wanted.Digest == pki.MachineDigest(cluster.clusterCA, cluster.secret[secretProxyCert])
}

// interval is when a machine is looked at again.
func interval(outcomes ...condition.Outcome) time.Duration {
	next := resync
	for _, o := range outcomes {
		switch {
		case o.True:
		case o.Reason == reasonBuilding || o.Reason == reasonBuildFailed:
			return building
		case o.Reason == condition.ReasonWaiting:
			next = min(next, soon)
		default:
			next = min(next, retry)
		}
	}
	return next
}

// waitingFor is an error that says what has to exist first.
type waitingFor string

func (w waitingFor) Error() string { return "waiting for " + string(w) }

// outcomeOf tells waiting from failing.
func outcomeOf(err error) condition.Outcome {
	var waiting waitingFor
	switch {
	case errors.As(err, &waiting):
		return condition.Waiting(err.Error())
	case errors.Is(err, machine.ErrNoCapacity):
		return condition.Outcome{Reason: reasonNoCapacity, Message: err.Error()}
	default:
		return condition.Failed(err)
	}
}

// reasonNoCapacity is AKS's code for a host that has no room.
const reasonNoCapacity = "AllocationFailed"

// provision makes the machine run.
func (r *machineReconciler) provision(
	ctx context.Context, object *containerservice.Machine, cluster surroundings,
) (machine.Status, condition.Outcome) {
	artifacts, built := r.builds.Ensure(object.Spec.KubernetesVersion)
	if !built.True {
		return machine.Status{}, built
	}
	desired, err := desiredMachine(object, cluster, artifacts)
	if err != nil {
		return machine.Status{}, outcomeOf(err)
	}
	// What the spec does not name yet is not for a machine that runs: its pool takes
	// one machine after the other.
	desired.AtStart = !namesCredentials(object, cluster)
	status, err := r.Provider.Ensure(ctx, desired)
	if err != nil {
		return status, outcomeOf(err)
	}
	if object.Status.NodeImage == "" { // it is made from this one, and keeps its disk
		object.Status.NodeImage = artifacts.NodeImageName
	}
	if !status.Running {
		message := status.Message
		if message == "" {
			message = "starting the machine"
		}
		return status, condition.Waiting(message)
	}
	return status, condition.True("the machine runs")
}

// attach puts the machine's port into its namespace.
func (r *machineReconciler) attach(
	ctx context.Context, object *containerservice.Machine, cluster surroundings, namespace string,
) condition.Outcome {
	var virtual networkapi.VirtualNetwork
	name := naming.VirtualNetwork(cluster.network.VirtualNetworkID, cluster.incarnation)
	if err := r.client.Get(ctx, client.ObjectKey{Name: name}, &virtual); apierrors.IsNotFound(err) {
		return condition.Waiting("waiting for the virtual network")
	} else if err != nil {
		return condition.Failed(fmt.Errorf("reading the virtual network %s: %w", name, err))
	}
	at := slices.IndexFunc(virtual.Spec.Ports, func(p networkapi.Port) bool { return p.Incarnation == object.Spec.Incarnation })
	if at < 0 {
		return condition.Waiting("waiting for the machine's port in the virtual network")
	}
	port, err := topology.Port(virtual.Spec.Current().Ports[at])
	if err != nil {
		return condition.Failed(err)
	}
	err = r.Fabric.AttachPort(ctx, virtual.Spec.Incarnation, port, namespace)
	switch {
	case err == nil:
		return condition.True("attached to the virtual network")
	case errors.Is(err, network.ErrNotFound):
		return condition.Waiting("waiting for the virtual network")
	default:
		return condition.Failed(err)
	}
}

// remove takes the machine down. Its link goes with its namespace.
func (r *machineReconciler) remove(ctx context.Context, object *containerservice.Machine) (ctrl.Result, error) {
	err := r.Provider.Delete(ctx, object.Spec.Incarnation)
	if err == nil {
		return ctrl.Result{}, removeFinalizer(ctx, r.client, object, containerservice.MachineFinalizer)
	}
	message, again := "ending the machine", deleting
	if !errors.Is(err, machine.ErrInProgress) {
		message, again = err.Error(), retry
	}
	before := object.DeepCopy()
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, containerservice.ConditionProvisioned, condition.Outcome{Reason: condition.ReasonDeleting, Message: message})
	err = patchStatus(ctx, r.client, before, object)
	if apierrors.IsConflict(err) {
		err = nil // the message is only for people
	}
	return ctrl.Result{RequeueAfter: again}, err
}
