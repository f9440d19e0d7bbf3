// Package tenant owns the connections to the tenants' own API servers: a
// client and a cache for each cluster, and the feeds that carry what changes
// there into the controllers of the management API. It must not decide
// anything: what a node, a certificate request or a service means is the
// business of the controllers.
//
// A tenant that cannot be reached holds up no one else: requests time out,
// caches fill and reconnect in the background, and no method waits for them.
package tenant

import (
	"context"
	"fmt"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	storagev1 "k8s.io/api/storage/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Kind is a kind of tenant objects that controllers can follow.
type Kind string

// CommandNamespace is the namespace of the pods that callers' commands run in.
// Pods elsewhere are never read: there may be very many.
const CommandNamespace = "aks-command"

// The kinds. Nodes, certificate requests and services are followed in every
// tenant from the moment it is connected; EndpointSlices only where a service
// asks for them, CommandPods only where a command was run, and Claims, Volumes and
// Attachments only where there are nodes.
const (
	Nodes               Kind = "nodes"
	CertificateRequests Kind = "certificatesigningrequests"
	Services            Kind = "services"
	EndpointSlices      Kind = "endpointslices"
	CommandPods         Kind = "commandpods"
	Claims              Kind = "persistentvolumeclaims"
	Volumes             Kind = "persistentvolumes"
	Attachments         Kind = "volumeattachments"
)

// prototype is an empty object of a kind.
func (k Kind) prototype() client.Object {
	switch k {
	case Nodes:
		return &corev1.Node{}
	case CertificateRequests:
		return &certificatesv1.CertificateSigningRequest{}
	case Services:
		return &corev1.Service{}
	case EndpointSlices:
		return &discoveryv1.EndpointSlice{}
	case CommandPods:
		return &corev1.Pod{}
	case Claims:
		return &corev1.PersistentVolumeClaim{}
	case Volumes:
		return &corev1.PersistentVolume{}
	case Attachments:
		return &storagev1.VolumeAttachment{}
	}
	panic("unknown kind of tenant objects " + string(k))
}

// Tenant is one connected cluster.
type Tenant struct {
	// Cluster is the name of the ManagedCluster object, Incarnation that of the cluster.
	Cluster     string
	Incarnation string
	// Client reads and writes the API server itself.
	Client client.Client
	// Reader reads the cache; only kinds for which Follow said true.
	Reader client.Reader
	// Logs reads what a container of a pod printed.
	Logs LogReader

	endpoint Endpoint
	cache    cache.Cache
	notify   func(kind Kind, object client.Object)
	followed *followed
}

// Follow makes the cache follow a kind and says whether it is filled. When it
// is not, an event without a name arrives in the kind's feed once it is.
func (t *Tenant) Follow(ctx context.Context, kind Kind) (filled bool, err error) {
	if t.cache == nil { // a connection without a cache reads the server itself
		return true, nil
	}
	informer, err := t.cache.GetInformer(ctx, kind.prototype(), cache.BlockUntilSynced(false))
	if err != nil {
		return false, fmt.Errorf("following the %s of cluster %s: %w", kind, t.Cluster, err)
	}
	if !t.followed.add(kind) {
		return informer.HasSynced(), nil
	}
	registration, err := informer.AddEventHandler(t.handler(kind))
	if err != nil {
		t.followed.remove(kind)
		return false, fmt.Errorf("following the %s of cluster %s: %w", kind, t.Cluster, err)
	}
	t.followed.run(func(stop <-chan struct{}) {
		if toolscache.WaitForCacheSync(stop, registration.HasSynced) {
			t.notify(kind, nil)
		}
	})
	return informer.HasSynced(), nil
}

// handler turns what the cache sees into events of the kind's feed.
func (t *Tenant) handler(kind Kind) toolscache.ResourceEventHandler {
	send := func(object any) {
		if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		if o, ok := object.(client.Object); ok {
			t.notify(kind, o)
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc: send,
		UpdateFunc: func(before, after any) {
			b, okBefore := before.(client.Object)
			a, okAfter := after.(client.Object)
			if okBefore && okAfter && b.GetResourceVersion() == a.GetResourceVersion() {
				return // a resync: nothing changed
			}
			send(after)
		},
		DeleteFunc: send,
	}
}
