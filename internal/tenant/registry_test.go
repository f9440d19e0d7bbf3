package tenant

import (
	"context"
	"testing"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"berth.dev/berth/internal/pki"
)

// dialed counts the connections that were made and dropped.
type dialed struct{ made, closed int }

func (d *dialed) dial(Endpoint) (Connection, error) {
	d.made++
	return Connection{Client: fake.NewClientBuilder().Build(), Close: func() { d.closed++ }}, nil
}

func connect(t *testing.T, r *Registry, incarnation string) *Tenant {
	t.Helper()
	tenant, err := r.Connect(context.Background(), "demo", incarnation, Endpoint{Address: "198.18.0.16"})
	if err != nil {
		t.Fatal(err)
	}
	return tenant
}

func TestATenantIsDialedOncePerIncarnation(t *testing.T) {
	d := &dialed{}
	r := NewRegistry(d.dial)
	defer r.Close()
	first := connect(t, r, "one")
	if again := connect(t, r, "one"); again != first || d.made != 1 {
		t.Fatalf("dialed %d times", d.made)
	}
	if second := connect(t, r, "two"); second == first || d.made != 2 || d.closed != 1 {
		t.Fatalf("made %d, closed %d", d.made, d.closed)
	}
	r.Disconnect("demo")
	if _, ok := r.Get("demo"); ok || d.closed != 2 {
		t.Fatalf("still connected, closed %d", d.closed)
	}
}

func TestATenantIsDialedAnewWhenAnotherServerAnswers(t *testing.T) {
	d := &dialed{}
	r := NewRegistry(d.dial)
	defer r.Close()
	of := func(server string) *Tenant {
		tenant, err := r.Connect(t.Context(), "demo", "one", Endpoint{Address: "198.18.0.16", Server: server})
		if err != nil {
			t.Fatal(err)
		}
		return tenant
	}
	first := of("kube-apiserver/7")
	if of("kube-apiserver/7") != first || d.made != 1 {
		t.Errorf("the same server was dialed %d times", d.made)
	}
	if second := of("kube-apiserver-1442/9"); second == first || d.made != 2 || d.closed != 1 {
		t.Errorf("another server: made %d, closed %d", d.made, d.closed)
	}
}

func TestConnectingTellsEveryFeed(t *testing.T) {
	r := NewRegistry((&dialed{}).dial)
	defer r.Close()
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	feed := r.Source(Nodes, func(_ context.Context, e Event) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: e.Cluster + "/" + e.Name}}}
	})
	if err := feed.Start(ctx, queue); err != nil {
		t.Fatal(err)
	}
	connect(t, r, "one")
	request, _ := queue.Get() // blocks until the event is there
	if request.Name != "demo/" {
		t.Fatalf("got %v", request)
	}
}

func TestDisconnectingDoesNotWaitForAFeedThatNobodyReads(t *testing.T) {
	r := NewRegistry((&dialed{}).dial)
	r.Source(Nodes, func(context.Context, Event) []reconcile.Request { return nil }) // never started
	connect(t, r, "one")
	done := make(chan struct{})
	go func() { defer close(done); r.Close() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for ever")
	}
}

func TestATenantThatCannotBeReachedHoldsUpNoOne(t *testing.T) {
	files, err := pki.NewAuthority("ca", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	certificate, key, err := files.Issue(pki.Leaf{CommonName: "service", Client: true, Validity: time.Hour}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := NewRegistry(Dial)
	tenant, err := r.Connect(context.Background(), "demo", "one", Endpoint{
		Address: "127.255.255.254", CA: files.CertificatePEM(), Certificate: certificate, Key: key, // nobody listens there
	})
	if err != nil {
		t.Fatal(err)
	}
	if filled, err := tenant.Follow(context.Background(), Nodes); err != nil || filled {
		t.Fatalf("filled %t, %v", filled, err)
	}
	r.Close() // ends the cache although it never filled
}
