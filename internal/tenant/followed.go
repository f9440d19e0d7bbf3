package tenant

import "sync"

// followed holds the kinds that a tenant's cache follows and the goroutines
// that the tenant owns.
type followed struct {
	mu    sync.Mutex
	kinds map[Kind]bool
	stop  <-chan struct{}
	group *sync.WaitGroup
}

// add says whether the kind is new.
func (f *followed) add(kind Kind) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.kinds[kind] {
		return false
	}
	f.kinds[kind] = true
	return true
}

// remove forgets a kind whose handler could not be added.
func (f *followed) remove(kind Kind) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.kinds, kind)
}

// run starts a goroutine that ends when the tenant is disconnected.
func (f *followed) run(body func(stop <-chan struct{})) {
	f.group.Go(func() { body(f.stop) })
}
