//go:build e2e

package process

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	watching "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"berth.dev/berth/internal/controlplane"
)

// watches are those of who watches all the time and goes on at the next server
// from where it was at the one before, as kube-proxy does.
type watches struct {
	began, refused atomic.Int64
	first          atomic.Value
	stop           func()
}

// beginning begins a watch from a version.
type beginning func(ctx context.Context, from metav1.ListOptions) (watching.Interface, error)

// watch begins to watch what kube-proxies watch.
func watch(t *testing.T, desired controlplane.Desired) *watches {
	t.Helper()
	c := client(t, desired)
	version := objects(t, c)
	w := &watches{}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	w.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	t.Cleanup(w.stop)
	for _, begin := range []beginning{c.CoreV1().Services("").Watch, c.DiscoveryV1().EndpointSlices("").Watch} {
		running.Go(func() {
			for from := version; ctx.Err() == nil; {
				from = w.follow(ctx, begin, from)
			}
		})
	}
	return w
}

// reach waits until so many watches were begun, but not for ever: they go over to a
// server a moment after the one before it has ended.
func (w *watches) reach(n int64) {
	for deadline := time.Now().Add(10 * time.Second); w.began.Load() < n && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
}

// objects makes what the add-ons make in a cluster, and returns a version from
// which everything can be watched.
func objects(t *testing.T, c kubernetes.Interface) (version string) {
	t.Helper()
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"198.18.200.2"}}},
	}
	_, err := c.DiscoveryV1().EndpointSlices("default").Create(t.Context(), slice, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for { // the API server makes the service when it has started
		services, err := c.CoreV1().Services("default").List(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if len(services.Items) > 0 {
			return services.ResourceVersion
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// follow watches from a version until the watch ends, and returns the last that it learnt of.
func (w *watches) follow(ctx context.Context, begin beginning, from string) string {
	running, err := begin(ctx, metav1.ListOptions{ResourceVersion: from, AllowWatchBookmarks: true})
	if err != nil {
		if apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
			w.refuse(err)
		}
		return from // nobody serves, or not yet
	}
	defer running.Stop()
	w.began.Add(1)
	for event := range running.ResultChan() {
		if ctx.Err() != nil {
			return from // the end is told as an error, too
		}
		if event.Type == watching.Error {
			w.refuse(apierrors.FromObject(event.Object))
			return from
		}
		if object, err := meta.Accessor(event.Object); err == nil {
			from = object.GetResourceVersion()
		}
	}
	return from
}

func (w *watches) refuse(err error) {
	w.refused.Add(1)
	w.first.CompareAndSwap(nil, fmt.Sprint(err))
	time.Sleep(100 * time.Millisecond) // it would be refused again and again
}
