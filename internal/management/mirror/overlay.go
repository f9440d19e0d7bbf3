package mirror

import (
	"maps"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/util/resourceversion"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// believed is how long a write is believed without the cache having seen it. A
// watch is behind for milliseconds; after this the API itself is asked. It also
// bounds how long something can be shown that was written and removed again
// between two looks of a watch that had to begin anew.
const believed = 2 * time.Second

// overlay is what this process wrote of one kind and the cache may not have yet.
type overlay struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[string]entry
}

// entry is one write.
type entry struct {
	// object is as it was written, or as it was before it was deleted.
	object client.Object
	// deleted says that it is gone altogether.
	deleted bool
	// at is when it was written; zero where nobody knows what became of it.
	at time.Time
}

func newOverlay() *overlay { return &overlay{now: time.Now, entries: map[string]entry{}} }

// verdict says where the truth about an object lies.
type verdict int

const (
	theCache verdict = iota // what the cache has, or that it has nothing
	theWrite                // what was written
	nothing                 // the object was deleted
	theAPI                  // only the API knows
)

// peek is what was written of an object. It has to be asked before the cache
// is: an entry goes once the cache has it, so what is not here the cache has.
func (o *overlay) peek(name string) (entry, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e, found := o.entries[name]
	return e, found
}

// all is everything that was written, by name.
func (o *overlay) all() map[string]entry {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.entries) == 0 {
		return nil
	}
	return maps.Clone(o.entries)
}

// judge compares a write with what the cache has, nil for nothing.
func (o *overlay) judge(e entry, cached client.Object) verdict {
	switch {
	case e.overtaken(cached):
		return theCache
	case o.now().Sub(e.at) >= believed:
		return theAPI
	case e.deleted:
		return nothing
	}
	return theWrite
}

// overtaken says whether the cache has the write or what came after it.
func (e entry) overtaken(cached client.Object) bool {
	switch {
	case e.deleted:
		// Without an id of its own an object is gone when its name is.
		return cached == nil || e.object.GetUID() != "" && cached.GetUID() != e.object.GetUID()
	case cached == nil || e.at.IsZero():
		return false
	}
	return !older(cached, e.object)
}

// older compares two versions of one object. Those that cannot be compared are
// taken for older, which costs a read of the API and is never wrong.
func older(a, b client.Object) bool {
	order, err := resourceversion.CompareResourceVersion(a.GetResourceVersion(), b.GetResourceVersion())
	return err != nil || order < 0
}

// wrote notes an object as it was written, unless something later is known.
func (o *overlay) wrote(object client.Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e, found := o.entries[object.GetName()]; found && !e.at.IsZero() {
		if e.deleted && e.object.GetUID() == object.GetUID() || older(object, e.object) {
			return
		}
	}
	o.entries[object.GetName()] = entry{object: object.DeepCopyObject().(client.Object), at: o.now()}
}

// deleted notes that an object is gone, unless another has its name by now.
func (o *overlay) deleted(object client.Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e, found := o.entries[object.GetName()]; found && e.object.GetUID() != object.GetUID() {
		return
	}
	o.entries[object.GetName()] = entry{object: object.DeepCopyObject().(client.Object), deleted: true, at: o.now()}
}

// doubt notes that nobody knows what became of an object: the next read asks.
func (o *overlay) doubt(object client.Object) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.entries[object.GetName()] = entry{object: object.DeepCopyObject().(client.Object)}
}

// forget drops an entry that was resolved, unless it has been replaced.
func (o *overlay) forget(name string, e entry) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.entries[name] == e {
		delete(o.entries, name)
	}
}

// seen hears of an object that has come into the cache.
func (o *overlay) seen(event any) {
	object, ok := event.(client.Object)
	if !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if e, found := o.entries[object.GetName()]; found && e.overtaken(object) {
		delete(o.entries, object.GetName())
	}
}

// gone hears of an object that has left the cache.
func (o *overlay) gone(event any) {
	unknown, late := event.(toolscache.DeletedFinalStateUnknown)
	if late {
		event = unknown.Obj
	}
	object, ok := event.(client.Object)
	if !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if e, found := o.entries[object.GetName()]; found && e.object.GetUID() == object.GetUID() {
		delete(o.entries, object.GetName())
	}
}
