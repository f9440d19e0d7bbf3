package controller_test

import (
	"context"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	networkv1 "berth.dev/berth/api/network/v1alpha1"
	"berth.dev/berth/internal/controller/service"
)

// loadBalancer is a service of type LoadBalancer with one port.
func loadBalancer(name string) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeLoadBalancer,
			Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30080}},
		},
	}
}

// expose makes a service in the tenant of demo and settles.
func (w *world) expose(name string) {
	w.t.Helper()
	must(w.t, w.tenantOf("demo").Create(context.Background(), loadBalancer(name)))
	w.live()
}

// withdraw deletes it without settling.
func (w *world) withdraw(name string) {
	w.t.Helper()
	must(w.t, w.tenantOf("demo").Delete(context.Background(), loadBalancer(name)))
}

// withdrawn asserts that nothing is left of it.
func (w *world) withdrawn(name string) {
	w.t.Helper()
	if _, found := w.service(name); found {
		w.t.Fatalf("service %s is held", name)
	}
	if frontends := w.frontends(); len(frontends) != 0 {
		w.t.Fatalf("frontends are left: %+v", frontends)
	}
}

func (w *world) service(name string) (*corev1.Service, bool) {
	w.t.Helper()
	found := &corev1.Service{}
	err := w.tenantOf("demo").Get(context.Background(), client.ObjectKey{Namespace: "default", Name: name}, found)
	must(w.t, client.IgnoreNotFound(err))
	return found, err == nil
}

func (w *world) frontends() []networkv1.Frontend {
	w.t.Helper()
	balancer := &networkv1.LoadBalancer{}
	must(w.t, w.api.Get(context.Background(), client.ObjectKey{Name: w.cluster("demo").Spec.Incarnation}, balancer))
	return balancer.Spec.Frontends
}

// events are those in the tenant of demo.
func (w *world) events() []corev1.Event {
	w.t.Helper()
	var events corev1.EventList
	must(w.t, w.tenantOf("demo").List(context.Background(), &events))
	return events.Items
}

func demo(t *testing.T, nodes int32) *world {
	t.Helper()
	w := newWorld(t)
	w.put("demo", nodes)
	w.live()
	return w
}

// behind is a world with two services, of which the host has programmed only the first.
func behind(t *testing.T) *world {
	t.Helper()
	w := demo(t, 1)
	w.hostDown = true
	w.expose("first")
	w.hostDown = false
	w.agent()
	w.hostDown = true
	w.expose("second")
	return w
}

func TestAServiceGetsAnAddressOnceItIsProgrammed(t *testing.T) {
	w := demo(t, 2)
	w.hostDown = true
	w.expose("web")
	if found, _ := w.service("web"); len(found.Status.LoadBalancer.Ingress) != 0 {
		t.Fatal("the service has an address that nobody serves")
	}
	w.hostDown = false
	w.live()
	found, _ := w.service("web")
	frontends := w.frontends()
	if len(frontends) != 1 || len(frontends[0].Backends) != 2 || frontends[0].Rules[0] != (networkv1.Rule{Protocol: "TCP", Port: 80, NodePort: 30080}) {
		t.Fatalf("frontends: %+v", frontends)
	}
	ingress := found.Status.LoadBalancer.Ingress
	if len(ingress) != 1 || ingress[0].IP != frontends[0].Address || *ingress[0].IPMode != corev1.LoadBalancerIPModeVIP {
		t.Fatalf("ingress: %+v", ingress)
	}
	w.withdraw("web")
	w.live()
	w.withdrawn("web")
	w.consistent("demo", 2)
}

func TestAServiceWaitsForItsOwnFrontendAndNotForThoseThatAreWrittenAfterIt(t *testing.T) {
	w := behind(t)
	if len(w.frontends()) != 2 {
		t.Fatalf("frontends: %+v", w.frontends())
	}
	for name, want := range map[string]int{"first": 1, "second": 0} {
		if found, _ := w.service(name); len(found.Status.LoadBalancer.Ingress) != want {
			t.Errorf("service %s: ingress %+v, want %d", name, found.Status.LoadBalancer.Ingress, want)
		}
	}
	w.withdraw("first")
	w.live()
	if _, found := w.service("first"); !found {
		t.Error("it was let go of while the host served it")
	}
	w.hostDown = false
	w.live()
	if _, found := w.service("first"); found || w.answersOn("second") == "" || len(w.frontends()) != 1 {
		t.Errorf("the first is there: %v; the second answers on %q; frontends %+v", found, w.answersOn("second"), w.frontends())
	}
	w.withdraw("second")
	w.live()
	w.withdrawn("second")
	w.consistent("demo", 1)
}

func TestTheEventOfAnAddressWaitsWhileAServiceWaitsForItsAddress(t *testing.T) {
	w := behind(t)
	if w.answersOn("first") == "" || w.answersOn("second") != "" {
		t.Fatalf("the first answers on %q, the second on %q", w.answersOn("first"), w.answersOn("second"))
	}
	if events := w.events(); len(events) != 0 {
		t.Errorf("events: %+v", events)
	}
	w.hostDown = false
	w.live()
	told := map[string]string{}
	for _, event := range w.events() {
		told[event.InvolvedObject.Name] = event.Reason + ": " + event.Message
	}
	for _, name := range []string{"first", "second"} {
		if told[name] != "EnsuredLoadBalancer: the load balancer answers on "+w.answersOn(name) {
			t.Errorf("service %s was told %q, and answers on %s", name, told[name], w.answersOn(name))
		}
	}
}

func TestAServiceWhoseFinalizerWasRemovedByForceLeaksNoAddress(t *testing.T) {
	w := demo(t, 1)
	w.expose("web")
	found, _ := w.service("web")
	found.Finalizers = nil
	must(t, w.tenantOf("demo").Update(context.Background(), found))
	w.withdraw("web")
	w.live()
	w.withdrawn("web")
	w.consistent("demo", 1)
}

func TestAServiceThatCannotBeBalancedIsRefusedWithAnEvent(t *testing.T) {
	for name, spoil := range map[string]func(*corev1.Service){
		"SCTP":              func(s *corev1.Service) { s.Spec.Ports[0].Protocol = corev1.ProtocolSCTP },
		"IPv6 ranges":       func(s *corev1.Service) { s.Spec.LoadBalancerSourceRanges = []string{"fd00::/8"} },
		"another's address": func(s *corev1.Service) { s.Spec.LoadBalancerIP = "198.18.0.99" },
		"IPv6 alone":        func(s *corev1.Service) { s.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} },
		"an idle timeout out of bounds": func(s *corev1.Service) {
			s.Annotations = map[string]string{"service.beta.kubernetes.io/azure-load-balancer-tcp-idle-timeout": "3"}
		},
		"an annotation that would close it": func(s *corev1.Service) {
			s.Annotations = map[string]string{"service.beta.kubernetes.io/azure-allowed-service-tags": "AzureCloud"}
		},
		"a subnet that is not there": func(s *corev1.Service) {
			s.Annotations = map[string]string{
				"service.beta.kubernetes.io/azure-load-balancer-internal": "true", "service.beta.kubernetes.io/azure-load-balancer-internal-subnet": "no-such",
			}
		},
		"a node's address": func(s *corev1.Service) {
			s.Annotations = map[string]string{
				"service.beta.kubernetes.io/azure-load-balancer-internal": "true", "service.beta.kubernetes.io/azure-load-balancer-ipv4": "10.224.0.4",
			}
		},
		"no node ports": func(s *corev1.Service) { s.Spec.AllocateLoadBalancerNodePorts = new(bool) },
	} {
		t.Run(name, func(t *testing.T) {
			w := demo(t, 1)
			s := loadBalancer("web")
			spoil(s)
			must(t, w.tenantOf("demo").Create(context.Background(), s))
			w.live()
			if frontends := w.frontends(); len(frontends) != 0 {
				t.Fatalf("it is served: %+v", frontends)
			}
			if events := w.events(); len(events) != 1 || events[0].InvolvedObject.Name != "web" || events[0].Message == "" {
				t.Fatalf("events: %+v", events)
			}
			w.consistent("demo", 1)
		})
	}
}

func TestAServiceOfAnotherClassIsLeftAlone(t *testing.T) {
	w := demo(t, 1)
	other := loadBalancer("web")
	class := "example.com/other"
	other.Spec.LoadBalancerClass = &class
	must(t, w.tenantOf("demo").Create(context.Background(), other))
	w.live()
	if found, _ := w.service("web"); len(found.Finalizers) != 0 || len(w.frontends()) != 0 {
		t.Fatalf("it was touched: %+v", found)
	}
}

func TestAServiceThatBecomesInternalGivesItsAddressBack(t *testing.T) {
	w := demo(t, 1)
	w.expose("web")
	found, _ := w.service("web")
	found.Spec.Type = corev1.ServiceTypeClusterIP
	must(t, w.tenantOf("demo").Update(context.Background(), found))
	w.live()
	found, _ = w.service("web")
	if len(found.Finalizers) != 0 || len(found.Status.LoadBalancer.Ingress) != 0 || len(w.frontends()) != 0 {
		t.Fatalf("it is still held: %+v", found)
	}
	w.consistent("demo", 1)
}

func TestOnlyReadyNodesThatAreNotExcludedAreBackends(t *testing.T) {
	for name, spoil := range map[string]func(*corev1.Node){
		"not ready": func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse },
		"excluded":  func(n *corev1.Node) { n.Labels[corev1.LabelNodeExcludeBalancers] = "" },
	} {
		t.Run(name, func(t *testing.T) {
			w := demo(t, 2)
			w.expose("web")
			var nodes corev1.NodeList
			must(t, w.tenantOf("demo").List(context.Background(), &nodes))
			node := &nodes.Items[0]
			spoil(node)
			conditions := node.Status.Conditions
			must(t, w.tenantOf("demo").Update(context.Background(), node))
			node.Status.Conditions = conditions
			must(t, w.tenantOf("demo").Status().Update(context.Background(), node))
			w.live()
			if backends := w.frontends()[0].Backends; len(backends) != 1 {
				t.Fatalf("backends: %v", backends)
			}
		})
	}
}

func TestANodeCannotNameAnAddressThatIsNotItsMachines(t *testing.T) {
	w := demo(t, 1)
	var nodes corev1.NodeList
	must(t, w.tenantOf("demo").List(context.Background(), &nodes))
	nodes.Items[0].Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "10.224.0.99"}}
	must(t, w.tenantOf("demo").Status().Update(context.Background(), &nodes.Items[0]))
	w.expose("web")
	if backends := w.frontends()[0].Backends; len(backends) != 1 || backends[0] != "10.224.0.4" {
		t.Fatalf("backends: %v", backends)
	}
}

func TestALocalServiceIsSentOnlyToNodesWithAReadyEndpoint(t *testing.T) {
	w := demo(t, 2)
	var nodes corev1.NodeList
	must(t, w.tenantOf("demo").List(context.Background(), &nodes))
	s := loadBalancer("web")
	s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	must(t, w.tenantOf("demo").Create(context.Background(), s))
	ready, unready := true, false
	must(t, w.tenantOf("demo").Create(context.Background(), &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
		Endpoints: []discoveryv1.Endpoint{
			{NodeName: &nodes.Items[0].Name, Conditions: discoveryv1.EndpointConditions{Ready: &unready}},
			{NodeName: &nodes.Items[1].Name, Conditions: discoveryv1.EndpointConditions{Ready: &ready}},
		},
	}))
	w.live()
	if backends := w.frontends()[0].Backends; len(backends) != 1 || backends[0] != "10.224.0.5" {
		t.Fatalf("backends: %v", backends)
	}
}

func TestTheFinalizerIsTheFieldsOwn(t *testing.T) {
	if service.Finalizer != "service.kubernetes.io/load-balancer-cleanup" {
		t.Fatal(service.Finalizer)
	}
}
