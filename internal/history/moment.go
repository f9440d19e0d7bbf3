package history

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	bolt "go.etcd.io/bbolt"
)

// Moment is the begin or the end of an operation: what a log of activity is made of.
type Moment struct {
	// Time is when the operation began or ended.
	Time time.Time
	// End says which of the two it is.
	End bool
	// Record is the operation.
	Record Record
}

// The last letters of the keys of moments: an end comes after the begin of the same time.
const (
	beginKey = "b"
	endKey   = "e"
)

// Key is the moment's place in the order of time, and unique: the hexadecimal
// nanoseconds, which of the two it is, and the operation. Begins count in
// seconds, as objects of the management API hold them.
func (m Moment) Key() string {
	kind, at := beginKey, m.Time.Truncate(time.Second)
	if m.End {
		kind, at = endKey, m.Time
	}
	return keyOf(at) + kind + strings.ToLower(m.Record.ID)
}

// keyOf is where the keys of a time begin.
func keyOf(t time.Time) string { return fmt.Sprintf("%016x", max(t.UnixNano(), 0)) }

// Moments are both moments of an operation that has ended.
func (r Record) Moments() [2]Moment {
	return [2]Moment{{Time: r.StartTime, Record: r}, {Time: r.EndTime, End: true, Record: r}}
}

// Query selects moments, the newest first.
type Query struct {
	// Since and Until bound the time, both inclusive.
	Since, Until time.Time
	// Before is a key; what has it and what is newer is left out. "" leaves out nothing.
	Before string
	// Most is how many moments are wanted.
	Most int
	// Wanted selects among those.
	Wanted func(Moment) bool
}

// begin is the key before which moments are wanted.
func (q Query) begin() string {
	until := keyOf(q.Until) + "f" // behind everything of that time
	if q.Before != "" && q.Before < until {
		return q.Before
	}
	return until
}

// Spans says whether a moment is in the query's time, and not left out as newer.
func (q Query) Spans(m Moment) bool {
	key := m.Key()
	return key >= keyOf(q.Since) && key < q.begin()
}

// ValidKey says whether a text may be the key of a moment.
func ValidKey(key string) bool {
	const digits = 16
	if len(key) <= digits || len(key) > 100 || key[digits:digits+1] != beginKey && key[digits:digits+1] != endKey {
		return false
	}
	_, err := strconv.ParseUint(key[:digits], 16, 64)
	return err == nil
}

// momentBucket holds, by the keys of moments, the ids of their operations.
const momentBucket = "moments"

// mostLooks bounds how many moments a single call looks at, so that a filter
// which nothing satisfies reads no week of history at once.
const mostLooks = 5000

// Moments are those that a query selects. next is the key to go on before, ""
// once there are none left.
func (s *Store) Moments(q Query) (found []Moment, next string, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		records, cursor := tx.Bucket([]byte(bucket)), tx.Bucket([]byte(momentBucket)).Cursor()
		since := []byte(keyOf(q.Since))
		key, id := last(cursor, []byte(q.begin()))
		for looks := 0; key != nil && bytes.Compare(key, since) >= 0; key, id = cursor.Prev() {
			if len(found) == q.Most || looks == mostLooks {
				return nil
			}
			looks++
			next = string(key)
			moment, err := momentOf(records.Get(id), next)
			if err != nil {
				return err
			}
			if q.Wanted(moment) {
				found = append(found, moment)
			}
		}
		next = ""
		return nil
	})
	return found, next, err
}

// last finds the last key before another.
func last(cursor *bolt.Cursor, before []byte) (key, value []byte) {
	if key, _ := cursor.Seek(before); key == nil {
		return cursor.Last()
	}
	return cursor.Prev()
}

// momentOf is the moment that a key stands for.
func momentOf(record []byte, key string) (Moment, error) {
	var r Record
	if err := json.Unmarshal(record, &r); err != nil {
		return Moment{}, fmt.Errorf("reading what began or ended at %s: %w", key, err)
	}
	for _, moment := range r.Moments() {
		if moment.Key() == key {
			return moment, nil
		}
	}
	return Moment{}, fmt.Errorf("reading what began or ended at %s: operation %s did neither", key, r.ID)
}

// index notes a record's moments.
func index(tx *bolt.Tx, record Record) error {
	for _, moment := range record.Moments() {
		if err := tx.Bucket([]byte(momentBucket)).Put([]byte(moment.Key()), []byte(record.ID)); err != nil {
			return err
		}
	}
	return nil
}

// forget takes a record's moments away.
func forget(tx *bolt.Tx, record Record) error {
	for _, moment := range record.Moments() {
		if err := tx.Bucket([]byte(momentBucket)).Delete([]byte(moment.Key())); err != nil {
			return err
		}
	}
	return nil
}

// indexAll notes the moments of the records of a file that was written before
// there were any.
func indexAll(tx *bolt.Tx) error {
	if tx.Bucket([]byte(momentBucket)) != nil {
		return nil
	}
	if _, err := tx.CreateBucket([]byte(momentBucket)); err != nil {
		return err
	}
	return tx.Bucket([]byte(bucket)).ForEach(func(_, value []byte) error {
		var record Record
		if err := json.Unmarshal(value, &record); err != nil {
			return nil //nolint:nilerr // pruning drops it
		}
		return index(tx, record)
	})
}
