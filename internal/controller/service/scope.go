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
	cluster  *containerservicev1.ManagedCluster
	tenant   *tenant.Tenant
	owner    allocation.Owner
	now      time.Time
	services []*balanced
	// balancer is as it was read, or written by the step program.
	balancer *networkv1.LoadBalancer
	// nodes maps the names of the nodes in rotation to their addresses.
	nodes map[string]string
	// ready maps the services with externalTrafficPolicy Local to the nodes that
	// have a ready endpoint; a service is missing while that is not known.
	ready map[string][]string
}

// balanced is one service that has, or is to have, a frontend.
type balanced struct {
	service *corev1.Service
	// address is set by the step claim; invalid where there is none.
	address netip.Addr
}

// concerns says that a service is, or was, Berth's to balance.
func concerns(service *corev1.Service) bool {
	return wanted(service) || slices.Contains(service.Finalizers, Finalizer)
}

// wanted says that a service asks for a load balancer of Berth's.
func wanted(service *corev1.Service) bool {
	return service.DeletionTimestamp == nil &&
		service.Spec.Type == corev1.ServiceTypeLoadBalancer && service.Spec.LoadBalancerClass == nil
}

// key names a service in a frontend.
func key(service *corev1.Service) string { return service.Namespace + "/" + service.Name }

// purpose is what a service's address is claimed for.
func purpose(service *corev1.Service) string {
	return allocation.ServicePurpose(key(service))
}
