package frontend_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	meta "berth.dev/berth/api/meta/v1alpha1"
)

const (
	schedulesPath   = groupPath + "/providers/Berth.ContainerService/managedClusters/demo/powerSchedules"
	scheduleVersion = "?api-version=2026-11-01"
)

// schedule calls the routes of power schedules.
func (r *rig) schedule(method, name, body string) answer {
	r.t.Helper()
	path := schedulesPath
	if name != "" {
		path += "/" + name
	}
	return r.call(method, path+scheduleVersion, body)
}

func TestAPowerScheduleLivesInItsClusterAndLeavesItsETag(t *testing.T) {
	r := made(t)
	r.finish()
	tag := r.call(http.MethodGet, clusterPath, "").body["eTag"]
	office := `{"properties":{"stop":"0 20 * * 1-5","start":"0 7 * * 1-5","timeZone":"Europe/Berlin"}}`
	a := r.schedule(http.MethodPut, "Office", office)
	if a.status != http.StatusCreated || a.body["name"] != "office" || a.body["type"] != "Berth.ContainerService/managedClusters/powerSchedules" {
		t.Fatalf("adding: %d %s", a.status, a.raw)
	}
	r.writes = 0
	if a := r.schedule(http.MethodPut, "office", office); a.status != http.StatusOK || r.writes != 0 {
		t.Errorf("the same once more: %d, %d writes", a.status, r.writes)
	}
	cluster := r.cluster()
	due := metav1.NewTime(time.Date(2026, 11, 23, 19, 0, 0, 0, time.UTC))
	cluster.Spec.PowerSchedules[0].LastRun = &containerservicev1alpha1.PowerRun{Due: due, Verb: meta.VerbStop, OperationID: "op"}
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	cluster.Status.PowerSchedules = []containerservicev1alpha1.PowerScheduleStatus{{Name: "office", NextStop: &due, Conditions: []metav1.Condition{{
		Type: containerservicev1alpha1.ConditionScheduled, Status: metav1.ConditionFalse, Reason: "Waiting", Message: "it waits", LastTransitionTime: due,
	}}}}
	if err := r.store.Status().Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	got := r.schedule(http.MethodGet, "OFFICE", "")
	for _, want := range []string{`"nextStop":"2026-11-23T19:00:00Z"`, `"state":"Waiting"`, `"message":"it waits"`, `"operationId":"op"`, `"action":"Stop"`} {
		if !strings.Contains(got.raw, want) {
			t.Errorf("shown without %s: %s", want, got.raw)
		}
	}
	if a := r.schedule(http.MethodPut, "office", got.raw); a.status != http.StatusOK {
		t.Errorf("what was read cannot be written: %d %s", a.status, a.raw)
	}
	if now := r.call(http.MethodGet, clusterPath, "").body["eTag"]; now != tag {
		t.Error("a schedule changes the cluster's eTag")
	}
	if a := r.schedule(http.MethodDelete, "office", ""); a.status != http.StatusOK {
		t.Errorf("deleting: %d %s", a.status, a.raw)
	}
	if a := r.schedule(http.MethodDelete, "office", ""); a.status != http.StatusNoContent {
		t.Errorf("deleting once more: %d %s", a.status, a.raw)
	}
	if a := r.schedule(http.MethodGet, "", ""); a.status != http.StatusOK || len(a.body["value"].([]any)) != 0 {
		t.Errorf("left over: %s", a.raw)
	}
}

func TestAPowerScheduleThatCannotBeKeptIsRefusedAtItsPath(t *testing.T) {
	r := made(t)
	r.finish()
	r.writes = 0
	for body, target := range map[string]string{
		`{"properties":{"stop":"0 0 31 2 *"}}`:                             "properties.stop",
		`{"properties":{"start":"0 0 30 2 *"}}`:                            "properties.start",
		`{"properties":{"stop":"0 20 * * 1-5","timeZone":"Mars/Olympus"}}`: "properties.timeZone",
		`{"properties":{"stop":"0 20 * * 1-5","timeZone":"Local"}}`:        "properties.timeZone",
		`{"properties":{}}`:                      "properties",
		`{}`:                                     "properties",
		`{"properties":{"stop":" ","start":""}}`: "properties",
		`{"properties":{"stop":"0 7 * * *","start":"0  7 * * *"}}`: "properties.start",
		`{"properties":{"stop":"TZ=UTC 0 7 * * *"}}`:               "properties.stop",
		`{"properties":{"stop":"@every 1m"}}`:                      "properties.stop",
		`{"properties":{"stop":7}}`:                                "properties.stop",
		`{"properties":{"stop":"0 7 * * *","interval":"PT1H"}}`:    "properties.interval",
	} {
		a := r.schedule(http.MethodPut, "s", body)
		if _, got, _ := a.errorOf(); a.status != http.StatusBadRequest || got != target {
			t.Errorf("%s: %d at %q, want 400 at %s: %s", body, a.status, got, target, a.raw)
		}
	}
	for _, name := range []string{"-x", "x-", strings.Repeat("x", 64), "x%20y"} {
		if a := r.schedule(http.MethodPut, name, `{"properties":{"stop":"0 7 * * *"}}`); a.status != http.StatusBadRequest {
			t.Errorf("the name %s: %d", name, a.status)
		}
	}
	if r.writes != 0 {
		t.Errorf("refused requests wrote %d times", r.writes)
	}
}

func TestAPowerScheduleMayDoNoMoreThanItsAuthor(t *testing.T) {
	r := made(t)
	r.finish()
	r.token = r.tokenOf(readerID)
	if a := r.schedule(http.MethodPut, "s", `{"properties":{"stop":"0 7 * * *"}}`); a.status != http.StatusForbidden {
		t.Errorf("a reader's schedule: %d %s", a.status, a.raw)
	}
	if a := r.schedule(http.MethodGet, "", ""); a.status != http.StatusOK {
		t.Errorf("a reader's list: %d %s", a.status, a.raw)
	}
}

func TestAClusterHasAFewPowerSchedulesAndKeepsThemOverAnUpdate(t *testing.T) {
	r := made(t)
	r.finish()
	for i := range 11 {
		a := r.schedule(http.MethodPut, string(rune('a'+i)), `{"properties":{"stop":"0 7 * * *"}}`)
		if want := map[bool]int{true: http.StatusCreated, false: http.StatusConflict}[i < 10]; a.status != want {
			t.Fatalf("schedule %d: %d %s", i, a.status, a.raw)
		}
	}
	if a := r.call(http.MethodPatch, clusterPath, `{"tags":{"a":"b"}}`); a.status/100 != 2 {
		t.Fatalf("tagging: %d %s", a.status, a.raw)
	}
	if n := len(r.cluster().Spec.PowerSchedules); n != 10 {
		t.Errorf("an update left %d schedules", n)
	}
}

func TestAStoppedPoolOfARunningClusterSaysSo(t *testing.T) {
	r := made(t)
	r.finish()
	cluster := r.cluster()
	cluster.Spec.AgentPools[0].PowerState = meta.PowerStopped
	if err := r.store.Update(t.Context(), cluster); err != nil {
		t.Fatal(err)
	}
	code := func() string {
		t.Helper()
		properties := r.call(http.MethodGet, clusterPath+"/agentPools/nodepool1", "").body["properties"].(map[string]any)
		return properties["powerState"].(map[string]any)["code"].(string)
	}
	pool := &containerservicev1alpha1.AgentPool{
		ObjectMeta: metav1.ObjectMeta{Name: "projection"},
		Spec:       containerservicev1alpha1.AgentPoolSpec{ClusterName: cluster.Name, Profile: cluster.Spec.AgentPools[0]},
	}
	if err := r.store.Create(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if got := code(); got != "Running" {
		t.Errorf("while its nodes run the pool is %s", got)
	}
	pool.Status.Conditions = []metav1.Condition{{
		Type: containerservicev1alpha1.ConditionStopped, Status: metav1.ConditionTrue, Reason: "Ready", LastTransitionTime: metav1.Now(),
	}}
	if err := r.store.Status().Update(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	if got := code(); got != "Stopped" {
		t.Errorf("once nothing of it runs the pool is %s", got)
	}
}
