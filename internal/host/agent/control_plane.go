package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/supervise"
)

// controlPlaneReconciler runs the control planes that are bound to the host.
type controlPlaneReconciler struct {
	Dependencies
	client client.Client
	builds *builds
	watch  *statusWatch
	// deprecated reads what clients use from the audit logs.
	deprecated deprecations
	jobs       *jobs
}

func (r *controlPlaneReconciler) register(manager ctrl.Manager) error {
	return ctrl.NewControllerManagedBy(manager).
		Named("host-control-plane").
		For(&containerservice.ControlPlane{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WatchesRawSource(source.TypedChannel(r.watch.events, &handler.TypedEnqueueRequestForObject[*containerservice.ControlPlane]{})).
		WithOptions(options()).
		Complete(r)
}

// Reconcile makes one control plane run as its spec says.
func (r *controlPlaneReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object containerservice.ControlPlane
	if err := r.client.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if object.Spec.HostName != r.HostName {
		return ctrl.Result{}, nil
	}
	if !object.DeletionTimestamp.IsZero() {
		return settled(r.remove(ctx, &object))
	}
	if err := ensureFinalizer(ctx, r.client, &object, containerservice.ControlPlaneFinalizer); err != nil {
		return settled(ctrl.Result{}, err)
	}
	before := object.DeepCopy()
	var result ctrl.Result
	if object.Spec.PowerState == meta.PowerStopped {
		result = r.stop(ctx, &object)
	} else {
		result = r.ensure(ctx, &object)
	}
	object.Status.ObservedGeneration = object.Generation
	return settled(result, patchStatus(ctx, r.client, before, &object))
}

// ensure runs the phases. Each writes its own condition; release and network
// do not wait for each other.
func (r *controlPlaneReconciler) ensure(ctx context.Context, object *containerservice.ControlPlane) ctrl.Result {
	artifacts, releaseReady := r.builds.Ensure(object.Spec.KubernetesVersion)
	namespace, networkReady := r.endpoint(ctx, object)
	status, again, ready := controlplane.Status{}, false, condition.Waiting("waiting for the release and the network")
	if releaseReady.True && networkReady.True {
		status, again, ready = r.run(ctx, object, artifacts, namespace)
	} else if !releaseReady.True {
		ready.Message = releaseReady.Message
	}
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, containerservice.ConditionReleaseReady, releaseReady)
	stamp.Set(&object.Status.Conditions, containerservice.ConditionNetworkReady, networkReady)
	stamp.Set(&object.Status.Conditions, containerservice.ConditionReady, ready)
	stamp.Set(&object.Status.Conditions, containerservice.ConditionUpToDate, upToDate(ready, status.Outdated))
	apimeta.RemoveStatusCondition(&object.Status.Conditions, containerservice.ConditionStopped)
	if releaseReady.True && networkReady.True {
		before, now := object.Status.Components, metav1.NewTime(r.Clock.Now())
		object.Status.Components = components(status.Components)
		writeVersion(&object.Status, status, now)
		writeHealth(&object.Status, before, ready.True, now)
		if err := r.deprecated.Update(r.dir(object), &object.Status, now.Time); err != nil {
			log.FromContext(ctx).Error(err, "reading the audit log: the use of deprecated APIs is not known")
		}
	}
	switch {
	case ready.True && (again || len(status.Outdated) > 0):
		return ctrl.Result{RequeueAfter: soon}
	case ready.True:
		return ctrl.Result{RequeueAfter: resync}
	case !releaseReady.True:
		return ctrl.Result{RequeueAfter: building}
	case status.Queued:
		return ctrl.Result{RequeueAfter: queued}
	case ready.Reason == condition.ReasonError || networkReady.Reason == condition.ReasonError:
		return ctrl.Result{RequeueAfter: retry}
	default:
		return ctrl.Result{RequeueAfter: soon}
	}
}

// upToDate tells whether a control plane that serves does so from what its spec says.
func upToDate(ready condition.Outcome, outdated []string) condition.Outcome {
	switch {
	case !ready.True:
		return condition.Waiting(ready.Message)
	case len(outdated) > 0:
		return condition.Waiting("about to be replaced: " + strings.Join(outdated, ", "))
	default:
		return condition.True("every component runs from the spec")
	}
}

// endpoint makes the namespace that owns the public address.
func (r *controlPlaneReconciler) endpoint(ctx context.Context, object *containerservice.ControlPlane) (string, condition.Outcome) {
	address, err := netip.ParseAddr(object.Spec.Address)
	if err != nil {
		return "", condition.Failed(fmt.Errorf("reading spec.address: %w", err))
	}
	endpoint := network.Endpoint{ID: object.Spec.Incarnation, Address: address}
	for _, text := range object.Spec.AuthorizedIPRanges {
		authorized, err := netip.ParsePrefix(text)
		if err != nil {
			return "", condition.Failed(fmt.Errorf("reading spec.authorizedIPRanges: %w", err))
		}
		endpoint.Authorized = append(endpoint.Authorized, authorized)
	}
	namespace, err := r.Fabric.EnsureEndpoint(ctx, endpoint)
	if err != nil {
		return "", condition.Failed(err)
	}
	return namespace, condition.True("the address " + object.Spec.Address + " is on the edge")
}

// run hands the control plane to its runtime. again says that it is to be looked
// at again soon, though it is ready.
func (r *controlPlaneReconciler) run(
	ctx context.Context, object *containerservice.ControlPlane, artifacts release.Artifacts, namespace string,
) (status controlplane.Status, again bool, ready condition.Outcome) {
	desired, err := desiredControlPlane(object, artifacts, namespace)
	if err != nil {
		return status, false, condition.Failed(err)
	}
	var secret corev1.Secret
	key := client.ObjectKey{Namespace: naming.SystemNamespace, Name: object.Spec.CredentialsName}
	if err := r.client.Get(ctx, key, &secret); apierrors.IsNotFound(err) {
		return status, false, condition.Waiting("waiting for the cluster's credentials")
	} else if err != nil {
		return status, false, condition.Failed(fmt.Errorf("reading the cluster's credentials: %w", err))
	}
	desired.Credentials = secret.Data
	if object.Restoring() {
		return status, false, r.replace(ctx, object, desired)
	}
	status, err = r.Runtime.Ensure(ctx, desired)
	if err != nil {
		return status, false, condition.Failed(err)
	}
	if wanted := object.Spec.CredentialsDigest; wanted != "" && wanted != pki.Digest(secret.Data) {
		status.Outdated = append(status.Outdated, "credentials") // a cache is behind, or the Secret ahead
	}
	r.watch.Follow(r.dir(object), object.Name)
	if !status.Ready {
		message := status.Message
		if message == "" {
			message = "waiting for the API server"
		}
		return status, false, condition.Waiting(message)
	}
	return status, r.reencrypt(ctx, object, desired, status), condition.True("the API server answers")
}

func desiredControlPlane(object *containerservice.ControlPlane, artifacts release.Artifacts, namespace string) (controlplane.Desired, error) {
	spec := object.Spec
	address, addressErr := netip.ParseAddr(spec.Address)
	services, servicesErr := netip.ParsePrefix(spec.ServiceCIDR)
	pods, podsErr := optionalRange(spec.PodCIDR)
	if err := errors.Join(addressErr, servicesErr, podsErr); err != nil {
		return controlplane.Desired{}, fmt.Errorf("reading the spec: %w", err)
	}
	return controlplane.Desired{
		ID: spec.Incarnation, Version: spec.KubernetesVersion, EmulatedVersion: spec.EmulatedVersion, Binaries: artifacts.Binaries,
		Address: address, FQDN: spec.FQDN, Issuer: spec.Issuer, EtcdPrefix: spec.EtcdPrefix,
		ServiceCIDR: services, PodCIDR: pods, NetworkNamespace: namespace, UserID: int(spec.UserID),
	}, nil
}

// remove takes the control plane down: its processes and data first, then the
// namespace they ran in.
func (r *controlPlaneReconciler) remove(ctx context.Context, object *containerservice.ControlPlane) (ctrl.Result, error) {
	r.watch.Forget(r.dir(object))
	err := r.Runtime.Delete(ctx, object.Spec.Incarnation)
	if err == nil {
		err = r.Fabric.DeleteEndpoint(ctx, object.Spec.Incarnation)
	}
	if err == nil {
		return ctrl.Result{}, removeFinalizer(ctx, r.client, object, containerservice.ControlPlaneFinalizer)
	}
	before := object.DeepCopy()
	message, again := "stopping its processes", deleting
	if !errors.Is(err, controlplane.ErrInProgress) {
		message, again = err.Error(), retry
	}
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, containerservice.ConditionDeleting, condition.Outcome{True: true, Reason: condition.ReasonDeleting, Message: message})
	stamp.Set(&object.Status.Conditions, containerservice.ConditionReady, condition.Outcome{Reason: condition.ReasonDeleting, Message: message})
	return ctrl.Result{RequeueAfter: again}, patchStatus(ctx, r.client, before, object)
}

func (r *controlPlaneReconciler) dir(object *containerservice.ControlPlane) string {
	return filepath.Join(r.Home.ControlPlanesDir(), object.Spec.Incarnation)
}

func components(seen []supervise.ComponentStatus) []containerservice.ComponentStatus {
	status := make([]containerservice.ComponentStatus, 0, len(seen))
	for _, c := range seen {
		status = append(status, containerservice.ComponentStatus{
			Name: c.Name, PID: int32(c.PID), Restarts: int32(c.Restarts), LastExit: c.LastExit,
		})
	}
	return status
}
