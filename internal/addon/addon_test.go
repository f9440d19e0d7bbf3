package addon

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func values() Values {
	return Values{DNSServiceIP: "10.0.0.10", CoreDNSImage: "registry.k8s.io/coredns/coredns:v1.15.0", CoreDNSReplicas: 2}
}

// find is the rendered object of a kind and name.
func find(t *testing.T, objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	t.Helper()
	for _, object := range objects {
		if object.GetKind() == kind && object.GetName() == name {
			return object
		}
	}
	t.Fatalf("no %s %s", kind, name)
	return nil
}

func TestNodesCanJoinBeforeDNSIsApplied(t *testing.T) {
	objects, err := Render(values())
	if err != nil {
		t.Fatal(err)
	}
	first := objects[0]
	subjects, _, _ := unstructured.NestedSlice(first.Object, "subjects")
	if first.GetName() != "berth:node-bootstrapper" || subjects[0].(map[string]any)["name"] != BootstrappersGroup {
		t.Fatalf("the first object is %s for %v", first.GetName(), subjects)
	}
}

func TestValuesReachTheManifests(t *testing.T) {
	objects, err := Render(values())
	if err != nil {
		t.Fatal(err)
	}
	if ip, _, _ := unstructured.NestedString(find(t, objects, "Service", "kube-dns").Object, "spec", "clusterIP"); ip != "10.0.0.10" {
		t.Fatalf("clusterIP %q", ip)
	}
	deployment := find(t, objects, "Deployment", "coredns")
	if n, _, _ := unstructured.NestedInt64(deployment.Object, "spec", "replicas"); n != 2 {
		t.Fatalf("replicas %d", n)
	}
	containers, _, _ := unstructured.NestedSlice(deployment.Object, "spec", "template", "spec", "containers")
	if image := containers[0].(map[string]any)["image"]; image != values().CoreDNSImage {
		t.Fatalf("image %v", image)
	}
}

func TestQueriesAreForwardedOnlyWhereThereIsSomeoneToAsk(t *testing.T) {
	for upstream, forwards := range map[string]bool{"": false, "198.18.0.3": true} {
		v := values()
		v.UpstreamDNS = upstream
		objects, err := Render(v)
		if err != nil {
			t.Fatal(err)
		}
		corefile, _, _ := unstructured.NestedString(find(t, objects, "ConfigMap", "coredns").Object, "data", "Corefile")
		if strings.Contains(corefile, "forward . "+upstream) != forwards || strings.Contains(corefile, "forward") != forwards {
			t.Fatalf("upstream %q:\n%s", upstream, corefile)
		}
		// musl takes REFUSED for silence and waits: a refused name has to be one that is not there.
		if strings.Contains(corefile, "REFUSED NXDOMAIN") != forwards {
			t.Errorf("upstream %q: a refusal of its reaches the pods:\n%s", upstream, corefile)
		}
	}
}

func TestTheDNSReadsWhatTheClustersPeopleAddAndTheNamesOfNodes(t *testing.T) {
	objects, err := Render(values())
	if err != nil {
		t.Fatal(err)
	}
	corefile, _, _ := unstructured.NestedString(find(t, objects, "ConfigMap", "coredns").Object, "data", "Corefile")
	server, beside, found := strings.Cut(corefile, "\n}\n")
	if !found || !strings.Contains(server, "import custom/*.override") || !strings.Contains(server, "hosts /etc/coredns/nodes/hosts") ||
		!strings.Contains(beside, "import custom/*.server") {
		t.Fatalf("the Corefile is\n%s", corefile)
	}
	if custom := find(t, objects, "ConfigMap", "coredns-custom"); custom.GetLabels()[modeLabel] != ensureExists || custom.Object["data"] != nil {
		t.Errorf("coredns-custom is not the cluster's own: %v", custom.Object)
	}
	names := NodeNames([]NodeName{
		{"aks-nodepool1-12345678-vmss000001", netip.MustParseAddr("10.224.0.5")}, {"aks-nodepool1-12345678-vmss000000", netip.MustParseAddr("10.224.0.4")},
	})
	hosts, _, _ := unstructured.NestedString(names.Object, "data", "hosts")
	if hosts != "10.224.0.4 aks-nodepool1-12345678-vmss000000\n10.224.0.5 aks-nodepool1-12345678-vmss000001\n" {
		t.Errorf("the names of nodes are\n%s", hosts)
	}
}

func TestAClusterOfOneNodeCanBeDrainedOfItsDNS(t *testing.T) {
	objects, err := Render(values())
	if err != nil {
		t.Fatal(err)
	}
	budget := find(t, objects, "PodDisruptionBudget", "coredns-pdb")
	if !Reconciled(budget) {
		t.Errorf("the budget is not marked as the add-on's: %v", budget.GetLabels())
	}
	if n, _, _ := unstructured.NestedInt64(budget.Object, "spec", "maxUnavailable"); n != 1 {
		t.Errorf("the budget is %v", budget.Object["spec"])
	}
}

func TestApplyingKeepsWhatOthersWrote(t *testing.T) {
	ctx := context.Background()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, rbacv1.AddToScheme, appsv1.AddToScheme, discoveryv1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	// The client's own schema refuses the fields of an EndpointSlice that are null until they are set.
	c := fake.NewClientBuilder().WithScheme(scheme).WithTypeConverters(managedfields.NewDeducedTypeConverter()).Build()
	objects, err := Render(values())
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := Apply(ctx, c, objects); err != nil {
			t.Fatal(err)
		}
	}
	found := &unstructured.Unstructured{}
	found.SetGroupVersionKind(schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"})
	key := client.ObjectKey{Namespace: "kube-system", Name: "coredns"}
	if err := c.Get(ctx, key, found); err != nil {
		t.Fatal(err)
	}
	found.SetAnnotations(map[string]string{"owner": "someone"})
	if err := c.Update(ctx, found, client.FieldOwner("someone")); err != nil {
		t.Fatal(err)
	}
	if err := Apply(ctx, c, objects); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(ctx, key, found); err != nil || found.GetAnnotations()["owner"] != "someone" {
		t.Fatalf("annotations %v, %v", found.GetAnnotations(), err)
	}
}

func TestMetricsServerIsAppliedOnlyWhereANodeHasIt(t *testing.T) {
	for image, there := range map[string]bool{"": false, "registry.k8s.io/metrics-server/metrics-server:v0": true} {
		v := values()
		v.MetricsServerImage, v.NodeImage, v.ClusterCA = image, "image-2", []byte("authority")
		objects, err := Render(v)
		if err != nil {
			t.Fatal(err)
		}
		kinds := ""
		for _, object := range objects {
			kinds += object.GetKind() + " " + object.GetName() + "\n"
		}
		for _, want := range []string{"Deployment metrics-server", "APIService v1beta1.metrics.k8s.io"} {
			if strings.Contains(kinds, want) != there {
				t.Errorf("with the image %q: %s is there: %v", image, want, !there)
			}
		}
		if !there {
			continue
		}
		if bundle, _, _ := unstructured.NestedString(find(t, objects, "APIService", "v1beta1.metrics.k8s.io").Object, "spec", "caBundle"); bundle != "YXV0aG9yaXR5" {
			t.Errorf("the API server would verify it by %q", bundle)
		}
		text, err := find(t, objects, "Deployment", "metrics-server").MarshalJSON()
		if err != nil || !strings.Contains(string(text), `"values":["image-2"]`) {
			t.Errorf("it may run on nodes that lack the image: %s, %v", text, err)
		}
	}
}
