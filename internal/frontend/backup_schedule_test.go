package frontend_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
)

// backupSchedule calls the routes of backup schedules.
func (r *rig) backupSchedule(method, name, body string) answer {
	r.t.Helper()
	path := groupPath + "/providers/Berth.ContainerService/managedClusters/demo/backupSchedules"
	if name != "" {
		path += "/" + name
	}
	return r.call(method, path+scheduleVersion, body)
}

// onlySchedule is the one backup schedule that is there.
func (r *rig) onlySchedule() *containerservicev1alpha1.BackupSchedule {
	r.t.Helper()
	var list containerservicev1alpha1.BackupScheduleList
	if err := r.store.List(r.t.Context(), &list); err != nil || len(list.Items) != 1 {
		r.t.Fatalf("%d backup schedules are there: %v", len(list.Items), err)
	}
	return &list.Items[0]
}

func TestABackupSchedulesLifeOverTheWire(t *testing.T) {
	r := made(t)
	r.finish()
	nightly := `{"properties":{"schedule":"0  3 * * *","timeZone":"Europe/Berlin","keepDays":30}}`
	a := r.backupSchedule(http.MethodPut, "Nightly", nightly)
	if a.status != http.StatusCreated || a.body["name"] != "nightly" || a.body["type"] != "Berth.ContainerService/managedClusters/backupSchedules" ||
		!strings.Contains(a.raw, `"keepCount":7`) || !strings.Contains(a.raw, `"schedule":"0 3 * * *"`) {
		t.Fatalf("adding: %d %s", a.status, a.raw)
	}
	first := r.onlySchedule()
	r.writes = 0
	if a := r.backupSchedule(http.MethodPut, "nightly", nightly); a.status != http.StatusOK || r.writes != 0 {
		t.Errorf("the same once more: %d, %d writes", a.status, r.writes)
	}
	due := metav1.NewTime(time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC))
	known := first.DeepCopy()
	run := &containerservicev1alpha1.BackupRun{Due: due, Name: "demo.nightly.20261123-0200"}
	known.Status = containerservicev1alpha1.BackupScheduleStatus{NextRun: &due, LastRun: run, LastGood: run, Conditions: []metav1.Condition{{
		Type: containerservicev1alpha1.ConditionScheduled, Status: metav1.ConditionFalse, Reason: "Waiting", Message: "it waits", LastTransitionTime: due,
	}}}
	if err := r.store.Update(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	got := r.backupSchedule(http.MethodGet, "NIGHTLY", "")
	for _, want := range []string{`"nextBackup":"2026-11-23T02:00:00Z"`, `"state":"Waiting"`, `"message":"it waits"`, `/backups/demo.nightly.20261123-0200"`} {
		if !strings.Contains(got.raw, want) {
			t.Errorf("shown without %s: %s", want, got.raw)
		}
	}
	if a := r.backupSchedule(http.MethodPut, "nightly", got.raw); a.status != http.StatusOK {
		t.Errorf("what was read cannot be written: %d %s", a.status, a.raw)
	}
	if a := r.backupSchedule(http.MethodPut, "nightly", `{"properties":{"schedule":"0 3 * * *","timeZone":"Europe/Berlin","keepCount":2}}`); a.status != http.StatusOK ||
		!r.onlySchedule().Spec.Since.Equal(&first.Spec.Since) || r.onlySchedule().Spec.KeepDays != 0 {
		t.Errorf("keeping fewer: %d %s; the times did not change", a.status, a.raw)
	}
	if a := r.backupSchedule(http.MethodDelete, "nightly", ""); a.status != http.StatusOK {
		t.Errorf("deleting: %d %s", a.status, a.raw)
	}
	if a := r.backupSchedule(http.MethodDelete, "nightly", ""); a.status != http.StatusNoContent {
		t.Errorf("deleting once more: %d %s", a.status, a.raw)
	}
	if a := r.backupSchedule(http.MethodGet, "", ""); a.status != http.StatusOK || len(a.body["value"].([]any)) != 0 {
		t.Errorf("left over: %s", a.raw)
	}
}

func TestABackupScheduleThatCannotBeKeptIsRefusedAtItsPath(t *testing.T) {
	r := made(t)
	r.finish()
	r.writes = 0
	for body, target := range map[string]string{
		`{"properties":{"schedule":"0 0 31 2 *"}}`:  "properties.schedule",
		`{"properties":{"schedule":"every night"}}`: "properties.schedule",
		`{"properties":{"schedule":"@every 1m"}}`:   "properties.schedule",
		`{"properties":{"schedule":7}}`:             "properties.schedule",
		`{"properties":{}}`:                         "properties.schedule",
		`{}`:                                        "properties.schedule",
		`{"properties":{"schedule":"0 3 * * *","timeZone":"Mars/Olympus"}}`: "properties.timeZone",
		`{"properties":{"schedule":"0 3 * * *","keepCount":0}}`:             "properties.keepCount",
		`{"properties":{"schedule":"0 3 * * *","keepCount":51}}`:            "properties.keepCount",
		`{"properties":{"schedule":"0 3 * * *","keepDays":-1}}`:             "properties.keepDays",
		`{"properties":{"schedule":"0 3 * * *","keepDays":3651}}`:           "properties.keepDays",
		`{"properties":{"schedule":"0 3 * * *","keep":3}}`:                  "properties.keep",
	} {
		a := r.backupSchedule(http.MethodPut, "s", body)
		if _, got, _ := a.errorOf(); a.status != http.StatusBadRequest || got != target {
			t.Errorf("%s: %d at %q, want 400 at %s: %s", body, a.status, got, target, a.raw)
		}
	}
	for _, name := range []string{"-x", "x-", "x.y", strings.Repeat("x", 25), "x%20y"} {
		if a := r.backupSchedule(http.MethodPut, name, `{"properties":{"schedule":"0 3 * * *"}}`); a.status != http.StatusBadRequest {
			t.Errorf("the name %s: %d", name, a.status)
		}
	}
	if r.writes != 0 {
		t.Errorf("refused requests wrote %d times", r.writes)
	}
}

func TestABackupScheduleMayDoNoMoreThanItsAuthor(t *testing.T) {
	r := made(t)
	r.finish()
	r.token = r.tokenOf(readerID)
	if a := r.backupSchedule(http.MethodPut, "s", `{"properties":{"schedule":"0 3 * * *"}}`); a.status != http.StatusForbidden {
		t.Errorf("a reader's schedule: %d %s", a.status, a.raw)
	}
	if a := r.backupSchedule(http.MethodGet, "", ""); a.status != http.StatusOK {
		t.Errorf("a reader's list: %d %s", a.status, a.raw)
	}
}

func TestAClusterHasAFewBackupSchedulesAndNoneOfAFormerOne(t *testing.T) {
	r := made(t)
	r.finish()
	for i := range 6 {
		a := r.backupSchedule(http.MethodPut, string(rune('a'+i)), `{"properties":{"schedule":"0 3 * * *"}}`)
		if want := map[bool]int{true: http.StatusCreated, false: http.StatusConflict}[i < 5]; a.status != want {
			t.Fatalf("schedule %d: %d %s", i, a.status, a.raw)
		}
	}
	var list containerservicev1alpha1.BackupScheduleList
	if err := r.store.List(t.Context(), &list); err != nil {
		t.Fatal(err)
	}
	for i := range list.Items {
		list.Items[i].Spec.ClusterIncarnation = "aaaaaaaaaa"
		if err := r.store.Update(t.Context(), &list.Items[i]); err != nil {
			t.Fatal(err)
		}
	}
	if a := r.backupSchedule(http.MethodGet, "a", ""); a.status != http.StatusNotFound {
		t.Errorf("a former cluster's: %d %s", a.status, a.raw)
	}
	if a := r.backupSchedule(http.MethodPut, "a", `{"properties":{"schedule":"0 3 * * *"}}`); a.status != http.StatusCreated {
		t.Errorf("in its place: %d %s", a.status, a.raw)
	}
	var now containerservicev1alpha1.BackupSchedule
	if err := r.store.Get(t.Context(), client.ObjectKeyFromObject(&list.Items[0]), &now); err != nil || now.Spec.Incarnation == list.Items[0].Spec.Incarnation {
		t.Errorf("the schedule that took its place has its backups: %v", err)
	}
}
