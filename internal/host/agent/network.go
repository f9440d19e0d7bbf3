package agent

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

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
	"berth.dev/berth/internal/network"
)

// conditionReady and conditionDeleting are the conditions of networks and balancers.
const (
	conditionReady    = "Ready"
	conditionDeleting = "Deleting"
)

// networkReconciler programs the virtual networks that are bound to the host,
// each together with the LoadBalancer of its name.
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

// Reconcile programs one virtual network with its balancer.
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
	balancer, err := r.balancer(ctx, object.Name)
	if err != nil {
		return ctrl.Result{}, err
	}
	outcome := r.program(ctx, &object, balancer)
	stamp := condition.Stamp{Generation: object.Generation, Time: r.Clock.Now()}
	before := object.DeepCopy()
	object.Status.ObservedGeneration = object.Generation
	stamp.Set(&object.Status.Conditions, conditionReady, outcome)
	err = patchStatus(ctx, r.client, before, &object)
	if balancer != nil {
		stamp.Generation = balancer.Generation
		before := balancer.DeepCopy()
		balancer.Status.ObservedGeneration = balancer.Generation
		stamp.Set(&balancer.Status.Conditions, conditionReady, outcome)
		err = errors.Join(err, client.IgnoreNotFound(patchStatus(ctx, r.client, before, balancer)))
	}
	if err != nil {
		return settledAll(err)
	}
	if !outcome.True {
		return ctrl.Result{RequeueAfter: retry}, nil
	}
	return ctrl.Result{RequeueAfter: resync}, nil
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

func (r *networkReconciler) balancer(ctx context.Context, name string) (*networkapi.LoadBalancer, error) {
	var balancer networkapi.LoadBalancer
	err := r.client.Get(ctx, client.ObjectKey{Name: name}, &balancer)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the load balancer %s: %w", name, err)
	}
	return &balancer, nil
}

func (r *networkReconciler) program(
	ctx context.Context, object *networkapi.VirtualNetwork, balancer *networkapi.LoadBalancer,
) condition.Outcome {
	desired, err := desiredNetwork(object, balancer)
	if err != nil {
		return condition.Failed(err)
	}
	if err := r.Fabric.EnsureNetwork(ctx, desired); err != nil {
		return condition.Failed(err)
	}
	return condition.True("programmed")
}

func desiredNetwork(object *networkapi.VirtualNetwork, balancer *networkapi.LoadBalancer) (network.Network, error) {
	nodes, nodesErr := netip.ParsePrefix(object.Spec.NodeCIDR)
	pods, podsErr := netip.ParsePrefix(object.Spec.PodCIDR)
	outbound, outboundErr := netip.ParseAddr(object.Spec.OutboundAddress)
	if err := errors.Join(nodesErr, podsErr, outboundErr); err != nil {
		return network.Network{}, fmt.Errorf("reading the virtual network: %w", err)
	}
	desired := network.Network{ID: object.Spec.Incarnation, NodeRange: nodes, PodRange: pods, OutboundAddress: outbound}
	for _, p := range object.Spec.Ports {
		port, err := desiredPort(p)
		if err != nil {
			return network.Network{}, err
		}
		desired.Ports = append(desired.Ports, port)
	}
	if balancer == nil || !balancer.DeletionTimestamp.IsZero() {
		return desired, nil
	}
	for _, f := range balancer.Spec.Frontends {
		frontend, err := desiredFrontend(f)
		if err != nil {
			return network.Network{}, err
		}
		desired.Frontends = append(desired.Frontends, frontend)
	}
	return desired, nil
}

func desiredPort(p networkapi.Port) (network.Port, error) {
	address, addressErr := netip.ParseAddr(p.Address)
	pods, podsErr := netip.ParsePrefix(p.PodCIDR)
	if err := errors.Join(addressErr, podsErr); err != nil {
		return network.Port{}, fmt.Errorf("reading the port of machine %s: %w", p.MachineName, err)
	}
	return network.Port{ID: p.Incarnation, Address: address, PodRange: pods}, nil
}

func desiredFrontend(f networkapi.Frontend) (network.Frontend, error) {
	address, err := netip.ParseAddr(f.Address)
	if err != nil {
		return network.Frontend{}, fmt.Errorf("reading the frontend of service %s: %w", f.Service, err)
	}
	desired := network.Frontend{Address: address}
	for _, rule := range f.Rules {
		desired.Rules = append(desired.Rules, network.Rule{Protocol: rule.Protocol, Port: uint16(rule.Port), NodePort: uint16(rule.NodePort)})
	}
	for _, b := range f.Backends {
		backend, err := netip.ParseAddr(b)
		if err != nil {
			return network.Frontend{}, fmt.Errorf("reading the backends of service %s: %w", f.Service, err)
		}
		desired.Backends = append(desired.Backends, backend)
	}
	return desired, nil
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
