package datastore

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"berth.dev/berth/internal/backup"
)

// pageSize is how many keys one read asks for; a page shrinks where values are large.
const pageSize = 500

// pageBytes is what a page should not exceed.
const pageBytes = 4 << 20

// Range is the keys of one cluster in an etcd.
type Range struct {
	Client *clientv3.Client
	// Prefix is what every key begins with, without a slash at the end.
	Prefix string
}

// start is the first key of the range; the slash keeps apart what only begins alike.
func (r Range) start() string { return r.Prefix + "/" }
func (r Range) end() string   { return clientv3.GetPrefixRangeEnd(r.start()) }

// Snapshot is a range at one revision.
type Snapshot struct {
	// Revision is the store's, Keys how many keys the range has at it.
	Revision int64
	Keys     int64

	from Range
}

// Snapshot fixes the revision. It is readable until the API server's compaction
// passes it, at least five minutes.
func (r Range) Snapshot(ctx context.Context) (Snapshot, error) {
	answer, err := r.Client.Get(ctx, r.start(), clientv3.WithRange(r.end()), clientv3.WithCountOnly())
	if err != nil {
		return Snapshot{}, fmt.Errorf("counting the keys below %s: %w", r.Prefix, err)
	}
	return Snapshot{Revision: answer.Header.Revision, Keys: answer.Count, from: r}, nil
}

// Each gives every entry to use, in the order of the keys.
func (s Snapshot) Each(ctx context.Context, use func(backup.Entry) error) error {
	lives := leases{client: s.from.Client, known: map[int64]int64{}}
	pages := s.from.pages(s.Revision)
	for {
		page, err := pages.next(ctx)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, kv := range page {
			ttl, err := lives.of(ctx, kv.Lease)
			if err != nil {
				return err
			}
			key := strings.TrimPrefix(string(kv.Key), s.from.Prefix)
			if err := use(backup.Entry{Key: key, Value: kv.Value, TTL: ttl}); err != nil {
				return err
			}
		}
	}
}

// keyValue is a key of the store as this package needs it.
type keyValue struct {
	Key, Value  []byte
	Lease       int64
	ModRevision int64
}

// pages reads a range page by page.
type pages struct {
	in       Range
	revision int64
	from     string
	limit    int64
	done     bool
}

// pages reads the range at a revision; 0: each page as it is then.
func (r Range) pages(revision int64) *pages {
	return &pages{in: r, revision: revision, from: r.start(), limit: pageSize}
}

// next is the next page, none behind the last one.
func (p *pages) next(ctx context.Context) ([]keyValue, error) {
	if p.done {
		return nil, nil
	}
	answer, err := p.in.Client.Get(ctx, p.from, clientv3.WithRange(p.in.end()), clientv3.WithRev(p.revision), clientv3.WithLimit(p.limit))
	for status.Code(err) == codes.ResourceExhausted && p.limit > 1 { // after many small values came large ones
		p.limit = max(1, p.limit/8)
		answer, err = p.in.Client.Get(ctx, p.from, clientv3.WithRange(p.in.end()), clientv3.WithRev(p.revision), clientv3.WithLimit(p.limit))
	}
	if errors.Is(err, rpctypes.ErrCompacted) {
		return nil, fmt.Errorf("reading the keys below %s: the store forgot revision %d meanwhile: %w", p.in.Prefix, p.revision, err)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the keys below %s: %w", p.in.Prefix, err)
	}
	page, size := make([]keyValue, 0, len(answer.Kvs)), 0
	for _, kv := range answer.Kvs {
		page = append(page, keyValue{Key: kv.Key, Value: kv.Value, Lease: kv.Lease, ModRevision: kv.ModRevision})
		size += len(kv.Value)
	}
	p.done = !answer.More || len(page) == 0
	if len(page) > 0 {
		p.from = string(page[len(page)-1].Key) + "\x00"
		p.limit = min(pageSize, max(1, pageBytes/int64(size/len(page)+1)))
	}
	return page, nil
}

// leases knows how long leases live.
type leases struct {
	client *clientv3.Client
	known  map[int64]int64
}

// of is the rest of a lease's life in seconds, at least one; 0 for no lease.
func (l leases) of(ctx context.Context, id int64) (int64, error) {
	if id == 0 {
		return 0, nil
	}
	if ttl, known := l.known[id]; known {
		return ttl, nil
	}
	answer, err := l.client.TimeToLive(ctx, clientv3.LeaseID(id))
	if err != nil && !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return 0, fmt.Errorf("asking how long a lease lives: %w", err)
	}
	l.known[id] = 1
	if err == nil {
		l.known[id] = max(1, answer.TTL)
	}
	return l.known[id], nil
}
