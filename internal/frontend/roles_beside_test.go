package frontend_test

import (
	"net/http"
	"testing"
	"time"

	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/identity"
)

func TestARoleGivenAndTakenThroughOneFrontEndActsAtAnotherWithinSeconds(t *testing.T) {
	r, now := clocked(t)
	r.group()
	clock := func() time.Time { return *now }
	other := &rig{t: t, store: r.store, history: r.history} // a second front end on the same store
	other.serve(frontend.Config{History: r.history}, func(c *frontend.Config) {
		tokens, err := identity.NewService(t.Context(), identity.Options{Client: r.store, TenantID: tenantID, PublicURL: c.PublicURL, Now: clock})
		if err != nil {
			t.Fatal(err)
		}
		c.Tokens, c.Now = tokens, clock
	})
	const soon = 3 * time.Second
	read := func() int {
		status := 0
		other.as(readerID, func() { status = other.call("PUT", groupPath, `{"location":"local"}`).status })
		return status
	}
	if status := read(); status != http.StatusForbidden {
		t.Fatalf("before: %d", status)
	}
	if a := r.assign(groupPath, assignmentName, readerObject, identity.RoleContributor); a.status != http.StatusCreated {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	*now = now.Add(soon)
	if status := read(); status != http.StatusOK {
		t.Errorf("%v after it was given: %d", soon, status)
	}
	if a := r.call("DELETE", groupPath+assignmentsIn+assignmentName+"?api-version=2022-04-01", ""); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.raw)
	}
	*now = now.Add(soon)
	if status := read(); status != http.StatusForbidden {
		t.Errorf("%v after it was taken: %d", soon, status)
	}
}
