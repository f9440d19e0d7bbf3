package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	networkapi "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/topology"
)

// conditionReady and conditionDeleting are the conditions of networks and balancers.
const (
	conditionReady    = "Ready"
	conditionDeleting = "Deleting"
)

// networkReconciler programs the virtual networks that are bound to the host,
// each together with its load balancers and with the security groups and route
// tables of its subnets.
type networkReconciler struct {
	Dependencies
	client client.Client
}

func (r *networkReconciler) register(manager ctrl.Manager) error {
	changed := builder.WithPredicates(predicate.GenerationChangedPredicate{})
	return ctrl.NewControllerManagedBy(manager).
		Named("host-virtual-network").
		For(&networkapi.VirtualNetwork{}, changed).
		Watches(&networkapi.LoadBalancer{}, handler.EnqueueRequestsFromMapFunc(networkOfBalancer), changed).
		Watches(&networkapi.NetworkSecurityGroup{}, handler.EnqueueRequestsFromMapFunc(r.networksThatUse), changed).
		Watches(&networkapi.RouteTable{}, handler.EnqueueRequestsFromMapFunc(r.networksThatUse), changed).
		WithOptions(options()).
		Complete(r)
}

func networkOfBalancer(_ context.Context, object client.Object) []reconcile.Request {
	balancer, ok := object.(*networkapi.LoadBalancer)
	if !ok {
		return nil
	}
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Name: balancer.Spec.VirtualNetworkName}}}
}

// networksThatUse are the networks with a subnet that names the security group
// or route table.
func (r *networkReconciler) networksThatUse(ctx context.Context, object client.Object) []reconcile.Request {
	var networks networkapi.VirtualNetworkList
	if err := r.client.List(ctx, &networks); err != nil {
		return nil // the cache has ended, and the service with it
	}
	var requests []reconcile.Request
	for _, virtual := range networks.Items {
		if slices.ContainsFunc(virtual.Spec.Subnets, func(s networkapi.Subnet) bool {
			return s.NetworkSecurityGroupName == object.GetName() || s.RouteTableName == object.GetName()
		}) {
			requests = append(requests, reconcile.Request{NamespacedName: types.NamespacedName{Name: virtual.Name}})
		}
	}
	return requests
}

// Reconcile programs one virtual network with its balancers.
func (r *networkReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object networkapi.VirtualNetwork
	if err := r.client.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if object.Spec.HostName != r.HostName {
		return ctrl.Result{}, nil
	}
	if !object.DeletionTimestamp.IsZero() {
		return settled(r.remove(ctx, &object))
	}
	if err := ensureFinalizer(ctx, r.client, &object, networkapi.VirtualNetworkFinalizer); err != nil {
		return settled(ctrl.Result{}, err)
	}
	parts, err := topology.Read(ctx, r.client, &object, r.DNS.Zone.Server)
	if err != nil {
		return ctrl.Result{}, err
	}
	outcome := r.program(ctx, &object, parts)
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	before := object.DeepCopy()
	object.Status.ObservedGeneration = object.Generation
	if outcome.True {
		object.Status.Applied = parts.Applied()
	}
	stamp.Set(&object.Status.Conditions, conditionReady, outcome)
	err = patchStatus(ctx, r.client, before, &object)
	for i := range parts.Balancers {
		err = errors.Join(err, client.IgnoreNotFound(r.report(ctx, &parts.Balancers[i], outcome)))
	}
	if err != nil {
		return settledAll(err)
	}
	if !outcome.True {
		return ctrl.Result{RequeueAfter: retry}, nil
	}
	return ctrl.Result{RequeueAfter: resync}, nil
}

// report writes what became of a balancer. It writes the whole status, and asks for no
// version: nobody else writes it, and where service after service changes the
// spec, there would never be a moment to say what is programmed so far.
func (r *networkReconciler) report(ctx context.Context, balancer *networkapi.LoadBalancer, outcome condition.Outcome) error {
	status := balancer.Status.DeepCopy()
	status.ObservedGeneration = balancer.Generation
	if outcome.True {
		status.Frontends = balancer.Spec.Programmed()
	}
	condition.Stamp{Generation: balancer.Generation, Time: r.Clock.Now()}.Set(&status.Conditions, conditionReady, outcome)
	if equality.Semantic.DeepEqual(&balancer.Status, status) {
		return nil
	}
	patch, err := json.Marshal(map[string]any{"status": map[string]any{
		"observedGeneration": status.ObservedGeneration, "frontends": status.Frontends, "conditions": status.Conditions,
	}})
	if err != nil {
		return fmt.Errorf("encoding the status of load balancer %s: %w", balancer.Name, err)
	}
	return r.client.Status().Patch(ctx, balancer, client.RawPatch(types.MergePatchType, patch))
}

// settledAll is settled for joined errors.
func settledAll(err error) (ctrl.Result, error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return settled(ctrl.Result{}, err)
	}
	for _, e := range joined.Unwrap() {
		if !apierrors.IsConflict(e) && !apierrors.IsNotFound(e) {
			return ctrl.Result{}, err
		}
	}
	return ctrl.Result{RequeueAfter: soon}, nil
}

func (r *networkReconciler) program(ctx context.Context, object *networkapi.VirtualNetwork, parts topology.Parts) condition.Outcome {
	desired, err := parts.Network(object.Spec.Current())
	if err != nil {
		return condition.Failed(err)
	}
	if err := r.Fabric.EnsureNetwork(ctx, desired); err != nil {
		return condition.Failed(err)
	}
	return condition.True("programmed")
}

func (r *networkReconciler) remove(ctx context.Context, object *networkapi.VirtualNetwork) (ctrl.Result, error) {
	err := r.Fabric.DeleteNetwork(ctx, object.Spec.Incarnation)
	if err == nil {
		return ctrl.Result{}, removeFinalizer(ctx, r.client, object, networkapi.VirtualNetworkFinalizer)
	}
	before := object.DeepCopy()
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	stamp.Set(&object.Status.Conditions, conditionDeleting, condition.Outcome{True: true, Reason: condition.ReasonDeleting, Message: err.Error()})
	return ctrl.Result{RequeueAfter: retry}, patchStatus(ctx, r.client, before, object)
}
