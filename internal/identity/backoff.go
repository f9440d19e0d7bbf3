package identity

import (
	"sync"
	"time"
)

// The back-off of who presents wrong credentials.
const (
	freeFailures  = 5 // that cost nothing, so that a typing error does not
	firstWait     = time.Second
	longestWait   = 5 * time.Minute
	forgetAfter   = 15 * time.Minute
	maxRemembered = 4096
)

// backoff slows down who guesses credentials: after some failures a guess is
// not even looked at before a time that doubles. It counts by client id and
// address, so that nobody locks out a client that calls from elsewhere. Its
// memory is bounded: when it is full, the longest unseen is forgotten.
type backoff struct {
	now func() time.Time

	mu      sync.Mutex
	entries map[string]*failures
}

type failures struct {
	count       int
	last, until time.Time
}

func newBackoff(now func() time.Time) *backoff {
	return &backoff{now: now, entries: map[string]*failures{}}
}

// wait is how long a caller has to wait before it may try again; 0 if it need not.
func (b *backoff) wait(caller string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.entries[caller]; f != nil {
		return max(0, f.until.Sub(b.now()))
	}
	return 0
}

// failed notes wrong credentials.
func (b *backoff) failed(caller string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	f := b.entries[caller]
	if f == nil || now.Sub(f.last) > forgetAfter {
		if f == nil {
			b.makeRoom(now)
		}
		f = &failures{}
		b.entries[caller] = f
	}
	f.count++
	f.last = now
	if over := f.count - freeFailures; over >= 0 {
		f.until = now.Add(min(longestWait, firstWait<<min(over, 16)))
	}
}

// succeeded forgets a caller's failures.
func (b *backoff) succeeded(caller string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.entries, caller)
}

// makeRoom drops what is too old to matter, or else the oldest, if all room is taken.
func (b *backoff) makeRoom(now time.Time) {
	if len(b.entries) < maxRemembered {
		return
	}
	oldest := ""
	for caller, f := range b.entries {
		if now.Sub(f.last) > forgetAfter {
			delete(b.entries, caller)
		} else if oldest == "" || f.last.Before(b.entries[oldest].last) {
			oldest = caller
		}
	}
	if len(b.entries) >= maxRemembered {
		delete(b.entries, oldest)
	}
}
