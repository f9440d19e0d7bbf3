package sieve

import (
	"context"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Informer makes the informer of a kind; it is what cache.Options.NewInformer
// asks for. Its cache holds every object that can be decoded, and of one that no
// longer can what it was before.
//
// A watch ends at an object that cannot be decoded, and a new list follows: that
// is where the object is told from the others.
func (s *Sieve) Informer(lister toolscache.ListerWatcher, example runtime.Object, resync time.Duration, indexers toolscache.Indexers) toolscache.SharedIndexInformer {
	gvk, err := s.kindOf(example)
	if err != nil { // metadata or unstructured objects of a kind that the scheme does not know: nothing to decode
		return toolscache.NewSharedIndexInformer(lister, example, resync, indexers)
	}
	sifted := &sifted{ListerWatcher: lister, sieve: s, gvk: gvk}
	informer := toolscache.NewSharedIndexInformer(sifted, example, resync, indexers)
	sifted.store = informer.GetStore()
	seen := func(object any) {
		if o, is := object.(client.Object); is {
			s.seen(gvk, o)
		}
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: seen, UpdateFunc: func(_, object any) { seen(object) },
	}); err != nil {
		s.log.Error("watching for repaired objects", "kind", gvk.Kind, "error", err)
	}
	return informer
}

// sifted lists a kind object by object once it can no longer be listed as a whole.
type sifted struct {
	toolscache.ListerWatcher
	sieve *Sieve
	gvk   schema.GroupVersionKind
	store toolscache.Store
}

// List implements toolscache.Lister.
func (l *sifted) List(options metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(context.Background(), options)
}

// ListWithContext implements toolscache.ListerWithContext.
func (l *sifted) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list, err := toolscache.ToListerWatcherWithContext(l.ListerWatcher).ListWithContext(ctx, options)
	if !undecodable(err) {
		return list, err
	}
	// In one piece: what is damaged is known only when all has been read.
	options.Limit, options.Continue = 0, ""
	raw, whole, broken, err := l.sieve.read(ctx, l.gvk, "", &options)
	if err != nil {
		return nil, err
	}
	for key := range broken {
		if before := l.before(key); before != nil {
			whole = append(whole, before)
		}
	}
	l.sieve.remember(l.gvk, broken)
	return l.list(raw.ListMeta, whole)
}

// WatchWithContext implements toolscache.WatcherWithContext.
func (l *sifted) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return toolscache.ToListerWatcherWithContext(l.ListerWatcher).WatchWithContext(ctx, options)
}

// before is what the cache has of an object, nil if nothing.
func (l *sifted) before(key client.ObjectKey) runtime.Object {
	name := key.Name
	if key.Namespace != "" {
		name = key.Namespace + "/" + name
	}
	if item, found, err := l.store.GetByKey(name); err == nil && found {
		object, _ := item.(runtime.Object)
		return object
	}
	return nil
}

// list makes a typed list.
func (l *sifted) list(about metav1.ListMeta, items []runtime.Object) (runtime.Object, error) {
	gvk := l.gvk
	gvk.Kind += "List"
	list, err := l.sieve.scheme.New(gvk)
	if err != nil {
		return nil, err
	}
	if err := apimeta.SetList(list, items); err != nil {
		return nil, err
	}
	typed, err := apimeta.ListAccessor(list)
	if err != nil {
		return nil, err
	}
	typed.SetResourceVersion(about.ResourceVersion)
	return list, nil
}
