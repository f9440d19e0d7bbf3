package tenant

import (
	"context"
	"reflect"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// Event says that an object of a tenant changed.
type Event struct {
	// Cluster is the name of the ManagedCluster object.
	Cluster string
	// Namespace and Name are the object's; without a name the whole kind is to
	// be looked at: the tenant was just connected, or its cache was filled.
	Namespace, Name string
}

// Registry holds the connected tenants. The managed cluster's controller
// connects and disconnects them; every other controller only asks for them.
type Registry struct {
	dial func(Endpoint) (Connection, error)
	ctx  context.Context
	stop context.CancelFunc

	mu      sync.Mutex
	tenants map[string]*connected
	feeds   map[Kind][]chan event.TypedGenericEvent[Event]
}

// connected is a tenant with the goroutines that it owns.
type connected struct {
	tenant *Tenant
	cancel context.CancelFunc
	group  *sync.WaitGroup
	close  func()
}

// NewRegistry makes a registry without tenants; dial is Dial but in tests.
func NewRegistry(dial func(Endpoint) (Connection, error)) *Registry {
	ctx, stop := context.WithCancel(context.Background())
	return &Registry{
		dial: dial, ctx: ctx, stop: stop,
		tenants: map[string]*connected{},
		feeds:   map[Kind][]chan event.TypedGenericEvent[Event]{},
	}
}

// Start lets a manager own the registry: it ends with the manager and takes
// every tenant's goroutines with it.
func (r *Registry) Start(ctx context.Context) error {
	<-ctx.Done()
	r.Close()
	return nil
}

// Close disconnects all tenants and waits for their goroutines.
func (r *Registry) Close() {
	r.stop()
	r.mu.Lock()
	names := make([]string, 0, len(r.tenants))
	for name := range r.tenants {
		names = append(names, name)
	}
	r.mu.Unlock()
	for _, name := range names {
		r.Disconnect(name)
	}
}

// Source feeds a controller with what changes in all tenants. Call it before
// the first tenant is connected.
func (r *Registry) Source(kind Kind, requests func(context.Context, Event) []reconcile.Request) source.Source {
	feed := make(chan event.TypedGenericEvent[Event])
	r.mu.Lock()
	r.feeds[kind] = append(r.feeds[kind], feed)
	r.mu.Unlock()
	return source.Channel(feed, handler.TypedEnqueueRequestsFromMapFunc[Event, reconcile.Request](requests))
}

// Get finds a connected tenant by the name of its ManagedCluster.
func (r *Registry) Get(cluster string) (*Tenant, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, ok := r.tenants[cluster]
	if !ok {
		return nil, false
	}
	return c.tenant, true
}

// Connect makes the connection to a tenant unless there is one for this
// incarnation to the same server with the same credentials. It sends nothing and does not wait; every feed gets an event.
func (r *Registry) Connect(ctx context.Context, cluster, incarnation string, endpoint Endpoint) (*Tenant, error) {
	if t, ok := r.Get(cluster); ok {
		if t.Incarnation == incarnation && reflect.DeepEqual(t.endpoint, endpoint) {
			return t, nil
		}
		r.Disconnect(cluster)
	}
	connection, err := r.dial(endpoint)
	if err != nil {
		return nil, err
	}
	c := r.assemble(cluster, incarnation, connection)
	c.tenant.endpoint = endpoint
	r.mu.Lock()
	r.tenants[cluster] = c
	r.mu.Unlock()

	for _, kind := range []Kind{Nodes, CertificateRequests, Services} {
		if _, err := c.tenant.Follow(ctx, kind); err != nil {
			r.Disconnect(cluster)
			return nil, err
		}
	}
	c.group.Go(func() {
		for _, kind := range []Kind{Nodes, CertificateRequests, Services} {
			c.tenant.notify(kind, nil)
		}
	})
	return c.tenant, nil
}

// assemble makes the tenant of a connection and starts its cache.
func (r *Registry) assemble(cluster, incarnation string, connection Connection) *connected {
	ctx, cancel := context.WithCancel(r.ctx)
	group := &sync.WaitGroup{}
	t := &Tenant{
		Cluster: cluster, Incarnation: incarnation,
		Client: connection.Client, Reader: connection.Client, Logs: connection.Logs, cache: connection.Cache,
		notify:   func(kind Kind, object client.Object) { r.send(ctx, cluster, kind, object) },
		followed: &followed{kinds: map[Kind]bool{}, stop: ctx.Done(), group: group},
	}
	if connection.Cache != nil {
		t.Reader = connection.Cache
		group.Go(func() { _ = connection.Cache.Start(ctx) }) // ends with ctx and has no other error
	}
	return &connected{tenant: t, cancel: cancel, group: group, close: connection.Close}
}

// Disconnect ends a tenant's cache and connections and waits for its goroutines.
func (r *Registry) Disconnect(cluster string) {
	r.mu.Lock()
	c, ok := r.tenants[cluster]
	delete(r.tenants, cluster)
	r.mu.Unlock()
	if !ok {
		return
	}
	c.cancel()
	c.group.Wait()
	if c.close != nil {
		c.close()
	}
}

// send puts an event into every feed of a kind, until the tenant is disconnected.
func (r *Registry) send(ctx context.Context, cluster string, kind Kind, object client.Object) {
	e := event.TypedGenericEvent[Event]{Object: Event{Cluster: cluster}}
	if object != nil {
		e.Object.Namespace, e.Object.Name = object.GetNamespace(), object.GetName()
	}
	r.mu.Lock()
	feeds := r.feeds[kind]
	r.mu.Unlock()
	for _, feed := range feeds {
		select {
		case feed <- e:
		case <-ctx.Done():
			return
		}
	}
}
