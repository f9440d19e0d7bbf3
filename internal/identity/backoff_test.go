package identity

import (
	"strconv"
	"testing"
	"time"
)

func TestTheBackOffDoublesToALimitAndForgets(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBackoff(func() time.Time { return now })
	want := []time.Duration{0, 0, 0, 0, time.Second, 2 * time.Second, 4 * time.Second}
	for i, wait := range want {
		b.failed("a")
		if got := b.wait("a"); got != wait {
			t.Errorf("after %d failures: %v, want %v", i+1, got, wait)
		}
	}
	for range 100 {
		b.failed("a")
	}
	if got := b.wait("a"); got != longestWait {
		t.Errorf("after very many: %v", got)
	}
	if b.wait("b") != 0 {
		t.Error("another caller waits too")
	}
	now = now.Add(forgetAfter + time.Second)
	if b.failed("a"); b.wait("a") != 0 {
		t.Error("old failures still count")
	}
}

func TestTheMemoryOfTheBackOffIsBoundedAndKeepsTheNewest(t *testing.T) {
	now := time.Unix(1000, 0)
	b := newBackoff(func() time.Time { return now })
	for i := range 3 * maxRemembered {
		now = now.Add(time.Millisecond)
		b.failed(strconv.Itoa(i))
	}
	if len(b.entries) > maxRemembered || b.entries[strconv.Itoa(3*maxRemembered-1)] == nil || b.entries["0"] != nil {
		t.Errorf("%d callers are remembered, at most %d should be, the newest", len(b.entries), maxRemembered)
	}
}

func TestAnAssertionIsRememberedUntilItHasExpired(t *testing.T) {
	now := time.Unix(1000, 0)
	r := newReplays(func() time.Time { return now })
	if !r.first("a", now.Add(time.Minute)) || r.first("a", now.Add(time.Minute)) || !r.first("b", now.Add(time.Hour)) {
		t.Error("only the first use is the first")
	}
	now = now.Add(2 * time.Minute)
	if r.first("b", now) || len(r.used) != 1 {
		t.Errorf("%d are remembered, want the one that can still be used", len(r.used))
	}
}
