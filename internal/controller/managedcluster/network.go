package managedcluster

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/naming"
)

// network makes the virtual network and its load balancer. The entries in them
// belong to others: ports to the agent pools, frontends to the tenant's services.
type network struct {
	config Config
}

func (p *network) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if !s.outbound.IsValid() {
		return reconcile.Result{}, nil // the phase addresses said why
	}
	if s.network == nil && s.givesUp() {
		s.report(v1alpha1.ConditionNetworkReady, condition.Aborted())
		return reconcile.Result{}, nil
	}
	if s.network == nil {
		if err := p.create(ctx, s); err != nil {
			return reconcile.Result{}, err
		}
	}
	if s.network.DeletionTimestamp != nil {
		s.report(v1alpha1.ConditionNetworkReady, condition.Waiting("the virtual network was deleted and is made again once it is gone"))
		return reconcile.Result{}, nil
	}
	s.report(v1alpha1.ConditionNetworkReady, condition.Mirror(s.network.Status.Conditions, v1alpha1.ConditionReady,
		"waiting for the host agent to make the virtual network"))
	return reconcile.Result{}, nil
}

// create makes both objects, the balancer first: the network stands for both
// once it is there.
func (p *network) create(ctx context.Context, s *scope) error {
	balancer := &networkv1.LoadBalancer{
		ObjectMeta: metav1.ObjectMeta{Name: s.incarnation()},
		Spec:       networkv1.LoadBalancerSpec{VirtualNetworkName: s.incarnation()},
	}
	if err := p.config.Client.Create(ctx, balancer); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the load balancer: %w", err)
	}
	plan := s.cluster.Spec.Network
	vnet := &networkv1.VirtualNetwork{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.incarnation(), Finalizers: []string{networkv1.VirtualNetworkFinalizer},
		},
		Spec: networkv1.VirtualNetworkSpec{
			ClusterName: s.cluster.Name, HostName: naming.LocalHost, Incarnation: s.incarnation(),
			NodeCIDR: plan.NodeCIDR, PodCIDR: plan.PodCIDR, OutboundAddress: s.outbound.String(),
		},
	}
	err := p.config.Client.Create(ctx, vnet)
	if apierrors.IsAlreadyExists(err) { // the cache has not seen it yet
		err = p.config.Reader.Get(ctx, client.ObjectKeyFromObject(vnet), vnet)
	}
	if err != nil {
		return fmt.Errorf("making the virtual network: %w", err)
	}
	s.network = vnet
	return nil
}
