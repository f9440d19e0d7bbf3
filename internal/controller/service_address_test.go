package controller_test

import (
	"context"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	authorizationv1 "berth.dev/berth/api/authorization/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/naming"
)

// The annotations of AKS that these tests use.
const (
	noteInternal = "service.beta.kubernetes.io/azure-load-balancer-internal"
	noteIPv4     = "service.beta.kubernetes.io/azure-load-balancer-ipv4"
	noteName     = "service.beta.kubernetes.io/azure-pip-name"
	noteGroup    = "service.beta.kubernetes.io/azure-load-balancer-resource-group"
	noteIdle     = "service.beta.kubernetes.io/azure-load-balancer-tcp-idle-timeout"
	noteNoReset  = "service.beta.kubernetes.io/azure-load-balancer-disable-tcp-reset"
)

// offer makes a service with annotations in the tenant of demo and settles.
func (w *world) offer(name string, notes map[string]string, change func(*corev1.Service)) {
	w.t.Helper()
	s := loadBalancer(name)
	s.Annotations = notes
	if change != nil {
		change(s)
	}
	must(w.t, w.tenantOf("demo").Create(context.Background(), s))
	w.live()
}

// alter changes a service and settles.
func (w *world) alter(name string, change func(*corev1.Service)) {
	w.t.Helper()
	found, _ := w.service(name)
	change(found)
	must(w.t, w.tenantOf("demo").Update(context.Background(), found))
	w.live()
}

// turnInternal makes a service an internal one without settling.
func (w *world) turnInternal(name string) {
	w.t.Helper()
	found, _ := w.service(name)
	found.Annotations = map[string]string{noteInternal: "true"}
	must(w.t, w.tenantOf("demo").Update(context.Background(), found))
}

// answersOn is the address that a service was told; empty for none.
func (w *world) answersOn(name string) string {
	w.t.Helper()
	found, _ := w.service(name)
	if len(found.Status.LoadBalancer.Ingress) == 0 {
		return ""
	}
	return found.Status.LoadBalancer.Ingress[0].IP
}

// internals are the addresses that the cluster's services have in its network.
func (w *world) internals() []string {
	w.t.Helper()
	vnet := &networkv1.VirtualNetwork{}
	must(w.t, w.api.Get(context.Background(), client.ObjectKey{Name: w.cluster("demo").Spec.Incarnation}, vnet))
	var addresses []string
	for _, entry := range vnet.Spec.InternalAddresses {
		addresses = append(addresses, entry.Address)
	}
	return addresses
}

// reserve makes a publicIPAddress that has an address.
func (w *world) reserve(group, name, address string) *networkv1.AddressReservation {
	w.t.Helper()
	id := "/subscriptions/" + w.cluster("demo").Spec.SubscriptionID + "/resourceGroups/" + group + "/providers/Microsoft.Network/publicIPAddresses/" + name
	reservation := &networkv1.AddressReservation{
		ObjectMeta: metav1.ObjectMeta{Name: naming.Object(id)},
		Spec:       networkv1.AddressReservationSpec{Resource: networkv1.Resource{ResourceID: id}, Incarnation: name, Bits: 32},
		Status:     networkv1.AddressReservationStatus{Range: address + "/32"},
	}
	must(w.t, w.api.Create(context.Background(), reservation))
	return reservation
}

// permit lets the identity of demo use what lies in a group.
func (w *world) permit(group string) {
	w.t.Helper()
	cluster := w.cluster("demo")
	const contributor = "4d97b98b-1d4f-4787-a291-c67834d212e7" // Network Contributor
	must(w.t, w.api.Create(context.Background(), &authorizationv1.RoleAssignment{
		ObjectMeta: metav1.ObjectMeta{Name: "may-join"},
		Spec: authorizationv1.RoleAssignmentSpec{
			PrincipalID: cluster.Spec.IdentityPrincipalID, RoleDefinitionID: contributor,
			Scope: "/subscriptions/" + cluster.Spec.SubscriptionID + "/resourceGroups/" + group,
		},
	}))
}

func TestAnInternalServiceGetsAnAddressOfTheNodesSubnetAndGivesItBack(t *testing.T) {
	w := demo(t, 2)
	w.offer("web", map[string]string{noteInternal: "true"}, nil)
	at := w.frontends()
	if len(at) != 1 || !at[0].Internal || at[0].Address != "10.224.0.6" || w.answersOn("web") != "10.224.0.6" {
		t.Fatalf("frontends: %+v, told %q", at, w.answersOn("web"))
	}
	w.scale("demo", "up", 3) // a node that comes gets another address
	w.live()
	if backends := w.frontends()[0].Backends; !slices.Equal(backends, []string{"10.224.0.4", "10.224.0.5", "10.224.0.7"}) {
		t.Fatalf("backends: %v", backends)
	}
	w.withdraw("web")
	w.live()
	w.withdrawn("web")
	if left := w.internals(); len(left) != 0 {
		t.Fatalf("addresses are left: %v", left)
	}
}

func TestAServiceThatTurnsInternalChangesItsAddressAndGivesTheFormerBack(t *testing.T) {
	w := demo(t, 1)
	w.offer("web", nil, nil)
	public := w.answersOn("web")
	w.alter("web", func(s *corev1.Service) {
		s.Annotations = map[string]string{noteInternal: "true", noteIPv4: "10.224.0.20"}
	})
	if at := w.answersOn("web"); at != "10.224.0.20" {
		t.Fatalf("it answers on %q", at)
	}
	w.alter("web", func(s *corev1.Service) { s.Annotations = nil })
	if at := w.answersOn("web"); at != public || len(w.internals()) != 0 {
		t.Fatalf("it answers on %q, before %q; internal addresses %v", at, public, w.internals())
	}
	w.withdraw("web")
	w.live()
	w.withdrawn("web")
	w.consistent("demo", 1)
}

func TestTwoServicesShareAnAddressUnlessTheirPortsClash(t *testing.T) {
	w := demo(t, 1)
	notes := map[string]string{noteInternal: "true", noteIPv4: "10.224.0.20"}
	w.offer("web", notes, nil)
	w.offer("api", notes, func(s *corev1.Service) { s.Spec.Ports[0].Port = 81 })
	w.offer("again", notes, nil)
	if w.answersOn("web") != "10.224.0.20" || w.answersOn("api") != "10.224.0.20" || w.answersOn("again") != "" {
		t.Fatalf("they answer on %q, %q and %q", w.answersOn("web"), w.answersOn("api"), w.answersOn("again"))
	}
	w.withdraw("web") // and the one that waited gets it
	w.live()
	if at := w.answersOn("again"); at != "10.224.0.20" || !slices.Equal(w.internals(), []string{"10.224.0.20"}) {
		t.Fatalf("it answers on %q; internal addresses %v", at, w.internals())
	}
}

func TestAServiceUsesThePublicAddressThatItsClusterMayUse(t *testing.T) {
	w := demo(t, 1)
	w.reserve("addresses", "front", "198.18.0.77")
	for name, notes := range map[string]map[string]string{
		"by-name": {noteName: "front", noteGroup: "addresses"}, "by-address": {noteIPv4: "198.18.0.77"},
	} {
		w.offer(name, notes, func(s *corev1.Service) {
			if name == "by-name" {
				s.Spec.Ports[0].Port = 81
			}
		})
		if at := w.answersOn(name); at != "" {
			t.Fatalf("%s answers on %q without permission", name, at)
		}
	}
	w.permit("addresses")
	w.live()
	for _, name := range []string{"by-name", "by-address"} {
		if at := w.answersOn(name); at != "198.18.0.77" {
			t.Fatalf("%s answers on %q", name, at)
		}
	}
	for _, name := range []string{"by-name", "by-address"} {
		w.withdraw(name)
	}
	w.live()
	if frontends := w.frontends(); len(frontends) != 0 {
		t.Fatalf("frontends are left: %+v", frontends)
	}
	var reservations networkv1.AddressReservationList
	must(t, w.api.List(context.Background(), &reservations))
	if len(reservations.Items) != 1 || len(reservations.Items[0].Annotations) != 0 {
		t.Fatalf("the address is gone or still marked: %+v", reservations.Items)
	}
}

func TestAnAddressThatAnotherClusterUsesIsRefused(t *testing.T) {
	w := demo(t, 1)
	reservation := w.reserve(w.cluster("demo").Spec.NodeResourceGroup, "front", "198.18.0.77")
	reservation.Annotations = map[string]string{"network.berth.dev/balancer": "other"}
	must(t, w.api.Update(context.Background(), reservation))
	must(t, w.api.Create(context.Background(), &networkv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Name: "other"}}))
	w.offer("web", map[string]string{noteName: "front"}, nil)
	if at := w.answersOn("web"); at != "" {
		t.Fatalf("it answers on %q", at)
	}
	must(t, w.api.Delete(context.Background(), &networkv1.LoadBalancer{ObjectMeta: metav1.ObjectMeta{Name: "other"}}))
	w.live()
	if at := w.answersOn("web"); at != "198.18.0.77" {
		t.Fatalf("with the other cluster gone it answers on %q", at)
	}
}

func TestWhatAServiceAsksOfItsBalancerIsInItsFrontend(t *testing.T) {
	w := demo(t, 1)
	seconds := int32(60)
	w.offer("web", map[string]string{noteIdle: "10", noteNoReset: "true", "service.beta.kubernetes.io/azure-allowed-ip-ranges": "192.0.2.0/24"}, func(s *corev1.Service) {
		s.Spec.LoadBalancerSourceRanges = []string{"203.0.113.7/24"}
		s.Spec.SessionAffinity = corev1.ServiceAffinityClientIP
		s.Spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &seconds}}
		s.Spec.Ports = append(s.Spec.Ports, corev1.ServicePort{Name: "dns", Protocol: corev1.ProtocolUDP, Port: 53, NodePort: 30053})
	})
	f := w.frontends()[0]
	if f.IdleTimeoutSeconds != 600 || !f.SilentOnIdle || f.AffinitySeconds != 60 || len(f.Rules) != 2 ||
		!slices.Equal(f.SourceRanges, []string{"203.0.113.0/24", "192.0.2.0/24"}) {
		t.Fatalf("frontend: %+v", f)
	}
}

func TestALocalServiceIsProbedOnItsHealthCheckPort(t *testing.T) {
	w := demo(t, 1)
	w.offer("web", nil, func(s *corev1.Service) {
		s.Spec.ExternalTrafficPolicy, s.Spec.HealthCheckNodePort = corev1.ServiceExternalTrafficPolicyLocal, 31000
	})
	if f := w.frontends()[0]; f.HealthCheckNodePort != 31000 {
		t.Fatalf("frontend: %+v", f)
	}
}

func TestTheRoleThatDocumentsNameAllowsToJoinPublicAddresses(t *testing.T) {
	for _, role := range identity.RoleDefinitions() {
		if role.Name == "Network Contributor" && role.Allows("Microsoft.Network/publicIPAddresses/join/action") {
			return
		}
	}
	t.Fatal("no role Network Contributor allows it")
}
