package history

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// teller is what both histories have in common.
type teller interface {
	Put(record Record) error
	Moments(q Query) (found []Moment, next string, err error)
	Prune(before time.Time) (pruned int, err error)
}

// both are a history in a file and one in a management API.
func both(t *testing.T) map[string]teller {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return map[string]teller{
		"a file":           open(t, filepath.Join(t.TempDir(), "history.db")),
		"a management API": NewShared(fake.NewClientBuilder().WithScheme(scheme).Build()),
	}
}

// told is what moments tell, in their order.
func told(moments []Moment) (words []string) {
	for _, m := range moments {
		word := m.Record.ID + " began"
		if m.End {
			word = m.Record.ID + " ended"
		}
		words = append(words, word)
	}
	return words
}

func all(Moment) bool { return true }

func TestMomentsComeTheNewestFirstAndPageByPage(t *testing.T) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, h := range both(t) {
		for i, id := range []string{"a", "b"} {
			began := start.Add(time.Duration(i) * time.Second)
			if err := h.Put(Record{ID: id, StartTime: began, EndTime: began.Add(time.Minute + time.Nanosecond)}); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		for before, pages := "", 0; pages < 9; pages++ {
			found, next, err := h.Moments(Query{Since: start, Until: start.Add(time.Hour), Before: before, Most: 1, Wanted: all})
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, told(found)...)
			if before = next; next == "" {
				break
			}
			if !ValidKey(next) {
				t.Errorf("%s: the key %q is not one", name, next)
			}
		}
		if want := []string{"b ended", "a ended", "b began", "a began"}; !slices.Equal(got, want) {
			t.Errorf("%s: tells %v, want %v", name, got, want)
		}
		wanted := func(m Moment) bool { return m.Record.ID == "b" }
		found, next, err := h.Moments(Query{Since: start.Add(time.Second), Until: start.Add(time.Minute), Most: 9, Wanted: wanted})
		if got := told(found); !slices.Equal(got, []string{"b began"}) || next != "" || err != nil {
			t.Errorf("%s: within bounds there are %v, %q, %v", name, got, next, err)
		}
		if _, err := h.Prune(start.Add(2 * time.Hour)); err != nil {
			t.Fatal(err)
		}
		if found, _, err := h.Moments(Query{Until: start.Add(time.Hour), Most: 9, Wanted: all}); len(found) > 0 || err != nil {
			t.Errorf("%s: what was pruned is told: %v, %v", name, told(found), err)
		}
	}
}

func TestAFilterThatNothingSatisfiesReadsABoundedPartOfAFileAtOnce(t *testing.T) {
	h := open(t, filepath.Join(t.TempDir(), "history.db"))
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	err := h.db.Update(func(tx *bolt.Tx) error {
		for i := range mostLooks {
			record := Record{ID: fmt.Sprint(i), StartTime: start, EndTime: start.Add(time.Second)}
			value := fmt.Sprintf(`{"id":"%d","startTime":"2026-01-02T03:04:05Z","endTime":"2026-01-02T03:04:06Z"}`, i)
			if err := tx.Bucket([]byte(bucket)).Put([]byte(record.ID), []byte(value)); err != nil {
				return err
			}
			if err := index(tx, record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	looks, before := 0, ""
	for calls := 1; ; calls++ {
		_, next, err := h.Moments(Query{Until: start.Add(time.Hour), Before: before, Most: 1, Wanted: func(Moment) bool { looks++; return false }})
		if err != nil {
			t.Fatal(err)
		}
		if looks > calls*mostLooks {
			t.Fatalf("%d looks by %d calls", looks, calls)
		}
		if before = next; next == "" {
			break
		}
	}
	if looks != 2*mostLooks {
		t.Errorf("%d looks, want %d", looks, 2*mostLooks)
	}
}

func TestAFileOfBeforeThereWereMomentsTellsThem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	h := open(t, path)
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if err := h.Put(Record{ID: "a", Status: meta.OperationSucceeded, StartTime: start, EndTime: start.Add(time.Second)}); err != nil {
		t.Fatal(err)
	}
	if err := h.db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte(momentBucket)) }); err != nil {
		t.Fatal(err)
	}
	h.Close()
	found, _, err := open(t, path).Moments(Query{Until: start.Add(time.Hour), Most: 9, Wanted: all})
	if got := told(found); !slices.Equal(got, []string{"a ended", "a began"}) || err != nil {
		t.Errorf("it tells %v, %v", got, err)
	}
}

func TestATextThatIsNoKeyIsSeen(t *testing.T) {
	for _, key := range []string{"", "x", strings.Repeat("0", 16), strings.Repeat("0", 16) + "x1", strings.Repeat("g", 16) + "b1", strings.Repeat("0", 16) + "b" + strings.Repeat("1", 90)} {
		if ValidKey(key) {
			t.Errorf("%q is taken for a key", key)
		}
	}
}
