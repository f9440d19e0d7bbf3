package mirror

import (
	"context"
	"fmt"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	resources "berth.dev/berth/api/resources/v1alpha1"
)

// world is an API and a cache of it that hears of nothing until it is told.
type world struct {
	t        *testing.T
	api      client.WithWatch
	cached   client.WithWatch
	handlers []toolscache.ResourceEventHandler
	mirror   *Client
	now      time.Time
	reads    int // of the API itself
}

// informer is the part of an informer that the mirror uses.
type informer struct {
	cache.Informer
	w *world
}

func (i informer) AddEventHandler(h toolscache.ResourceEventHandler) (toolscache.ResourceEventHandlerRegistration, error) {
	i.w.handlers = append(i.w.handlers, h)
	return nil, nil
}

type informers struct {
	client.Reader
	w *world
}

func (i informers) GetInformer(context.Context, client.Object, ...cache.InformerGetOption) (cache.Informer, error) {
	return informer{w: i.w}, nil
}

// counting counts the reads of the API.
type counting struct {
	client.Client
	w *world
}

func (c counting) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	c.w.reads++
	return c.Client.Get(ctx, key, object, options...)
}

func newWorld(t *testing.T) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := resources.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: time.Now(), api: fake.NewClientBuilder().WithScheme(scheme).Build(), cached: fake.NewClientBuilder().WithScheme(scheme).Build()}
	var err error
	if w.mirror, err = New(t.Context(), counting{w.api, w}, informers{w.cached, w}, &resources.ResourceGroup{}); err != nil {
		t.Fatal(err)
	}
	for _, o := range w.mirror.kinds {
		o.now = func() time.Time { return w.now }
	}
	return w
}

// hear brings the cache up to date with one object, and tells the handlers.
func (w *world) hear(name string) {
	w.t.Helper()
	var now, was resources.ResourceGroup
	err := w.api.Get(w.t.Context(), client.ObjectKey{Name: name}, &now)
	there := w.cached.Get(w.t.Context(), client.ObjectKey{Name: name}, &was) == nil
	if there {
		if err := w.cached.Delete(w.t.Context(), &was); err != nil {
			w.t.Fatal(err)
		}
	}
	if apierrors.IsNotFound(err) {
		for _, h := range w.handlers {
			h.OnDelete(&was)
		}
		return
	}
	w.must(w.cached.Create(w.t.Context(), withoutVersion(&now)))
	for _, h := range w.handlers {
		h.OnAdd(&now, false)
	}
}

func withoutVersion(g *resources.ResourceGroup) *resources.ResourceGroup {
	c := g.DeepCopy()
	c.ResourceVersion = ""
	return c
}

func group(name, uid, tag string) *resources.ResourceGroup {
	return &resources.ResourceGroup{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(uid), Labels: map[string]string{"tag": tag}},
		Spec:       resources.ResourceGroupSpec{Tags: map[string]string{"tag": tag}},
	}
}

// read is what a caller sees of a group: its tag, or "none".
func (w *world) read(name string) string {
	w.t.Helper()
	var g resources.ResourceGroup
	err := w.mirror.Get(w.t.Context(), client.ObjectKey{Name: name}, &g)
	if apierrors.IsNotFound(err) {
		return "none"
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return g.Spec.Tags["tag"]
}

// list is what a caller sees of all groups with a tag, or of all.
func (w *world) list(tag string) string {
	w.t.Helper()
	var options []client.ListOption
	if tag != "" {
		options = append(options, client.MatchingLabels{"tag": tag})
	}
	var list resources.ResourceGroupList
	if err := w.mirror.List(w.t.Context(), &list, options...); err != nil {
		w.t.Fatal(err)
	}
	seen := map[string]string{}
	for _, g := range list.Items {
		seen[g.Name] = g.Spec.Tags["tag"]
	}
	return fmt.Sprint(seen)
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sees(what, got, want string) {
	w.t.Helper()
	if got != want {
		w.t.Errorf("%s: %s, want %s", what, got, want)
	}
}

func TestEveryWriteIsReadAtOnceThoughTheCacheHasHeardOfNone(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	g := group("a", "1", "old")
	w.must(w.mirror.Create(ctx, g))
	w.sees("after the create", w.read("a"), "old")
	w.sees("in a list", w.list(""), "map[a:old]")
	w.sees("in a list of others", w.list("new"), "map[]")
	g.Spec.Tags["tag"], g.Labels["tag"] = "new", "new"
	w.must(w.mirror.Update(ctx, g))
	w.sees("after the update", w.read("a"), "new")
	w.sees("by its new label", w.list("new"), "map[a:new]")
	w.sees("by its old label", w.list("old"), "map[]")
	if w.reads != 0 {
		t.Errorf("the API was read %d times", w.reads)
	}
	w.must(w.mirror.Delete(ctx, g))
	w.sees("after the delete", w.read("a"), "none")
	w.sees("in a list after it", w.list(""), "map[]")
	w.must(w.mirror.Create(ctx, group("a", "2", "again")))
	w.sees("made anew", w.read("a"), "again")
}

func TestADeletedObjectIsNotSeenInACacheThatStillHasIt(t *testing.T) {
	w := newWorld(t)
	g := group("a", "1", "x")
	w.must(w.mirror.Create(t.Context(), g))
	w.hear("a")
	w.sees("from the cache", w.read("a"), "x")
	w.must(w.mirror.Delete(t.Context(), g))
	w.sees("deleted", w.read("a"), "none")
	w.sees("in a list", w.list(""), "map[]")
	w.hear("a")
	w.sees("after the cache heard", w.read("a"), "none")
}

func TestAnObjectThatFinalizersHoldIsSeenMarked(t *testing.T) {
	w := newWorld(t)
	g := group("a", "1", "x")
	g.Finalizers = []string{"berth.dev/test"}
	w.must(w.mirror.Create(t.Context(), g))
	w.hear("a")
	w.must(w.mirror.Delete(t.Context(), g))
	var read resources.ResourceGroup
	w.must(w.mirror.Get(t.Context(), client.ObjectKey{Name: "a"}, &read))
	if read.DeletionTimestamp == nil {
		t.Error("it is not marked")
	}
}

func TestWhatTheCacheHasHeardOfIsForgottenAndWhatOthersWroteIsSeen(t *testing.T) {
	w := newWorld(t)
	g := group("a", "1", "x")
	w.must(w.mirror.Create(t.Context(), g))
	w.hear("a")
	for kind, o := range w.mirror.kinds {
		if len(o.entries) != 0 {
			t.Errorf("%d writes of %s are kept", len(o.entries), kind.Kind)
		}
	}
	w.must(w.api.Delete(t.Context(), g)) // by a controller
	w.hear("a")
	w.sees("after a controller deleted it", w.read("a"), "none")
}

func TestWhatTheCacheNeverHearsOfIsAskedOfTheAPI(t *testing.T) {
	w := newWorld(t)
	g := group("a", "1", "x")
	w.must(w.mirror.Create(t.Context(), g))
	w.must(w.api.Delete(t.Context(), g)) // before any watch saw it
	w.now = w.now.Add(believed)
	w.sees("an object that came and went", w.read("a"), "none")
	w.sees("in a list", w.list(""), "map[]")
	if w.reads == 0 {
		t.Error("the API was not asked")
	}
}

func TestAWriterWhoFailsLeavesNothingBehind(t *testing.T) {
	w := newWorld(t)
	w.must(w.mirror.Create(t.Context(), group("a", "1", "x")))
	if err := w.mirror.Create(t.Context(), group("a", "2", "y")); !apierrors.IsAlreadyExists(err) {
		t.Fatal(err)
	}
	w.sees("after a create that was refused", w.read("a"), "x")
	stale := group("a", "1", "z")
	stale.ResourceVersion = "999999"
	if err := w.mirror.Update(t.Context(), stale); !apierrors.IsConflict(err) {
		t.Fatal(err)
	}
	w.sees("after an update that was refused", w.read("a"), "x")
}
