package agentpool

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	source "k8s.io/client-go/tools/cache/testing"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	v1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	apimeta "berth.dev/berth/api/meta/v1alpha1"
	networkv1 "berth.dev/berth/api/network/v1alpha1"
)

// start runs the registered controller over a fake API. Nothing but the watches
// makes it reconcile, and what they see of clusters is what the test tells.
func start(t *testing.T, objects ...client.Object) (client.Client, *source.FakeControllerSource) {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{v1alpha1.AddToScheme, networkv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	api := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&v1alpha1.AgentPool{}).Build()
	ctx, cancel := context.WithCancel(t.Context())
	clusters := source.NewFakeControllerSource()
	informers := &informertest.FakeInformers{Scheme: scheme, InformersByGVK: map[schema.GroupVersionKind]toolscache.SharedIndexInformer{}}
	var running sync.WaitGroup
	for kind, from := range map[string]*source.FakeControllerSource{
		"ManagedCluster": clusters, "AgentPool": source.NewFakeControllerSource(), "Machine": source.NewFakeControllerSource(),
	} {
		informer := toolscache.NewSharedIndexInformer(from, nil, 0, nil)
		informers.InformersByGVK[v1alpha1.SchemeGroupVersion().WithKind(kind)] = informer
		running.Go(func() { informer.RunWithContext(ctx) })
	}
	m, err := manager.New(&rest.Config{}, manager.Options{
		Scheme:         scheme,
		Metrics:        server.Options{BindAddress: "0"},
		MapperProvider: func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return api.RESTMapper(), nil },
		NewCache:       func(*rest.Config, cache.Options) (cache.Cache, error) { return informers, nil },
		NewClient:      func(*rest.Config, client.Options) (client.Client, error) { return api, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := NewController(api, api, clock.RealClock{}).Register(m); err != nil {
		t.Fatal(err)
	}
	running.Go(func() {
		if err := m.Start(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return api, clusters
}

func TestAPoolsStateFollowsTheOperationsOfItsCluster(t *testing.T) {
	profile := v1alpha1.AgentPoolProfile{Name: "nodepool1", Incarnation: "abcdefghij"}
	cluster := &v1alpha1.ManagedCluster{
		ObjectMeta: metav1.ObjectMeta{Name: "demo", Generation: 3},
		Spec: v1alpha1.ManagedClusterSpec{
			Incarnation: "klmnopqrst", AgentPools: []v1alpha1.AgentPoolProfile{profile},
			Operations: []apimeta.RunningOperation{{Scope: apimeta.ScopeCluster, Verb: apimeta.VerbCreate, ID: "one"}},
		},
	}
	pool := &v1alpha1.AgentPool{
		ObjectMeta: metav1.ObjectMeta{Name: "nodepool1-abcdefghij", Generation: 1, Finalizers: []string{v1alpha1.AgentPoolFinalizer}},
		Spec:       v1alpha1.AgentPoolSpec{ClusterName: "demo", Profile: profile},
	}
	api, clusters := start(t, cluster, pool)
	clusters.Add(cluster.DeepCopy())
	wait(t, api, pool, v1alpha1.StateCreating)

	steps := []struct {
		verb apimeta.Verb
		want string
	}{{"", v1alpha1.StateSucceeded}, {apimeta.VerbScale, v1alpha1.StateScaling}, {"", v1alpha1.StateSucceeded}}
	for _, step := range steps {
		cluster.Spec.Operations = nil
		if step.verb != "" {
			cluster.Spec.Operations = []apimeta.RunningOperation{{Scope: profile.Name, Verb: step.verb, ID: "two"}}
		}
		cluster.Generation++
		if err := api.Update(t.Context(), cluster); err != nil {
			t.Fatal(err)
		}
		clusters.Modify(cluster.DeepCopy())
		wait(t, api, pool, step.want)
	}
}

// wait waits until a pool has a state.
func wait(t *testing.T, api client.Client, pool *v1alpha1.AgentPool, state string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if err := api.Get(t.Context(), client.ObjectKeyFromObject(pool), pool); err != nil {
			t.Fatal(err)
		}
		if pool.Status.ProvisioningState == state {
			return
		}
	}
	t.Fatalf("the pool's state stays %q, want %s", pool.Status.ProvisioningState, state)
}
