package managedcluster

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/controller/condition"
	"berth.dev/berth/internal/naming"
)

// network makes the cluster's virtual network, or joins the one that its caller
// made, and makes its load balancer. The entries in them belong to others: ports
// to the agent pools, frontends to the tenant's services.
type network struct {
	config    Config
	allocator allocation.Allocator
}

func (p *network) Reconcile(ctx context.Context, s *scope) (reconcile.Result, error) {
	if len(s.outbound) == 0 || s.nodeGroupTaken != "" {
		return reconcile.Result{}, nil // the phase before said why
	}
	joins, joined := s.cluster.Spec.Network.Joins(), s.network != nil && outboundOf(s.network, s.incarnation()) != nil
	if !joined && s.givesUp() {
		s.report(v1alpha1.ConditionNetworkReady, condition.Aborted())
		return reconcile.Result{}, nil
	}
	if s.network == nil && joins {
		s.report(v1alpha1.ConditionNetworkReady, condition.Waiting(
			"the virtual network "+s.cluster.Spec.Network.VirtualNetworkID+" is not there; make it again with its subnets, or delete the cluster"))
		return reconcile.Result{}, nil
	}
	if !joined {
		if err := p.balancer(ctx, s); err != nil {
			return reconcile.Result{}, err
		}
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
	if !s.givesUp() {
		if err := p.enter(ctx, s); err != nil {
			return reconcile.Result{}, err
		}
	}
	outcome := p.outcome(s)
	s.report(v1alpha1.ConditionNetworkReady, outcome)
	if outcome.True && s.cluster.Operation(meta.ScopeCluster) != nil { // no packet leaves with an address that is given back here
		return reconcile.Result{}, p.allocator.ReleaseOutbound(ctx, s.owner(), s.cluster.Spec.Outbound.Managed())
	}
	return reconcile.Result{}, nil
}

// outcome says whether the network is programmed: while an operation runs, with
// what the operation wrote into it. Of a new cluster only its machines write
// once they have ports, and say themselves whether they are attached.
func (p *network) outcome(s *scope) condition.Outcome {
	outcome := condition.Mirror(s.network.Status.Conditions, v1alpha1.ConditionReady, "waiting for the host agent to make the virtual network")
	operation := s.cluster.Operation(meta.ScopeCluster)
	if !outcome.True || operation == nil || s.network.Status.ObservedGeneration >= s.network.Generation {
		return outcome
	}
	if operation.Verb == meta.VerbCreate && slices.ContainsFunc(s.network.Spec.Ports, func(p networkv1.Port) bool { return p.ClusterIncarnation == s.incarnation() }) {
		return outcome
	}
	return condition.Waiting("waiting for the host agent to program the virtual network")
}

// balancer makes the cluster's load balancer, before the network stands for both.
func (p *network) balancer(ctx context.Context, s *scope) error {
	balancer := &networkv1.LoadBalancer{
		ObjectMeta: metav1.ObjectMeta{Name: s.incarnation()},
		Spec:       networkv1.LoadBalancerSpec{VirtualNetworkName: s.networkName()},
	}
	if err := p.config.Client.Create(ctx, balancer); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("making the load balancer: %w", err)
	}
	return nil
}

// create makes the network of a cluster that brings none.
func (p *network) create(ctx context.Context, s *scope) error {
	spec := s.cluster.Spec
	vnet := &networkv1.VirtualNetwork{
		ObjectMeta: metav1.ObjectMeta{
			Name: s.networkName(), Finalizers: []string{networkv1.VirtualNetworkFinalizer},
		},
		Spec: networkv1.VirtualNetworkSpec{
			Resource:    managed(s.cluster, spec.Network.VirtualNetworkID),
			ClusterName: s.cluster.Name, HostName: naming.LocalHost, Incarnation: s.incarnation(),
			AddressSpace: []string{spec.Network.VNetCIDR},
			Subnets:      []networkv1.Subnet{s.ownSubnet()},
		},
	}
	s.enter(&vnet.Spec)
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

// ownSubnet is the one subnet of a network that is made for the cluster.
func (s *scope) ownSubnet() networkv1.Subnet {
	subnet := networkv1.Subnet{Name: networkv1.DefaultSubnet, CIDR: s.cluster.Spec.Network.NodeCIDR}
	if s.cluster.Spec.Network.VirtualNetworkID == "" { // an earlier version named the cluster, and what it has has no ids
		return subnet
	}
	subnet.NetworkSecurityGroupName = naming.Object(securityGroupID(s.cluster))
	if s.cluster.Spec.Network.Plugin == v1alpha1.NetworkPluginKubenet {
		subnet.RouteTableName = naming.Object(routeTableID(s.cluster))
	}
	return subnet
}

// enter writes the cluster's entries into its network, if they are not there.
func (p *network) enter(ctx context.Context, s *scope) error {
	if current := s.network.Spec.Current(); !s.enter(&current) {
		return nil
	}
	vnet, err := p.allocator.UpdateNetwork(ctx, s.networkName(), func(vnet *networkv1.VirtualNetwork) (bool, error) {
		current := vnet.Spec.Current()
		if !s.enter(&current) {
			return false, nil
		}
		vnet.Spec = current
		return true, s.checkPodRange(current)
	})
	if err == nil {
		s.network = vnet
	}
	return err
}

// enter puts the cluster's entries into a network and says whether that
// changed anything.
func (s *scope) enter(spec *networkv1.VirtualNetworkSpec) (changed bool) {
	wanted := networkv1.Outbound{
		ClusterIncarnation: s.incarnation(), Addresses: s.outbound, PortsPerNode: s.cluster.Spec.Outbound.PortsPerNode,
		Disabled: s.cluster.Spec.Network.OutboundType == v1alpha1.OutboundTypeNone,
	}
	at := slices.IndexFunc(spec.Outbounds, func(o networkv1.Outbound) bool { return o.ClusterIncarnation == wanted.ClusterIncarnation })
	switch {
	case at < 0:
		spec.Outbounds, changed = append(spec.Outbounds, wanted), true
	case !slices.Equal(spec.Outbounds[at].Addresses, wanted.Addresses) ||
		spec.Outbounds[at].PortsPerNode != wanted.PortsPerNode || spec.Outbounds[at].Disabled != wanted.Disabled:
		spec.Outbounds[at], changed = wanted, true
	}
	pods := networkv1.PodCIDR{ClusterIncarnation: s.incarnation(), CIDR: s.cluster.Spec.Network.PodCIDR}
	if pods.CIDR != "" && !slices.Contains(spec.PodCIDRs, pods) {
		spec.PodCIDRs, changed = append(spec.PodCIDRs, pods), true
	}
	return changed
}

// checkPodRange refuses a pod range that another cluster took in between: one
// network routes each address to one place.
func (s *scope) checkPodRange(spec networkv1.VirtualNetworkSpec) error {
	own, err := netip.ParsePrefix(s.cluster.Spec.Network.PodCIDR)
	if err != nil {
		return nil //nolint:nilerr // it has none
	}
	for _, pods := range spec.PodCIDRs {
		if other, err := netip.ParsePrefix(pods.CIDR); err == nil && pods.ClusterIncarnation != s.incarnation() && other.Overlaps(own) {
			return fmt.Errorf("the podCidr %s overlaps %s, that of another cluster in the virtual network: delete the cluster and make it with another podCidr", own, other)
		}
	}
	return nil
}
