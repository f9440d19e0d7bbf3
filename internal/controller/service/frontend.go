package service

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
)

// annotationInternal asks for a balancer inside the virtual network.
const annotationInternal = "service.beta.kubernetes.io/azure-load-balancer-internal"

// refusal says why a service cannot be balanced, in words for its owner; empty
// if it can.
func refusal(service *corev1.Service) string {
	switch {
	case service.Annotations[annotationInternal] == "true":
		return "internal load balancers are not built: remove the annotation " + annotationInternal
	case len(service.Spec.LoadBalancerSourceRanges) > 0:
		return "loadBalancerSourceRanges are not built: remove them, or use a NetworkPolicy"
	case service.Spec.LoadBalancerIP != "": // deprecated, yet what callers still set
		return "loadBalancerIP is not built: remove it to get an address of the pool"
	case !slices.Contains(service.Spec.IPFamilies, corev1.IPv4Protocol) && len(service.Spec.IPFamilies) > 0:
		return "load balancers have IPv4 addresses only"
	case service.Spec.AllocateLoadBalancerNodePorts != nil && !*service.Spec.AllocateLoadBalancerNodePorts:
		return "allocateLoadBalancerNodePorts must be true: the balancer forwards to node ports"
	}
	for _, port := range service.Spec.Ports {
		if port.Protocol != corev1.ProtocolTCP && port.Protocol != corev1.ProtocolUDP && port.Protocol != "" {
			return fmt.Sprintf("port %d: protocol %s cannot be balanced, only TCP and UDP", port.Port, port.Protocol)
		}
	}
	return ""
}

// rules are the ports of a frontend; those whose node port is not allocated yet
// are left out.
func rules(service *corev1.Service) []networkv1.Rule {
	var rules []networkv1.Rule
	for _, port := range service.Spec.Ports {
		if port.NodePort == 0 {
			continue
		}
		protocol := string(port.Protocol)
		if protocol == "" {
			protocol = string(corev1.ProtocolTCP)
		}
		rules = append(rules, networkv1.Rule{Protocol: protocol, Port: port.Port, NodePort: port.NodePort})
	}
	return rules
}

// frontend is what the balancer is to do for a service.
func (s *scope) frontend(b *balanced) networkv1.Frontend {
	names := make([]string, 0, len(s.nodes))
	for name := range s.nodes {
		names = append(names, name)
	}
	if local(b.service) {
		names = slices.DeleteFunc(names, func(name string) bool { return !slices.Contains(s.ready[key(b.service)], name) })
	}
	backends := make([]string, 0, len(names))
	for _, name := range names {
		backends = append(backends, s.nodes[name])
	}
	slices.SortFunc(backends, strings.Compare)
	return networkv1.Frontend{
		Service: key(b.service), Address: b.address.String(),
		Rules: rules(b.service), Backends: backends,
	}
}

// local says that only nodes with an endpoint of the service may get its traffic.
func local(service *corev1.Service) bool {
	return service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}
