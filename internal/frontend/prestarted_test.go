package frontend_test

import (
	"net/http"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// waiting puts a control plane into a store that runs and has no cluster yet.
func waiting(t *testing.T, store client.WithWatch, name string, change ...func(*containerservicev1alpha1.ControlPlane)) {
	t.Helper()
	plane := &containerservicev1alpha1.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, Labels: map[string]string{containerservicev1alpha1.PrestartedLabel: ""}, Finalizers: []string{containerservicev1alpha1.PrestartedFinalizer},
		},
		Spec: containerservicev1alpha1.ControlPlaneSpec{
			HostName: "local", Incarnation: name, KubernetesVersion: "1.35.4", Address: "198.18.0.99", UserID: 268435456,
			FQDN: name + ".hcp.local.berth.internal", Issuer: "https://oidc.local.berth.internal/" + name, EtcdPrefix: "/berth/" + name,
			ServiceCIDR: "10.0.0.0/16", CredentialsName: name + "-credentials",
		},
	}
	status := containerservicev1alpha1.ControlPlaneStatus{ObservedGeneration: 1, Conditions: []metav1.Condition{
		{Type: "Ready", Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: metav1.Now()},
	}}
	plane.Generation, plane.Status = 1, status
	for _, f := range change {
		f(plane)
	}
	status = plane.Status
	if err := store.Create(t.Context(), plane); err != nil {
		t.Fatal(err)
	}
	plane.Status = status
	if err := store.Status().Update(t.Context(), plane); err != nil {
		t.Fatal(err)
	}
}

func planeNamed(t *testing.T, store client.WithWatch, name string) *containerservicev1alpha1.ControlPlane {
	t.Helper()
	var plane containerservicev1alpha1.ControlPlane
	if err := store.Get(t.Context(), client.ObjectKey{Name: name}, &plane); err != nil {
		t.Fatal(err)
	}
	return &plane
}

func TestACreateTakesTheControlPlaneThatWaits(t *testing.T) {
	r := newRig(t)
	r.group()
	waiting(t, r.store, "abcdefghij")
	body := strings.Replace(aCluster, `"properties":{`, `"properties":{"apiServerAccessProfile":{"authorizedIPRanges":["203.0.113.0/24"]},`, 1)
	if a := r.call(http.MethodPut, clusterPath, body); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	cluster, plane := r.cluster(), planeNamed(t, r.store, "abcdefghij")
	if cluster.Spec.Incarnation != "abcdefghij" || plane.Spec.ClusterName != cluster.Name {
		t.Fatalf("the cluster is %s, the control plane that of %q", cluster.Spec.Incarnation, plane.Spec.ClusterName)
	}
	if want := strings.ToLower(cluster.Spec.DNSPrefix) + "-abcdefgh.hcp.local.berth.internal"; plane.Spec.FQDN != want {
		t.Errorf("it is called %s, want %s", plane.Spec.FQDN, want)
	}
	if len(plane.Labels) > 0 || plane.Spec.PodCIDR != cluster.Spec.Network.PodCIDR || len(plane.Spec.AuthorizedIPRanges) != 1 {
		t.Errorf("it is not the cluster's: %+v", plane)
	}
	if a := r.call(http.MethodPut, clusterPath+"2", aCluster); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	if again := planeNamed(t, r.store, "abcdefghij"); again.Spec.ClusterName != cluster.Name {
		t.Errorf("a second cluster took it: %s", again.Spec.ClusterName)
	}
}

func TestACreateLeavesControlPlanesThatAreNotWhatItNeeds(t *testing.T) {
	for name, change := range map[string]func(*containerservicev1alpha1.ControlPlane){
		"one that starts": func(p *containerservicev1alpha1.ControlPlane) { p.Status.Conditions[0].Status = metav1.ConditionFalse },
		"one whose host looked before it was changed": func(p *containerservicev1alpha1.ControlPlane) { p.Status.ObservedGeneration = 0 },
		"one of another version":                      func(p *containerservicev1alpha1.ControlPlane) { p.Spec.KubernetesVersion = "1.36.3" },
		"one with other services":                     func(p *containerservicev1alpha1.ControlPlane) { p.Spec.ServiceCIDR = "10.99.0.0/16" },
		"one that another cluster has":                func(p *containerservicev1alpha1.ControlPlane) { p.Spec.ClusterName = "other" },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.group()
			waiting(t, r.store, "abcdefghij", change)
			before := planeNamed(t, r.store, "abcdefghij")
			if a := r.call(http.MethodPut, clusterPath, aCluster); a.status != http.StatusCreated {
				t.Fatalf("%d %s", a.status, a.raw)
			}
			if cluster := r.cluster(); cluster.Spec.Incarnation == "abcdefghij" || len(cluster.Spec.Incarnation) != 10 {
				t.Errorf("the cluster's incarnation is %q", cluster.Spec.Incarnation)
			}
			if after := planeNamed(t, r.store, "abcdefghij"); after.ResourceVersion != before.ResourceVersion {
				t.Errorf("it was written: %+v", after.Spec)
			}
		})
	}
}

func TestTwoFrontEndsNeverGiveAwayTheSameControlPlane(t *testing.T) {
	var before func(client.Object)
	store := newStore(t, func(o client.Object) {
		if before != nil {
			before(o)
		}
	})
	one, two := over(t, store)
	one.group()
	waiting(t, store, "abcdefghij")
	before = func(o client.Object) { // the one has read it, and is about to claim it
		if _, claims := o.(*containerservicev1alpha1.ControlPlane); claims {
			before = nil
			if a := two.call(http.MethodPut, clusterPath+"-two", aCluster); a.status != http.StatusCreated {
				t.Errorf("the other: %d %s", a.status, a.raw)
			}
		}
	}
	if a := one.call(http.MethodPut, clusterPath+"-one", aCluster); a.status != http.StatusCreated {
		t.Fatalf("the one: %d %s", a.status, a.raw)
	}
	var clusters containerservicev1alpha1.ManagedClusterList
	if err := store.List(t.Context(), &clusters); err != nil {
		t.Fatal(err)
	}
	owner := planeNamed(t, store, "abcdefghij").Spec.ClusterName
	has := 0
	for _, cluster := range clusters.Items {
		if cluster.Spec.Incarnation == "abcdefghij" {
			has++
			if cluster.Name != owner {
				t.Errorf("%s has it, and it is claimed for %s", cluster.Name, owner)
			}
		}
	}
	if has != 1 || len(clusters.Items) != 2 {
		t.Errorf("%d of %d clusters have it, want one of two", has, len(clusters.Items))
	}
}
