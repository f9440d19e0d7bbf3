// Package history keeps ended operations outside the management API, with a
// retention, so that a caller can still poll an operation whose resource has
// moved on or is gone.
package history

import (
	"encoding/json"
	"fmt"
	"time"

	bolt "go.etcd.io/bbolt"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// Retention is how long an ended operation can be polled.
const Retention = 7 * 24 * time.Hour

// Record is one ended operation.
type Record struct {
	// ID is the GUID by which the caller polls.
	ID string `json:"id"`
	// ResourceID is the ARM id of the resource it worked on.
	ResourceID string `json:"resourceID"`
	// Verb is what was asked for.
	Verb meta.Verb `json:"verb"`
	// Status is terminal.
	Status meta.OperationStatus `json:"status"`
	// StartTime and EndTime bound the operation.
	StartTime time.Time `json:"startTime"`
	EndTime   time.Time `json:"endTime"`
	// Failure says why, unless it succeeded.
	Failure *meta.Failure `json:"failure,omitempty"`
	// Caller is the object id of the principal that asked; CorrelationID ties
	// the operation to the request.
	Caller        string `json:"caller"`
	CorrelationID string `json:"correlationID,omitempty"`
}

// Store is the history of one install. It is safe for concurrent use.
type Store struct {
	db *bolt.DB
}

// bucket holds the records by operation id.
const bucket = "operations"

// Open opens the store in a file, which it creates with mode 0600.
func Open(path string) (*Store, error) {
	db, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: 5 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("opening the operation history %s: %w", path, err)
	}
	err = db.Update(func(tx *bolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists([]byte(bucket)); err != nil {
			return err
		}
		return indexAll(tx)
	})
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("preparing the operation history %s: %w", path, err)
	}
	return &Store{db: db}, nil
}

// Close closes the file.
func (s *Store) Close() error { return s.db.Close() }

// Put records the end of an operation. The first record of an id stays: a
// controller that was killed between recording and dropping the operation may
// record it again.
func (s *Store) Put(record Record) error {
	value, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("encoding operation %s: %w", record.ID, err)
	}
	return s.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		if b.Get([]byte(record.ID)) != nil {
			return nil
		}
		if err := b.Put([]byte(record.ID), value); err != nil {
			return err
		}
		return index(tx, record)
	})
}

// Get finds an ended operation by its id.
func (s *Store) Get(id string) (record Record, found bool, err error) {
	err = s.db.View(func(tx *bolt.Tx) error {
		value := tx.Bucket([]byte(bucket)).Get([]byte(id))
		if value == nil {
			return nil
		}
		found = true
		return json.Unmarshal(value, &record)
	})
	return record, found, err
}

// Prune drops what ended before a time and says how many records that were.
func (s *Store) Prune(before time.Time) (pruned int, err error) {
	err = s.db.Update(func(tx *bolt.Tx) error {
		cursor := tx.Bucket([]byte(bucket)).Cursor()
		for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
			var record Record
			unread := json.Unmarshal(value, &record)
			if unread == nil && record.EndTime.After(before) {
				continue
			}
			if unread == nil {
				if err := forget(tx, record); err != nil {
					return err
				}
			}
			if err := cursor.Delete(); err != nil {
				return err
			}
			pruned++
		}
		return nil
	})
	return pruned, err
}
