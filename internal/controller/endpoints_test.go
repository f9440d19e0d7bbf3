package controller_test

import (
	"context"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

// follow does what Kubernetes' controller of endpoints does with the labels of the
// service of a cluster's DNS, in every tenant whose API server runs.
func (w *world) follow() (changed bool) {
	w.t.Helper()
	if w.unfollowed {
		return false
	}
	for address, api := range w.tenants {
		service := &corev1.Service{}
		err := api.Get(context.Background(), client.ObjectKey{Namespace: "kube-system", Name: "kube-dns"}, service)
		if client.IgnoreNotFound(err) != nil {
			w.t.Fatalf("tenant %s: %v", address, err)
		}
		slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "kube-dns-1", Labels: map[string]string{}}}
		switch found := api.Get(context.Background(), client.ObjectKeyFromObject(slice), slice); {
		case err != nil:
			continue
		case found != nil:
			slice.AddressType = discoveryv1.AddressTypeIPv4
			must(w.t, api.Create(context.Background(), slice))
		}
		wanted := map[string]string{discoveryv1.LabelServiceName: service.Name}
		for key, value := range service.Labels {
			wanted[key] = value
		}
		if len(slice.Labels) == len(wanted) && slice.Labels["containerservice.berth.dev/endpoints"] == wanted["containerservice.berth.dev/endpoints"] {
			continue
		}
		slice.Labels, changed = wanted, true
		must(w.t, api.Update(context.Background(), slice))
	}
	return changed
}

func TestADrainEvictsNobodyWhileTheEndpointsOfServicesAreNotFollowed(t *testing.T) {
	w := demo(t, 2)
	w.pod("web", 1, "ReplicaSet")
	w.unfollowed = true
	w.scale("demo", "down", 1)
	w.live()
	if got := w.pods(); len(got) != 1 {
		t.Fatalf("the pods are %v", got)
	}
	for _, machine := range w.machines() {
		drained := apimeta.FindStatusCondition(machine.Status.Conditions, containerservicev1.ConditionDrained)
		if machine.Spec.Index == 1 && (drained == nil || !strings.Contains(drained.Message, "endpoints of services")) {
			t.Errorf("it is told as %+v", drained)
		}
	}
	w.unfollowed = false
	w.live()
	w.ended("down", meta.OperationSucceeded)
	w.consistent("demo", 1)
}

func TestADrainWaitsForAControllerManagerThatIsReplaced(t *testing.T) {
	w := demo(t, 2)
	w.pod("web", 1, "ReplicaSet")
	w.replaceFollower(0)
	w.scale("demo", "down", 1)
	w.live()
	if got := w.pods(); len(got) != 1 {
		t.Fatalf("the pods are %v while nobody follows endpoints", got)
	}
	w.replaceFollower(8)
	w.live()
	w.ended("down", meta.OperationSucceeded)
}

func TestADrainGoesOnWhereAHealthyControlPlaneNeverAnswersForItsEndpoints(t *testing.T) {
	w := demo(t, 2)
	w.pod("web", 1, "ReplicaSet")
	w.unfollowed = true
	w.passes(2 * time.Minute)
	w.scale("demo", "down", 1)
	w.live()
	w.ended("down", meta.OperationSucceeded)
}

// replaceFollower makes the host see another process follow endpoints, or none.
func (w *world) replaceFollower(pid int32) {
	w.t.Helper()
	plane := w.plane()
	plane.Status.Components[0].PID = pid
	must(w.t, w.api.Status().Update(context.Background(), plane))
}
