package frontend_test

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/throttle"
)

// throttledRig is a rig with the public service's limits and a clock that moves
// when it is told.
func throttledRig(t *testing.T) (*rig, *atomic.Int64) {
	t.Helper()
	var ahead atomic.Int64
	start := time.Now()
	return newRig(t, func(c *frontend.Config) {
		c.Throttle = throttle.AKS
		c.Now = func() time.Time { return start.Add(time.Duration(ahead.Load())) }
	}), &ahead
}

func TestWhoCallsTooOftenIsToldWhenToComeBackAndThenServed(t *testing.T) {
	inMemory(t, "each front end counts calls for itself")
	r, ahead := throttledRig(t)
	r.group()
	for i := range 60 {
		if a := r.call(http.MethodGet, clusterPath, ""); a.status != http.StatusNotFound {
			t.Fatalf("call %d: %d %s", i, a.status, a.raw)
		}
	}
	refused := r.call(http.MethodGet, clusterPath, "")
	check(t, refused, want{429, "Throttled", "", "GetManagedClusterHandler.GET request limit has been exceeded for SubID='" + subscriptionID + "'"})
	wait, err := strconv.Atoi(refused.header.Get("Retry-After"))
	if err != nil || wait != 1 {
		t.Errorf("Retry-After is %q", refused.header.Get("Retry-After"))
	}
	if a := r.call(http.MethodGet, clusterPath+"2", ""); a.status != http.StatusNotFound {
		t.Errorf("another cluster is throttled too: %d", a.status)
	}
	ahead.Add(int64(time.Duration(wait) * time.Second))
	if a := r.call(http.MethodGet, clusterPath, ""); a.status != http.StatusNotFound {
		t.Errorf("still refused after its Retry-After: %d %s", a.status, a.raw)
	}
}

func TestTheHeadersSayHowManyCallsARMStillTakes(t *testing.T) {
	inMemory(t, "each front end counts calls for itself")
	r, _ := throttledRig(t)
	const header = "x-ms-ratelimit-remaining-subscription-"
	for left := 199; left >= 0; left-- {
		a := r.call(http.MethodPatch, groupPath+"-none", `{}`)
		if got := a.header.Get(header + "writes"); got != fmt.Sprint(left) || a.status == http.StatusTooManyRequests {
			t.Fatalf("%d with %q writes left, want %d", a.status, got, left)
		}
	}
	a := r.call(http.MethodPatch, groupPath+"-none", `{}`)
	check(t, a, want{429, "TooManyRequests", "", "writes"})
	if a.header.Get("Retry-After") != "1" || a.header.Get(header+"writes") != "0" {
		t.Errorf("the headers are %v", a.header)
	}
	// Reads and deletes, and the calls of others, have buckets of their own.
	if a := r.call(http.MethodGet, groupPath, ""); a.header.Get(header+"reads") != "249" || a.status != http.StatusNotFound {
		t.Errorf("a read: %d %v", a.status, a.header)
	}
	if a := r.call(http.MethodDelete, groupPath, ""); a.header.Get(header+"deletes") != "199" {
		t.Errorf("a delete: %d %v", a.status, a.header)
	}
	r.token = r.tokenOf(readerID)
	if a := r.call(http.MethodPatch, groupPath, `{}`); a.status != http.StatusForbidden {
		t.Errorf("another principal: %d %s", a.status, a.raw)
	}
}

func TestWhoMayNotTouchAClusterCannotEmptyItsBucket(t *testing.T) {
	r, _ := throttledRig(t)
	owner := r.token
	r.token = r.tokenOf(readerID)
	for range 30 {
		if a := r.call(http.MethodPut, clusterPath, `{}`); a.status != http.StatusForbidden {
			t.Fatalf("%d %s", a.status, a.raw)
		}
	}
	r.token = owner
	if a := r.call(http.MethodPut, clusterPath, `{}`); a.status == http.StatusTooManyRequests {
		t.Errorf("the owner is throttled by the calls of another: %s", a.raw)
	}
}
