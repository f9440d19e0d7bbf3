package network

import (
	"strings"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/rp/network/route"
)

// nodeRoutes are the routes of a cluster's own table: one for the pods of each
// node, named as AKS names them. They are what the network routes anyway, and
// stored nowhere.
func nodeRoutes(s *snapshot, t *networkv1.RouteTable) ([]object, error) {
	if t.Spec.ManagedBy == "" {
		return nil, nil
	}
	if err := s.load(&s.networks); err != nil {
		return nil, err
	}
	var routes []object
	for i := range s.networks.Items {
		spec := s.networks.Items[i].Spec.Current()
		for _, port := range spec.Ports {
			if port.PodCIDR == "" || !follows(spec, port, t.Name) {
				continue
			}
			name := strings.TrimSuffix(port.MachineName, "-"+port.Incarnation) + "____" + strings.NewReplacer(".", "", "/", "").Replace(port.PodCIDR)
			hop := networkv1.Route{Name: name, Prefix: port.PodCIDR, NextHopType: "VirtualAppliance", NextHopIP: port.Address}
			routes = append(routes, object{"name": name, "properties": object(route.Body(hop, succeeded))})
		}
	}
	return routes, nil
}

// follows says whether a port's subnet refers to a route table.
func follows(spec networkv1.VirtualNetworkSpec, port networkv1.Port, table string) bool {
	for _, subnet := range spec.Subnets {
		if subnet.RouteTableName == table && strings.EqualFold(subnet.Name, port.Subnet) {
			return true
		}
	}
	return false
}
