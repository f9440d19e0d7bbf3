package agent

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	testingclock "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	fakeclient "sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	networkapi "berth.dev/berth/api/network/v1alpha1"
	runtimefake "berth.dev/berth/internal/controlplane/fake"
	"berth.dev/berth/internal/home"
	machinefake "berth.dev/berth/internal/machine/fake"
	"berth.dev/berth/internal/naming"
	networkfake "berth.dev/berth/internal/network/fake"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/release"
)

const (
	hostName    = "local"
	incarnation = "abcdefghij"
	clusterName = "demo-0123456789ab"
	machineName = "aks-nodepool1-00000000-vmss000000-klmnopqrst"
)

// world is an agent's surroundings, all fake.
type world struct {
	client   client.Client
	runtime  *runtimefake.Runtime
	fabric   *networkfake.Fabric
	releases *releases
	deps     Dependencies
}

// releases is a cache in memory.
type releases struct {
	mu    sync.Mutex
	built map[string]bool
	fail  error
}

func (r *releases) Lookup(version string) (release.Artifacts, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.built[version] {
		return release.Artifacts{}, false
	}
	return release.Artifacts{
		Version: version, NodeImageName: "image-1", NodeImage: "/image", CNI: "/cni",
		Binaries: binaries(),
		Images:   map[string]string{"pause": "registry.k8s.io/pause:3"}, ImageArchives: []string{"/images/pause.tar"},
	}, true
}

func binaries() map[string]string {
	paths := map[string]string{}
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "proxy-server", "kubelet"} {
		paths[name] = "/bin/" + name
	}
	return paths
}

func (r *releases) Build(_ context.Context, version string, report func(release.Progress)) (release.Artifacts, error) {
	report(release.Progress{Step: "kubernetes " + version, StepIndex: 1, Steps: 2, Done: 3, Total: 9})
	if r.fail != nil {
		return release.Artifacts{}, r.fail
	}
	r.mu.Lock()
	r.built[version] = true
	r.mu.Unlock()
	artifacts, _ := r.Lookup(version)
	return artifacts, nil
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), containerservice.AddToScheme(scheme), networkapi.AddToScheme(scheme), hostapi.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	w := &world{
		client: fakeclient.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(
			&containerservice.ControlPlane{}, &containerservice.Machine{}, &containerservice.Disk{}, &networkapi.VirtualNetwork{}, &networkapi.LoadBalancer{}, &hostapi.Host{},
		).Build(),
		runtime: &runtimefake.Runtime{Steps: 2}, fabric: networkfake.New(), releases: &releases{built: map[string]bool{"1.35.4": true}},
	}
	w.deps = Dependencies{
		Home: home.Home{Dir: t.TempDir(), Instance: "abcd"}, HostName: hostName, Runtime: w.runtime,
		Provider: machinefake.New(machinefake.NewState()), Fabric: w.fabric, Releases: w.releases,
		Versions: []string{"1.35.4", "1.36.3"}, Clock: testingclock.NewFakeClock(time.Unix(1_700_000_000, 0)),
	}
	edge, err := Edge(hostapi.HostSpec{PublicRange: "198.18.0.0/20"})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.fabric.EnsureEdge(t.Context(), edge); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) controlPlanes() *controlPlaneReconciler {
	return &controlPlaneReconciler{client: w.client, Dependencies: w.deps, builds: newBuilds(w.releases), watch: newStatusWatch()}
}

func (w *world) machines() *machineReconciler {
	return &machineReconciler{client: w.client, Dependencies: w.deps, builds: newBuilds(w.releases)}
}

func (w *world) networks() *networkReconciler {
	return &networkReconciler{client: w.client, Dependencies: w.deps}
}

// until reconciles until the result is what is wanted, and fails after many attempts.
func until(t *testing.T, r reconcile.Reconciler, name string, done func(ctrl.Result) bool) ctrl.Result {
	t.Helper()
	var last ctrl.Result
	for range 20 {
		result, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Name: name}})
		if err != nil {
			t.Fatal(err)
		}
		if last = result; done(result) {
			return result
		}
	}
	t.Fatalf("after 20 looks at %s still %+v", name, last)
	return last
}

func settledDown(result ctrl.Result) bool { return result.RequeueAfter == resync }

func once(ctrl.Result) bool { return true }

func (w *world) get(t *testing.T, object client.Object, name string) bool {
	t.Helper()
	err := w.client.Get(t.Context(), client.ObjectKey{Name: name}, object)
	if apierrors.IsNotFound(err) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	return true
}

func expect(t *testing.T, conditions []metav1.Condition, conditionType, status, mentions string) {
	t.Helper()
	c := apimeta.FindStatusCondition(conditions, conditionType)
	if c == nil || string(c.Status) != status || !strings.Contains(c.Reason+" "+c.Message, mentions) {
		t.Errorf("condition %s is %+v, want %s with %q", conditionType, c, status, mentions)
	}
}

func controlPlane() *containerservice.ControlPlane {
	return &containerservice.ControlPlane{
		ObjectMeta: metav1.ObjectMeta{Name: incarnation, Generation: 1},
		Spec: containerservice.ControlPlaneSpec{
			ClusterName: clusterName, HostName: hostName, Incarnation: incarnation, KubernetesVersion: "1.35.4", Address: "198.18.0.16",
			FQDN: "demo.hcp.local.berth.internal", Issuer: "https://oidc.local.berth.internal/t/i/", EtcdPrefix: "/" + incarnation,
			ServiceCIDR: "10.0.0.0/16", PodCIDR: "10.244.0.0/16", UserID: 100_000, CredentialsName: naming.Credentials(incarnation),
		},
	}
}

func credentials(t *testing.T) *corev1.Secret {
	t.Helper()
	files, err := pki.NewCluster(pki.ClusterNames{
		FQDN: "demo.hcp.local.berth.internal", Address: netip.MustParseAddr("198.18.0.16"), ServiceAddress: netip.MustParseAddr("10.0.0.1"),
	}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: naming.SystemNamespace, Name: naming.Credentials(incarnation)},
		Data:       files,
	}
}

func TestAControlPlaneBecomesReadyOnceItsReleaseNetworkAndCredentialsAreThere(t *testing.T) {
	w := newWorld(t, controlPlane())
	r := w.controlPlanes()
	until(t, r, incarnation, once)
	var object containerservice.ControlPlane
	w.get(t, &object, incarnation)
	expect(t, object.Status.Conditions, containerservice.ConditionReady, "False", "credentials")
	if len(object.Finalizers) != 1 {
		t.Errorf("finalizers are %v before anything external exists", object.Finalizers)
	}
	if err := w.client.Create(t.Context(), credentials(t)); err != nil {
		t.Fatal(err)
	}
	until(t, r, incarnation, settledDown)
	w.get(t, &object, incarnation)
	expect(t, object.Status.Conditions, containerservice.ConditionReleaseReady, "True", "")
	expect(t, object.Status.Conditions, containerservice.ConditionNetworkReady, "True", "198.18.0.16")
	expect(t, object.Status.Conditions, containerservice.ConditionReady, "True", "")
	if object.Status.Version == "" || object.Status.ObservedGeneration != object.Generation || len(object.Status.Components) == 0 {
		t.Errorf("status is %+v", object.Status)
	}
	if desired, _ := w.runtime.Desired(incarnation); len(desired.Credentials[pki.ClusterCACert]) == 0 || desired.NetworkNamespace == "" {
		t.Errorf("the runtime was asked for %+v", desired)
	}
}

func TestAReleaseThatIsNotBuiltIsBuiltWhileTheConditionSaysSo(t *testing.T) {
	object := controlPlane()
	object.Spec.KubernetesVersion = "1.36.3"
	w := newWorld(t, object, credentials(t))
	r := w.controlPlanes()
	if result := until(t, r, incarnation, once); result.RequeueAfter != building {
		t.Errorf("comes again after %v", result.RequeueAfter)
	}
	var seen containerservice.ControlPlane
	w.get(t, &seen, incarnation)
	expect(t, seen.Status.Conditions, containerservice.ConditionReleaseReady, "False", reasonBuilding)

	w.releases.fail = errors.New("no compiler on this host")
	r.builds.build(t.Context(), "1.36.3")
	until(t, r, incarnation, once)
	w.get(t, &seen, incarnation)
	expect(t, seen.Status.Conditions, containerservice.ConditionReleaseReady, "False", "no compiler")

	w.releases.fail = nil
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.builds.Start(ctx) }()
	for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, outcome := r.builds.Ensure("1.36.3"); outcome.True {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the build was not tried again")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestADeletedControlPlaneGoesOnlyAfterItsProcessesAndItsAddress(t *testing.T) {
	w := newWorld(t, controlPlane(), credentials(t))
	r := w.controlPlanes()
	until(t, r, incarnation, settledDown)
	var object containerservice.ControlPlane
	w.get(t, &object, incarnation)
	if err := w.client.Delete(t.Context(), &object); err != nil {
		t.Fatal(err)
	}
	if result := until(t, r, incarnation, once); result.RequeueAfter != deleting {
		t.Fatalf("the processes were stopped at once: %+v", result)
	}
	if _, there := w.fabric.Endpoint(incarnation); !there {
		t.Error("the address went before the processes that listen on it")
	}
	w.get(t, &object, incarnation)
	expect(t, object.Status.Conditions, containerservice.ConditionDeleting, "True", "stopping")
	until(t, r, incarnation, func(ctrl.Result) bool { return !w.get(t, &object, incarnation) })
	if _, there := w.fabric.Endpoint(incarnation); there {
		t.Error("the address is still there")
	}
}

func TestAnObjectOfAnotherHostIsNotTouched(t *testing.T) {
	object := controlPlane()
	object.Spec.HostName = "another"
	w := newWorld(t, object, credentials(t))
	until(t, w.controlPlanes(), incarnation, once)
	w.get(t, object, incarnation)
	if len(object.Finalizers) != 0 || len(object.Status.Conditions) != 0 {
		t.Errorf("it was touched: %+v", object)
	}
}

func TestAFailureOfTheFabricIsAConditionAndIsTriedAgain(t *testing.T) {
	w := newWorld(t, controlPlane(), credentials(t))
	w.fabric.FailWith(func(string) error { return errors.New("the link name is taken by another program") })
	if result := until(t, w.controlPlanes(), incarnation, once); result.RequeueAfter != retry {
		t.Errorf("comes again after %v", result.RequeueAfter)
	}
	var object containerservice.ControlPlane
	w.get(t, &object, incarnation)
	expect(t, object.Status.Conditions, containerservice.ConditionNetworkReady, "False", "link name is taken")
}
