package history

import (
	"path/filepath"
	"testing"
	"time"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	store, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func TestAnEndedOperationIsFoundAfterReopening(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	store := open(t, path)
	want := Record{ID: "a", Verb: meta.VerbCreate, Status: meta.OperationFailed, EndTime: time.Now().UTC(), Failure: &meta.Failure{Code: "C", Message: "M"}}
	if err := store.Put(want); err != nil {
		t.Fatal(err)
	}
	store.Close()
	got, found, err := open(t, path).Get("a")
	if err != nil || !found || got.Status != want.Status || *got.Failure != *want.Failure {
		t.Errorf("Get() = %+v, %v, %v", got, found, err)
	}
}

func TestTheFirstRecordOfAnOperationStays(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "history.db"))
	for _, status := range []meta.OperationStatus{meta.OperationSucceeded, meta.OperationFailed} {
		if err := store.Put(Record{ID: "a", Status: status}); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, _ := store.Get("a"); got.Status != meta.OperationSucceeded {
		t.Errorf("status = %s, want that of the first record", got.Status)
	}
}

func TestPruneDropsOnlyWhatEndedBefore(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "history.db"))
	now := time.Now()
	for id, age := range map[string]time.Duration{"old": 2 * time.Hour, "older": 3 * time.Hour, "new": time.Minute} {
		if err := store.Put(Record{ID: id, EndTime: now.Add(-age)}); err != nil {
			t.Fatal(err)
		}
	}
	if pruned, err := store.Prune(now.Add(-time.Hour)); err != nil || pruned != 2 {
		t.Errorf("Prune() = %d, %v, want 2", pruned, err)
	}
	if _, found, _ := store.Get("new"); !found {
		t.Error("a record within the retention was dropped")
	}
}
