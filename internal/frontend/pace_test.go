package frontend_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestAPollerThatKeepsToWhatItIsToldLosesNoTime(t *testing.T) {
	t.Parallel() // it waits more than it works
	r := newRig(t)
	r.group()
	clusters := r.clusters()
	began := time.Now()
	creating, err := clusters.BeginCreateOrUpdate(t.Context(), "rg", "demo", sdkCluster(), nil)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	time.AfterFunc(100*time.Millisecond, func() { defer close(ended); r.ready(); r.finish() })
	if _, err := creating.PollUntilDone(t.Context(), nil); err != nil { // nil: the SDK's own pace, half a minute if nothing is said
		t.Fatal(err)
	}
	<-ended // all of it: the record of an operation is written before the cluster is
	deleting, err := clusters.BeginDelete(t.Context(), "rg", "demo", nil)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(100*time.Millisecond, func() { r.deleted(r.cluster()) })
	if _, err := deleting.PollUntilDone(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("a creation and a deletion that took no time were polled for %s", took)
	}
}

func TestEveryAnswerOfAnAsynchronousOperationHasItsIdsAndPace(t *testing.T) {
	r := newRig(t)
	r.group()
	const correlation = "0a1b2c3d-0000-4000-8000-000000000009"
	seen := map[string]bool{}
	ask := func(method, path, body string, async bool) answer {
		t.Helper()
		a := r.call(method, path, body, "x-ms-correlation-request-id", correlation)
		id := a.header.Get("x-ms-request-id")
		if _, err := uuid.Parse(id); err != nil || seen[id] || a.header.Get("x-ms-correlation-request-id") != correlation {
			t.Errorf("%s %s: the ids are %v", method, path, a.header)
		}
		seen[id] = true
		if routing := strings.Split(a.header.Get("x-ms-routing-request-id"), ":"); len(routing) != 3 || routing[0] != "LOCAL" || routing[2] != id {
			t.Errorf("%s %s: the routing id is %v", method, path, routing)
		}
		if paced := a.header.Get("Retry-After") == "1"; paced != async {
			t.Errorf("%s %s: Retry-After is %q", method, path, a.header.Get("Retry-After"))
		}
		return a
	}
	on := func(a answer, header string) string {
		t.Helper()
		path := strings.TrimPrefix(a.header.Get(header), r.server.URL)
		if !strings.HasPrefix(path, "/subscriptions/") {
			t.Fatalf("%s is %q", header, a.header.Get(header))
		}
		return path
	}
	created := ask("PUT", clusterPath, aCluster, true)
	if a := ask("GET", on(created, "Azure-AsyncOperation"), "", true); a.status != http.StatusOK || a.body["status"] != "InProgress" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	r.ready()
	r.finish()
	if a := ask("GET", on(created, "Azure-AsyncOperation"), "", false); a.body["status"] != "Succeeded" {
		t.Errorf("%d %s", a.status, a.raw)
	}
	stopped := ask("POST", clusterPath+"/stop", "", true)
	again := ask("GET", on(stopped, "Location"), "", true)
	if again.status != http.StatusAccepted || again.header.Get("Location") != stopped.header.Get("Location") {
		t.Errorf("%d %v", again.status, again.header)
	}
	deleted := ask("DELETE", clusterPath, "", true)
	ask("GET", on(deleted, "Azure-AsyncOperation"), "", true)
	ask("GET", on(deleted, "Location"), "", true)
	group := ask("DELETE", groupPath, "", true)
	if a := ask("GET", on(group, "Location"), "", true); a.status != http.StatusAccepted {
		t.Errorf("%d %s", a.status, a.raw)
	}
	ask("GET", groupPath, "", false)
}
