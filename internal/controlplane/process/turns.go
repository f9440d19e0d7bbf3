package process

import (
	"bytes"
	"encoding/json"
	"sync"
	"time"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/supervise"
)

// startsAtOnce is how many control planes of a host with so many cores may be
// starting: one more than the cores, because each waits for itself now and then. All
// at once they would be ready no sooner than the last of them, and what runs
// already would have a fraction of a core for as long.
func startsAtOnce(cores int) int { return cores + 1 }

// The bounds of what changes on a host at the same time. A newer Berth may give
// every control plane other flags: all at once, their successors would take the
// memory of as many again, and the cores that those need who serve.
const (
	// changesAtOnce is how many control planes may be replacing components.
	changesAtOnce = 2
	// turnLasts is how long one keeps the others waiting: one whose changed
	// component cannot start has its turn no longer.
	turnLasts = 2 * time.Minute
	// turnSettles is how long a supervisor has to see what it was told: before, its
	// silence does not mean that nothing changes.
	turnSettles = 2 * time.Second
)

// turns says which control planes may change, or start, now. It is kept in memory alone:
// who was changing when a process was killed is seen by its supervisor's status.
type turns struct {
	now    func() time.Time
	atOnce int

	mu      sync.Mutex
	taken   map[string]turn
	waiting map[string]bool
}

// turn is when one was taken, and whether nothing was seen to change since.
type turn struct {
	since time.Time
	quiet bool
}

func newTurns(now func() time.Time, atOnce int) *turns {
	return &turns{now: now, atOnce: atOnce, taken: map[string]turn{}, waiting: map[string]bool{}}
}

// take gives a control plane a turn if one is free; one that is changing already has it.
func (t *turns) take(id string, changing bool) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	others := 0
	for other, has := range t.taken {
		age := t.now().Sub(has.since)
		if other != id && age < turnLasts && (!has.quiet || age < turnSettles) {
			others++
		}
	}
	has, held := t.taken[id]
	if !changing && !held && others >= t.atOnce {
		t.waiting[id] = true
		return false
	}
	if !held {
		has.since = t.now()
	}
	has.quiet = false
	t.taken[id] = has
	delete(t.waiting, id)
	return true
}

// end gives the turn back, if it was taken before what is seen now.
func (t *turns) end(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.waiting, id)
	has, held := t.taken[id]
	if !held {
		return
	}
	if has.quiet = true; t.now().Sub(has.since) >= turnSettles {
		delete(t.taken, id)
		return
	}
	t.taken[id] = has
}

// waits says that a control plane is to change and waits for its turn.
func (t *turns) waits(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.waiting[id]
}

// inTurn is what a control plane is to run now: what it runs, as long as it
// waits for its turn. One that does not run changes nothing.
func (r *Runtime) inTurn(
	desired controlplane.Desired, former supervise.Spec, wanted []supervise.Component, last supervise.Status,
) []supervise.Component {
	changes := !same(former.Components, wanted)
	changing := isChanging(last)
	switch {
	case last.PID == 0 || desired.DatastoreOnly || former.Stop || !changes && !changing:
		r.turns.end(desired.ID)
		return wanted
	case r.turns.take(desired.ID, changing):
		return wanted
	default:
		return former.Components
	}
}

// isChanging says that a component is to be replaced, or was replaced and its
// predecessor has not ended.
func isChanging(status supervise.Status) bool {
	for _, component := range status.Components {
		if component.Outdated {
			return true
		}
	}
	apiServers, konnectivity := servers(status)
	return apiServers > 1 || konnectivity > 1
}

// same compares components as they are stored.
func same(a, b []supervise.Component) bool {
	left, errA := json.Marshal(a)
	right, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(left, right)
}
