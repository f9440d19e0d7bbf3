package datastore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"berth.dev/berth/internal/backup"
)

// The bounds of one transaction, below etcd's own of 128 operations and 1.5 MiB.
const (
	batchOperations = 100
	batchBytes      = 1 << 20
)

// leaseStep rounds leases, so that thousands of keys share a few.
const leaseStep = 60

// Source gives entries in the order of their keys, io.EOF behind the last one.
type Source func() (backup.Entry, error)

// Changes says what a replacement wrote.
type Changes struct {
	// Put, Deleted and Unchanged count keys.
	Put, Deleted, Unchanged int64
	// Revision is the store's afterwards.
	Revision int64
}

// Replace makes the range hold what the source gives and nothing else, but for
// the keys that keep says are left as they are, on both sides. A key that is
// right already is not written. Whoever is killed on the way begins again: the
// result is the same.
//
// Every write raises the store's revision. An API server that starts afterwards
// refuses watches from before, and so every informer lists anew; what watches
// etcd itself sees the deletions and the writes as they come.
func (r Range) Replace(ctx context.Context, source Source, keep func(key string) bool) (Changes, error) {
	w := &writer{to: r, leases: map[int64]clientv3.LeaseID{}}
	there := &current{pages: r.pages(0), in: r, keep: keep}
	wanted, wantedErr := nextKept(source, keep)
	have, err := there.next(ctx)
	for err == nil && (wantedErr == nil || have != nil) {
		if wantedErr != nil && !errors.Is(wantedErr, io.EOF) {
			return w.changes, wantedErr
		}
		order := 0
		switch {
		case wantedErr != nil:
			order = -1 // nothing more is wanted
		case have == nil:
			order = 1
		default:
			order = strings.Compare(string(have.Key), r.Prefix+wanted.Key)
		}
		switch {
		case order < 0:
			err = w.remove(ctx, have.Key)
		case order > 0 || !bytes.Equal(have.Value, wanted.Value):
			err = w.put(ctx, wanted)
		default:
			w.changes.Unchanged++
		}
		if err == nil && order <= 0 {
			have, err = there.next(ctx)
		}
		if order >= 0 {
			wanted, wantedErr = nextKept(source, keep)
		}
	}
	if err == nil && !errors.Is(wantedErr, io.EOF) {
		err = wantedErr
	}
	if err == nil {
		err = w.flush(ctx)
	}
	return w.changes, err
}

// nextKept is the next entry that is not to be left alone.
func nextKept(source Source, keep func(string) bool) (backup.Entry, error) {
	for {
		entry, err := source()
		if err != nil || !keep(entry.Key) {
			return entry, err
		}
	}
}

// current walks over what is there.
type current struct {
	pages *pages
	in    Range
	keep  func(string) bool
	page  []keyValue
}

// next is the next key that is not to be left alone, nil behind the last one.
func (c *current) next(ctx context.Context) (*keyValue, error) {
	for {
		if len(c.page) == 0 {
			var err error
			if c.page, err = c.pages.next(ctx); err != nil || len(c.page) == 0 {
				return nil, err
			}
		}
		kv := c.page[0]
		c.page = c.page[1:]
		if !c.keep(strings.TrimPrefix(string(kv.Key), c.in.Prefix)) {
			return &kv, nil
		}
	}
}

// writer gathers writes into transactions.
type writer struct {
	to      Range
	leases  map[int64]clientv3.LeaseID
	batch   []clientv3.Op
	size    int
	changes Changes
}

func (w *writer) put(ctx context.Context, entry backup.Entry) error {
	var options []clientv3.OpOption
	if entry.TTL > 0 {
		lease, err := w.lease(ctx, entry.TTL)
		if err != nil {
			return err
		}
		options = append(options, clientv3.WithLease(lease))
	}
	w.changes.Put++
	return w.add(ctx, clientv3.OpPut(w.to.Prefix+entry.Key, string(entry.Value), options...), len(entry.Key)+len(entry.Value))
}

func (w *writer) remove(ctx context.Context, key []byte) error {
	w.changes.Deleted++
	return w.add(ctx, clientv3.OpDelete(string(key)), len(key))
}

func (w *writer) add(ctx context.Context, operation clientv3.Op, size int) error {
	if len(w.batch) == batchOperations || w.size+size > batchBytes {
		if err := w.flush(ctx); err != nil {
			return err
		}
	}
	w.batch, w.size = append(w.batch, operation), w.size+size
	return nil
}

func (w *writer) flush(ctx context.Context) error {
	if len(w.batch) == 0 {
		return nil
	}
	answer, err := w.to.Client.Txn(ctx).Then(w.batch...).Commit()
	if err != nil {
		return fmt.Errorf("writing the keys below %s: %w", w.to.Prefix, err)
	}
	w.batch, w.size, w.changes.Revision = w.batch[:0], 0, answer.Header.Revision
	return nil
}

// lease is one that lives at least so many seconds.
func (w *writer) lease(ctx context.Context, ttl int64) (clientv3.LeaseID, error) {
	ttl = (ttl + leaseStep - 1) / leaseStep * leaseStep
	if id, known := w.leases[ttl]; known {
		return id, nil
	}
	granted, err := w.to.Client.Grant(ctx, ttl)
	if err != nil {
		return 0, fmt.Errorf("granting a lease of %d s: %w", ttl, err)
	}
	w.leases[ttl] = granted.ID
	return granted.ID, nil
}

// Summary sums up what the range holds, without the keys that are left alone.
func (r Range) Summary(ctx context.Context, keep func(key string) bool) (backup.Summary, error) {
	snapshot, err := r.Snapshot(ctx)
	if err != nil {
		return backup.Summary{}, err
	}
	digest := backup.NewDigest()
	err = snapshot.Each(ctx, func(entry backup.Entry) error {
		if !keep(entry.Key) {
			digest.Add(entry)
		}
		return nil
	})
	return digest.Summary(), err
}
