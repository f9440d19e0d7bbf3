package service

import (
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
)

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
	frontend := networkv1.Frontend{
		Service: key(b.service), Address: b.address.String(), Internal: b.wish.internal, Subnet: b.subnet,
		Rules: rules(b.service), Backends: s.backends(b.service),
		IdleTimeoutSeconds: int32(b.wish.idle / time.Second), SilentOnIdle: b.wish.silent, AffinitySeconds: int32(b.wish.affinity / time.Second),
	}
	for _, r := range b.wish.ranges {
		frontend.SourceRanges = append(frontend.SourceRanges, r.String())
	}
	if local(b.service) {
		frontend.HealthCheckNodePort = b.service.Spec.HealthCheckNodePort
	}
	return frontend
}

// backends are the addresses of the nodes that a service is sent to.
func (s *scope) backends(service *corev1.Service) []string {
	var backends []string
	for name, address := range s.nodes {
		if !local(service) || slices.Contains(s.ready[key(service)], name) {
			backends = append(backends, address)
		}
	}
	slices.SortFunc(backends, strings.Compare)
	return backends
}

// local says that only nodes with an endpoint of the service may get its traffic.
func local(service *corev1.Service) bool {
	return service.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal
}

// clash is the service before this one that has one of its ports on the same
// address; empty if there is none.
func clash(frontends []networkv1.Frontend, next networkv1.Frontend) string {
	for _, other := range frontends {
		if other.Address != next.Address {
			continue
		}
		for _, rule := range next.Rules {
			if slices.ContainsFunc(other.Rules, func(r networkv1.Rule) bool { return r.Port == rule.Port && r.Protocol == rule.Protocol }) {
				return other.Service
			}
		}
	}
	return ""
}
