package network

import (
	"context"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/rp/join"
)

// snapshot is what one request reads of the objects that refer to each other,
// each list once and only if it is needed.
type snapshot struct {
	ctx    context.Context
	client client.Client
	now    time.Time
	loaded map[client.ObjectList]bool

	networks     networkv1.VirtualNetworkList
	groups       networkv1.NetworkSecurityGroupList
	tables       networkv1.RouteTableList
	reservations networkv1.AddressReservationList
	claims       networkv1.PublicIPAddressList
	balancers    networkv1.LoadBalancerList
	clusters     containerservicev1.ManagedClusterList
}

func (p *Provider) snapshot(ctx context.Context) *snapshot {
	return &snapshot{ctx: ctx, client: p.Client, now: p.Now(), loaded: map[client.ObjectList]bool{}}
}

// load fills lists that were not filled before.
func (s *snapshot) load(lists ...client.ObjectList) error {
	for _, list := range lists {
		if s.loaded[list] {
			continue
		}
		if err := s.client.List(s.ctx, list); err != nil {
			return err
		}
		s.loaded[list] = true
	}
	return nil
}

// in are the resources of a type in a subscription, or in one of its groups.
func (s *snapshot) in(k *kind, subscriptionID, group string) ([]networkv1.Object, error) {
	all, err := s.all(k)
	if err != nil {
		return nil, err
	}
	var kept []networkv1.Object
	for _, o := range all {
		if liesIn(o, subscriptionID, group) && (k.selects == nil || k.selects(o)) {
			kept = append(kept, o)
		}
	}
	return kept, nil
}

// all are the objects of a kind.
func (s *snapshot) all(k *kind) ([]networkv1.Object, error) {
	var all []networkv1.Object
	switch k.empty().(type) {
	case *networkv1.VirtualNetwork:
		if err := s.load(&s.networks); err != nil {
			return nil, err
		}
		for i := range s.networks.Items {
			all = append(all, &s.networks.Items[i])
		}
	case *networkv1.NetworkSecurityGroup:
		if err := s.load(&s.groups); err != nil {
			return nil, err
		}
		for i := range s.groups.Items {
			all = append(all, &s.groups.Items[i])
		}
	case *networkv1.RouteTable:
		if err := s.load(&s.tables); err != nil {
			return nil, err
		}
		for i := range s.tables.Items {
			all = append(all, &s.tables.Items[i])
		}
	case *networkv1.AddressReservation:
		if err := s.load(&s.reservations); err != nil {
			return nil, err
		}
		for i := range s.reservations.Items {
			all = append(all, &s.reservations.Items[i])
		}
		taken, err := s.takenAddresses()
		return append(all, taken...), err
	}
	return all, nil
}

// groupID is the id of the security group of an object's name, "" if it is gone.
func (s *snapshot) groupID(name string) (string, error) {
	if name == "" {
		return "", nil
	}
	if err := s.load(&s.groups); err != nil {
		return "", err
	}
	for i := range s.groups.Items {
		if s.groups.Items[i].Name == name {
			return s.groups.Items[i].Spec.ResourceID, nil
		}
	}
	return "", nil
}

// tableOf is the route table of an object's name, nil if it is gone.
func (s *snapshot) tableOf(name string) (*networkv1.RouteTable, error) {
	if name == "" {
		return nil, nil
	}
	if err := s.load(&s.tables); err != nil {
		return nil, err
	}
	for i := range s.tables.Items {
		if s.tables.Items[i].Name == name {
			return &s.tables.Items[i], nil
		}
	}
	return nil, nil
}

// subnetsWith are the ids of the subnets that refer to something.
func (s *snapshot) subnetsWith(refers func(networkv1.Subnet) bool) ([]string, error) {
	if err := s.load(&s.networks); err != nil {
		return nil, err
	}
	var ids []string
	for i := range s.networks.Items {
		for _, subnet := range s.networks.Items[i].Spec.Subnets {
			if refers(subnet) {
				ids = append(ids, s.networks.Items[i].Spec.ResourceID+"/subnets/"+subnet.Name)
			}
		}
	}
	return ids, nil
}

// cluster is the cluster of an incarnation, nil if there is none.
func (s *snapshot) cluster(incarnation string) (*containerservicev1.ManagedCluster, error) {
	if err := s.load(&s.clusters); err != nil {
		return nil, err
	}
	for i := range s.clusters.Items {
		if s.clusters.Items[i].Spec.Incarnation == incarnation {
			return &s.clusters.Items[i], nil
		}
	}
	return nil, nil
}

// clusterID is the ARM id of a cluster.
func clusterID(c *containerservicev1.ManagedCluster) string {
	return "/subscriptions/" + c.Spec.SubscriptionID + "/resourceGroups/" + c.Spec.ResourceGroup + "/providers/Microsoft.ContainerService/managedClusters/" + c.Spec.Name
}

// clustersIn are the ids of the clusters that a virtual network has, or that
// one of its subnets has if the name is not empty: those whose pools name it,
// and those that have a place in it.
func (s *snapshot) clustersIn(network *networkv1.VirtualNetwork, subnet string) ([]string, error) {
	if err := s.load(&s.clusters); err != nil {
		return nil, err
	}
	spec := network.Spec.Current()
	var ids []string
	clusters := join.With(network, s.clusters.Items, s.now)
	for i := range clusters {
		cluster := &clusters[i]
		if names(cluster, spec.ResourceID, subnet) || placed(spec, cluster.Spec.Incarnation, subnet) {
			ids = append(ids, clusterID(cluster))
		}
	}
	return ids, nil
}

// names says whether a cluster's pools name a network, or its subnet.
func names(cluster *containerservicev1.ManagedCluster, networkID, subnet string) bool {
	if networkID == "" {
		return false
	}
	prefix := strings.ToLower(networkID) + "/subnets/"
	match := func(id string) bool {
		rest, inside := strings.CutPrefix(strings.ToLower(id), prefix)
		return inside && (subnet == "" || strings.EqualFold(rest, subnet))
	}
	if subnet == "" && strings.EqualFold(cluster.Spec.Network.VirtualNetworkID, networkID) {
		return true
	}
	for _, pool := range cluster.Spec.AgentPools {
		if match(pool.VNetSubnetID) || match(pool.PodSubnetID) {
			return true
		}
	}
	return false
}

// placed says whether a cluster has a place in a network, or in its subnet: for a
// node, for pods, or for an internal balancer.
func placed(spec networkv1.VirtualNetworkSpec, incarnation, subnet string) bool {
	for _, port := range spec.Ports {
		if port.ClusterIncarnation == incarnation && (subnet == "" || strings.EqualFold(port.Subnet, subnet) || strings.EqualFold(port.PodSubnet, subnet)) {
			return true
		}
	}
	for _, taken := range spec.InternalAddresses {
		if taken.ClusterIncarnation == incarnation && (subnet == "" || strings.EqualFold(taken.Subnet, subnet)) {
			return true
		}
	}
	for _, outbound := range spec.Outbounds {
		if subnet == "" && outbound.ClusterIncarnation == incarnation {
			return true
		}
	}
	return false
}
