package service

import (
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/allocation"
	"berth.dev/berth/internal/tenant"
)

// scope is what the steps of one Reconcile know and hand on.
type scope struct {
	cluster *containerservicev1.ManagedCluster
	tenant  *tenant.Tenant
	owner   allocation.Owner
	now     time.Time
	// again is when to look again for what was not to be had; 0: not by itself.
	again    time.Duration
	services []*balanced
	// pool is that of public addresses, read when the first one is taken.
	pool func() (*allocation.Pool, error)
	// claimed are the addresses of the pool that the cluster's services have, and
	// inside those of its virtual network.
	claimed, inside map[string]bool
	// balancer is as it was read, or written by the step program: see found.
	balancer *networkv1.LoadBalancer
	// frontends are those of its spec, and served the addresses of those that its
	// status says are programmed, by service.
	frontends map[string]*networkv1.Frontend
	served    map[string]string
	// nodes maps the names of the nodes in rotation to their addresses.
	nodes map[string]string
	// ready maps the services with externalTrafficPolicy Local to the nodes that
	// have a ready endpoint; a service is missing while that is not known.
	ready map[string][]string
}

// found takes the balancer as it was read or written. There may be hundreds of
// services, and each looks for its own frontend many times.
func (s *scope) found(balancer *networkv1.LoadBalancer) {
	s.balancer, s.frontends, s.served = balancer, map[string]*networkv1.Frontend{}, map[string]string{}
	for i := range balancer.Spec.Frontends {
		s.frontends[balancer.Spec.Frontends[i].Service] = &balancer.Spec.Frontends[i]
	}
	for _, frontend := range balancer.Status.Frontends {
		s.served[frontend.Service] = frontend.Address
	}
}

// programmed is the frontend that the balancer's spec has for a service; nil for none.
func (s *scope) programmed(service *corev1.Service) *networkv1.Frontend {
	return s.frontends[key(service)]
}

// balanced is one service that has, or is to have, a frontend.
type balanced struct {
	service *corev1.Service
	// wish is what it asks for, and refused why it cannot be had.
	wish    wish
	refused error
	// address is set by the step claim, with the subnet of one that is internal;
	// invalid where there is none, and missing is then why.
	address netip.Addr
	subnet  string
	missing error
	// told says that the step publish has told the service its address.
	told bool
}

// concerns says that a service is, or was, Berth's to balance.
func concerns(service *corev1.Service) bool {
	return wanted(service) || held(service)
}

// wanted says that a service asks for a load balancer of Berth's.
func wanted(service *corev1.Service) bool {
	return service.DeletionTimestamp == nil &&
		service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil
}

// held says that a service is not gone before Berth has let go of it.
func held(service *corev1.Service) bool { return slices.Contains(service.Finalizers, Finalizer) }

// key names a service in a frontend.
func key(service *corev1.Service) string { return service.Namespace + "/" + service.Name }

// purpose is what a service's address is claimed for.
func purpose(service *corev1.Service) string {
	return allocation.ServicePurpose(key(service))
}
