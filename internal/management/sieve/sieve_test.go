package sieve

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/api/containerservice/v1alpha1"
)

// server serves machines as an API server does that has no idea of their schema.
type server struct {
	mu       sync.Mutex
	revision int
	machines map[string]string
	frames   []string // of each revision after the first
	changed  chan struct{}
}

func newServer() *server {
	return &server{revision: 1, machines: map[string]string{}, changed: make(chan struct{})}
}

// put writes a machine whose index is any JSON.
func (s *server) put(name, cluster, index string) { s.write("MODIFIED", name, cluster, index) }

func (s *server) remove(name, cluster, index string) { s.write("DELETED", name, cluster, index) }

func (s *server) write(event, name, cluster, index string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revision++
	machine := fmt.Sprintf(`{"apiVersion":"containerservice.berth.dev/v1alpha1","kind":"Machine","metadata":{"name":%q,"resourceVersion":"%d"},"spec":{"clusterName":%q,"index":%s}}`,
		name, s.revision, cluster, index)
	if s.machines[name] = machine; event == "DELETED" {
		delete(s.machines, name)
	}
	s.frames = append(s.frames, fmt.Sprintf(`{"type":%q,"object":%s}`, event, machine))
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	query := r.URL.Query()
	switch {
	case query.Get("sendInitialEvents") != "":
		w.WriteHeader(http.StatusUnprocessableEntity) // then the client lists, as it does for a server without it
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Invalid","code":422}`)
	case query.Get("watch") != "":
		s.watch(w, r)
	default:
		s.mu.Lock()
		defer s.mu.Unlock()
		only := strings.TrimPrefix(query.Get("fieldSelector"), "metadata.name=")
		if at := strings.LastIndex(r.URL.Path, "/machines/"); at >= 0 {
			machine, found := s.machines[r.URL.Path[at+len("/machines/"):]]
			if !found {
				w.WriteHeader(http.StatusNotFound)
				machine = `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"NotFound","code":404}`
			}
			fmt.Fprint(w, machine)
			return
		}
		var items []string
		for _, name := range slices.Sorted(maps.Keys(s.machines)) {
			if only == "" || only == name {
				items = append(items, s.machines[name])
			}
		}
		fmt.Fprintf(w, `{"apiVersion":"containerservice.berth.dev/v1alpha1","kind":"MachineList","metadata":{"resourceVersion":"%d"},"items":[%s]}`,
			s.revision, strings.Join(items, ","))
	}
}

// watch sends every change after a revision.
func (s *server) watch(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	for {
		s.mu.Lock()
		frames, changed := s.frames[from-1:], s.changed
		from += len(frames)
		s.mu.Unlock()
		for _, frame := range frames {
			fmt.Fprintln(w, frame)
		}
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}

// reads are the three ways to read that a controller has.
type reads struct {
	sieve        *Sieve
	cached, live client.Reader
}

func start(t *testing.T, s *server) reads {
	t.Helper()
	api := httptest.NewServer(s)
	t.Cleanup(api.CloseClientConnections)
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	config := &rest.Config{Host: api.URL}
	mapper := apimeta.NewDefaultRESTMapper(nil)
	mapper.Add(v1alpha1.SchemeGroupVersion().WithKind("Machine"), apimeta.RESTScopeRoot)
	sieve, err := New(config, scheme, mapper, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	filled, err := cache.New(config, cache.Options{Scheme: scheme, Mapper: mapper, NewInformer: sieve.Informer})
	if err != nil {
		t.Fatal(err)
	}
	live, err := client.New(config, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = filled.Start(t.Context()) }()
	return reads{sieve: sieve, cached: sieve.Cache(filled), live: sieve.Reader(live)}
}

func (r reads) index(t *testing.T, from client.Reader, name string) (int32, error) {
	t.Helper()
	var machine v1alpha1.Machine
	err := from.Get(t.Context(), client.ObjectKey{Name: name}, &machine)
	encoded, _ := json.Marshal(machine.Spec.Index)
	n, _ := strconv.Atoi(string(encoded))
	return int32(n), err
}

// becomes waits until the cache has a machine with an index.
func (r reads) becomes(t *testing.T, name string, want int32) {
	t.Helper()
	var got int32
	var err error
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if got, err = r.index(t, r.cached, name); err == nil && got == want {
			return
		}
	}
	t.Fatalf("machine %s has index %d, %v, want %d", name, got, err, want)
}

func isDamaged(err error, name string) bool {
	var damaged *DamagedError
	return errors.As(err, &damaged) && damaged.Name == name
}

func TestADamagedObjectCostsNobodyElseTheirs(t *testing.T) {
	s := newServer()
	s.put("good", "one", "1")
	s.put("bad", "two", `"three"`)
	r := start(t, s)
	r.becomes(t, "good", 1)
	for way, from := range map[string]client.Reader{"the cache": r.cached, "the API": r.live} {
		if _, err := r.index(t, from, "bad"); !isDamaged(err, "bad") {
			t.Errorf("Get of the damaged object from %s = %v", way, err)
		}
		if _, err := r.index(t, from, "none"); !apierrors.IsNotFound(err) {
			t.Errorf("Get of no object from %s = %v", way, err)
		}
		var list v1alpha1.MachineList
		if err := from.List(t.Context(), &list, Mentioning("one")); err != nil || len(list.Items) != 1 || list.Items[0].Name != "good" {
			t.Errorf("List of cluster one from %s = %d machines, %v", way, len(list.Items), err)
		}
		if err := from.List(t.Context(), &list, Mentioning("two")); !isDamaged(err, "bad") {
			t.Errorf("List of cluster two from %s = %v", way, err)
		}
	}
	var list v1alpha1.MachineList
	if err := r.live.List(t.Context(), &list); !isDamaged(err, "bad") {
		t.Errorf("a List of the API that says nothing = %v: what is left out might be taken for gone", err)
	}
	if err := r.cached.List(t.Context(), &list); err != nil || len(list.Items) != 1 {
		t.Errorf("a List of the cache = %d machines, %v", len(list.Items), err)
	}
	if n := testutil.ToFloat64(r.sieve.count.WithLabelValues("Machine")); n != 1 {
		t.Errorf("%v objects are counted", n)
	}
	s.remove("bad", "two", `"three"`)
	if _, err := r.index(t, r.cached, "bad"); !apierrors.IsNotFound(err) {
		t.Errorf("Get of the damaged object once it is gone = %v", err)
	}
}

func TestTheCacheKeepsWhatAnObjectWasUntilItIsRepaired(t *testing.T) {
	s := newServer()
	s.put("good", "one", "1")
	s.put("other", "two", "2")
	r := start(t, s)
	r.becomes(t, "other", 2)
	s.put("other", "two", `{"no":"number"}`)
	s.put("good", "one", "10")
	r.becomes(t, "good", 10)
	r.becomes(t, "other", 2)
	if n := testutil.ToFloat64(r.sieve.count.WithLabelValues("Machine")); n != 1 {
		t.Errorf("%v objects are counted", n)
	}
	s.put("other", "two", "20")
	r.becomes(t, "other", 20)
	if n := testutil.ToFloat64(r.sieve.count.WithLabelValues("Machine")); n != 0 {
		t.Errorf("%v objects are counted after the repair", n)
	}
	if _, err := r.index(t, r.live, "other"); err != nil {
		t.Error(err)
	}
}
