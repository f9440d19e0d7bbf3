package nodegroup

import (
	"context"
	"fmt"
	"strings"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
)

// state is what the hub has of the clusters whose node resource groups are in
// the scope of a request.
type state struct {
	clusters  []containerservicev1.ManagedCluster
	machines  containerservicev1.MachineList
	pools     containerservicev1.AgentPoolList
	networks  networkv1.VirtualNetworkList
	balancers networkv1.LoadBalancerList
}

// read reads the state; without a cluster in scope, nothing but the clusters.
func (p *Provider) read(ctx context.Context, subscriptionID, group string) (*state, error) {
	var clusters containerservicev1.ManagedClusterList
	if err := p.Client.List(ctx, &clusters); err != nil {
		return nil, err
	}
	s := &state{}
	for _, cluster := range clusters.Items {
		inGroup := group == "" || strings.EqualFold(cluster.Spec.NodeResourceGroup, group)
		if strings.EqualFold(cluster.Spec.SubscriptionID, subscriptionID) && inGroup {
			s.clusters = append(s.clusters, cluster)
		}
	}
	if len(s.clusters) == 0 {
		return s, nil
	}
	if err := p.Client.List(ctx, &s.machines); err != nil {
		return nil, err
	}
	if err := p.Client.List(ctx, &s.pools); err != nil {
		return nil, err
	}
	if err := p.Client.List(ctx, &s.networks); err != nil {
		return nil, err
	}
	return s, p.Client.List(ctx, &s.balancers)
}

// network is the virtual network of a cluster, nil if there is none yet.
func (s *state) network(c *containerservicev1.ManagedCluster) *networkv1.VirtualNetwork {
	name := naming.VirtualNetwork(c.Spec.Network.VirtualNetworkID, c.Spec.Incarnation)
	for i := range s.networks.Items {
		if s.networks.Items[i].Name == name {
			return &s.networks.Items[i]
		}
	}
	return nil
}

// machinesOf are the machines of a cluster.
func (s *state) machinesOf(c *containerservicev1.ManagedCluster) []*containerservicev1.Machine {
	var list []*containerservicev1.Machine
	for i := range s.machines.Items {
		if s.machines.Items[i].Spec.ClusterName == c.Name {
			list = append(list, &s.machines.Items[i])
		}
	}
	return list
}

// in is the id of something of a cluster's node resource group.
func in(c *containerservicev1.ManagedCluster, namespace, resourceType, name string) arm.ResourceID {
	return arm.ResourceID{SubscriptionID: c.Spec.SubscriptionID, ResourceGroup: c.Spec.NodeResourceGroup, Provider: namespace,
		Types: []string{resourceType}, Names: []string{name}}
}

// LoadBalancerID is the id of a cluster's load balancer: of the public one, or
// of the one that answers inside the network only.
func LoadBalancerID(c *containerservicev1.ManagedCluster, internal bool) string {
	name := "kubernetes"
	if internal {
		name = "kubernetes-internal"
	}
	return in(c, Network, "loadBalancers", name).String()
}

// InterfaceID is the id of the interface of a cluster's node.
func InterfaceID(c *containerservicev1.ManagedCluster, node string) string {
	return in(c, Network, "networkInterfaces", node+"-nic").String()
}

// PublicAddressID is the id of a public address that a cluster took for itself,
// by what for.
func PublicAddressID(c *containerservicev1.ManagedCluster, purpose string) string {
	return in(c, Network, "publicIPAddresses", PublicAddressName(c, purpose)).String()
}

// PublicAddressName is the name of such an address, as AKS makes names: of one
// of a service, kubernetes-a and digits; of one of outbound traffic, digits.
func PublicAddressName(c *containerservicev1.ManagedCluster, purpose string) string {
	digits := naming.Digits(c.Spec.Incarnation+"/"+purpose) + naming.Digits(purpose+"/"+c.Spec.Incarnation)
	if strings.HasPrefix(purpose, "service/") {
		return "kubernetes-a" + digits
	}
	return "outbound-" + digits
}

// FrontendID is the id of the frontend of a service in its cluster's balancer.
func FrontendID(c *containerservicev1.ManagedCluster, f networkv1.Frontend) string {
	return LoadBalancerID(c, f.Internal) + "/frontendIPConfigurations/" + ruleName(f.Service)
}

// OutboundPurpose is what a cluster's nth address of outbound traffic, from 0, is for.
func OutboundPurpose(n int) string {
	if n == 0 {
		return "outbound"
	}
	return fmt.Sprintf("outbound/%d", n+1)
}

// OutboundID is the id of the frontend of such an address.
func OutboundID(c *containerservicev1.ManagedCluster, n int) string {
	return LoadBalancerID(c, false) + "/frontendIPConfigurations/" + PublicAddressName(c, OutboundPurpose(n))
}

// ruleName is a name for what belongs to a service.
func ruleName(service string, parts ...string) string {
	return strings.Join(append([]string{"a" + naming.Digits(service)}, parts...), "-")
}
