// Package throttle limits how often callers may call: token buckets that the
// front end asks before it works. It knows buckets and how many tokens are
// left, and nothing of HTTP or of what a call does. Each front end has buckets
// of its own, so that a limit costs no write and n front ends allow n times as much.
package throttle

import (
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/utils/lru"
)

// Mode names a set of limits.
type Mode string

const (
	// Off limits nothing.
	Off Mode = "off"
	// Generous stops a client that runs away and nobody else: ten times what the
	// public ARM allows. It is the default, because clusters here are made in
	// seconds and tools that poll them are welcome.
	Generous Mode = "generous"
	// AKS has the public service's own limits, those of its resource provider
	// included, for who tests clients against them.
	AKS Mode = "aks"
)

// ParseMode reads a mode.
func ParseMode(s string) (Mode, error) {
	switch mode := Mode(s); mode {
	case Off, Generous, AKS:
		return mode, nil
	}
	return "", fmt.Errorf("unknown throttle %q: use %s, %s or %s", s, Generous, AKS, Off)
}

// Call is a kind of call with a bucket of its own.
type Call string

// The kinds of ARM itself, for each principal in each subscription.
const (
	Reads   Call = "reads"
	Writes  Call = "writes"
	Deletes Call = "deletes"
)

// The kinds of Microsoft.ContainerService, named as its answers name them.
const (
	ListInSubscription Call = "ListManagedClustersBySubscriptionHandler.GET"
	ListInGroup        Call = "ListManagedClustersByResourceGroupHandler.GET"
	PutCluster         Call = "PutManagedClusterHandler.PUT"
	PutPool            Call = "PutAgentPoolHandler.PUT"
	GetCluster         Call = "GetManagedClusterHandler.GET"
	GetOperation       Call = "GetOperationStatusResultHandler.GET"
	Other              Call = "OtherHandlers"
)

// limit is a bucket's size and how many tokens it gains in a second.
type limit struct {
	burst     int
	perSecond rate.Limit
}

// generous is how much more than ARM the default allows.
const generous = 10

// limits are the buckets of a mode. ARM's are the documented ones since 2024,
// those of the resource provider AKS's (AKS quotas, "throttling limits").
func limits(mode Mode) map[Call]limit {
	switch mode {
	case Generous:
		return map[Call]limit{
			Reads: {generous * 250, generous * 25}, Writes: {generous * 200, generous * 10}, Deletes: {generous * 200, generous * 10},
		}
	case AKS:
		return map[Call]limit{
			Reads: {250, 25}, Writes: {200, 10}, Deletes: {200, 10},
			ListInSubscription: {500, 1}, ListInGroup: {60, 1}, GetCluster: {60, 1}, GetOperation: {200, 2}, Other: {60, 1},
			PutCluster: {20, rate.Every(time.Minute)}, PutPool: {20, rate.Every(time.Minute)},
		}
	}
	return nil
}

// maxBuckets bounds the memory: the bucket that was used longest ago goes, and
// is full when it comes back. A caller who invents names to get full buckets is
// still held by ARM's bucket, which knows the principal and not what it asks for.
const maxBuckets = 16384

// Throttle has the buckets of one front end. It is safe for concurrent use. The
// nil Throttle limits nothing.
type Throttle struct {
	limits map[Call]limit
	now    func() time.Time

	mu      sync.Mutex // from looking for a bucket to storing a new one
	buckets map[bool]*lru.Cache
}

// New makes the buckets of a mode; nil if it has none. now is the clock.
func New(mode Mode, now func() time.Time) *Throttle {
	if limits(mode) == nil {
		return nil
	}
	// ARM's buckets lie apart, so that invented names of resources push out none of them.
	return &Throttle{limits: limits(mode), now: now, buckets: map[bool]*lru.Cache{true: lru.New(maxBuckets), false: lru.New(maxBuckets)}}
}

// Take takes a token for a call on a scope: a principal in a subscription, or
// the id of a resource, in any case. wait is 0 if there was one, else how long
// it takes until there is one. remaining is what the bucket holds now; limited
// says whether there is a bucket at all.
func (t *Throttle) Take(call Call, scope string) (remaining int, wait time.Duration, limited bool) {
	if t == nil {
		return 0, 0, false
	}
	l, limited := t.limits[call]
	if !limited {
		return 0, 0, false
	}
	bucket := t.bucket(call, strings.ToLower(scope), l)
	now := t.now()
	reservation := bucket.ReserveN(now, 1)
	if wait = reservation.DelayFrom(now); wait > 0 {
		reservation.CancelAt(now) // who is refused takes nothing
	}
	return max(0, int(bucket.TokensAt(now))), wait, true
}

func (t *Throttle) bucket(call Call, scope string, l limit) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	buckets := t.buckets[call == Reads || call == Writes || call == Deletes]
	key := string(call) + " " + scope
	if found, ok := buckets.Get(key); ok {
		return found.(*rate.Limiter)
	}
	fresh := rate.NewLimiter(l.perSecond, l.burst)
	buckets.Add(key, fresh)
	return fresh
}
