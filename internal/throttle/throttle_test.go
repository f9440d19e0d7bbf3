package throttle

import (
	"fmt"
	"testing"
	"time"
)

// stopped is a clock that moves when it is told.
type stopped struct{ at time.Time }

func (s *stopped) now() time.Time { return s.at }

func newStopped() *stopped { return &stopped{at: time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)} }

// drain takes until it is refused, and says how often it was not.
func drain(t *testing.T, throttle *Throttle, call Call, scope string) (taken int, wait time.Duration) {
	t.Helper()
	for range 100_000 {
		if _, wait, _ := throttle.Take(call, scope); wait > 0 {
			return taken, wait
		}
		taken++
	}
	t.Fatalf("%s is not limited", call)
	return 0, 0
}

func TestABucketHoldsItsSizeAndRefillsAtItsRate(t *testing.T) {
	for call, want := range map[Call]struct {
		size int
		wait time.Duration
	}{
		ListInSubscription: {500, time.Second}, ListInGroup: {60, time.Second}, GetCluster: {60, time.Second},
		PutCluster: {20, time.Minute}, PutPool: {20, time.Minute}, GetOperation: {200, 500 * time.Millisecond}, Other: {60, time.Second},
		Reads: {250, 40 * time.Millisecond}, Writes: {200, 100 * time.Millisecond}, Deletes: {200, 100 * time.Millisecond},
	} {
		clock := newStopped()
		throttle := New(AKS, clock.now)
		taken, wait := drain(t, throttle, call, "here")
		if taken != want.size || wait.Round(time.Millisecond) != want.wait {
			t.Errorf("%s: %d calls, then a wait of %v; want %d and %v", call, taken, wait, want.size, want.wait)
		}
		clock.at = clock.at.Add(wait)
		if _, again, _ := throttle.Take(call, "HERE"); again > 0 {
			t.Errorf("%s: refused after the time that it was told to wait", call)
		}
		if _, again, _ := throttle.Take(call, "here"); again == 0 {
			t.Errorf("%s: two calls for the time of one", call)
		}
		if _, wait, _ := throttle.Take(call, "there"); wait > 0 {
			t.Errorf("%s: another scope is limited too", call)
		}
		clock.at = clock.at.Add(24 * time.Hour)
		if taken, _ := drain(t, throttle, call, "here"); taken != want.size {
			t.Errorf("%s: %d calls after a day, want %d", call, taken, want.size)
		}
	}
}

func TestWhatIsLeftIsToldTruly(t *testing.T) {
	throttle := New(AKS, newStopped().now)
	for want := 199; want >= 0; want-- {
		if remaining, wait, limited := throttle.Take(Writes, "s"); remaining != want || wait != 0 || !limited {
			t.Fatalf("%d left after a wait of %v, want %d", remaining, wait, want)
		}
	}
	if remaining, wait, _ := throttle.Take(Writes, "s"); remaining != 0 || wait == 0 {
		t.Errorf("%d left of an empty bucket, wait %v", remaining, wait)
	}
}

func TestTheDefaultLimitsARMAloneAndOffNothing(t *testing.T) {
	throttle := New(Generous, newStopped().now)
	if _, _, limited := throttle.Take(PutCluster, "x"); limited {
		t.Error("the default limits the resource provider")
	}
	if taken, _ := drain(t, throttle, Reads, "x"); taken != 2500 {
		t.Errorf("%d reads", taken)
	}
	var off *Throttle = New(Off, time.Now)
	if _, wait, limited := off.Take(Reads, "x"); limited || wait > 0 {
		t.Error("off limits reads")
	}
	if _, err := ParseMode("none"); err == nil {
		t.Error("a mode that is none")
	}
}

func TestInventedNamesNeitherFillTheMemoryNorEmptyWhatLimitsTheirInventor(t *testing.T) {
	throttle := New(AKS, newStopped().now)
	drain(t, throttle, Reads, "caller")
	for i := range maxBuckets + 1000 {
		throttle.Take(GetCluster, fmt.Sprint("invented", i))
	}
	if n := throttle.buckets[false].Len(); n > maxBuckets {
		t.Errorf("%d buckets", n)
	}
	if _, wait, _ := throttle.Take(Reads, "caller"); wait == 0 {
		t.Error("the caller's own bucket was forgotten")
	}
}
