package agentpool

import (
	"cmp"
	"path"
	"strings"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
)

// place says where the pool's machines are to be in the cluster's network.
func (s *scope) place() allocation.Place {
	profile := s.pool.Spec.Profile
	place := allocation.Place{
		ClusterIncarnation: s.cluster.Spec.Incarnation,
		Subnet:             subnetName(profile.VNetSubnetID), PodSubnet: subnetName(profile.PodSubnetID),
	}
	if s.cluster.Spec.Network.FlatPods() {
		place.PodAddresses = int(profile.MaxPods)
	}
	return place
}

// subnetName is the last segment of a subnet's ARM id, empty of none.
func subnetName(id string) string {
	if id == "" {
		return ""
	}
	return path.Base(id)
}

// podSubnet is the range of the subnet that a port's pods have addresses of.
func (s *scope) podSubnet(port *networkv1.Port) string {
	name := cmp.Or(port.PodSubnet, port.Subnet)
	for _, subnet := range s.network.Spec.Current().Subnets {
		if strings.EqualFold(subnet.Name, name) {
			return subnet.CIDR
		}
	}
	return "" // it is in use, and cannot be deleted
}
