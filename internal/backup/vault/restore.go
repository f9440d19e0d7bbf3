package vault

import (
	"context"
	"errors"
	"fmt"
	"io"

	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/backup/datastore"
	"berth.dev/berth/internal/pki"
)

// ErrOlderStore says that an etcd has not come as far as a backup of the same
// cluster: it was made anew since. Clients remember later revisions than it
// has, and would never notice what it writes.
var ErrOlderStore = errors.New("the cluster's etcd was made anew since the backup: restore it to a new cluster")

// Restoration says what is restored where.
type Restoration struct {
	// To is the range of the cluster, whose API server does not run.
	To datastore.Range
	// Incarnation is that of the cluster; if it is not the backup's own, the
	// pods that ran on nodes stay away.
	Incarnation string
	// EncryptionKey is the key of the cluster's encryption at rest.
	EncryptionKey []byte
}

// Restore reads a backup to its end, and then makes the range hold what it
// holds. Nothing is written unless the whole backup is authentic. Called again
// after a kill it begins again, with the same result, which it reads back and compares.
func (v *Vault) Restore(ctx context.Context, id string, ring *backup.Keyring, to Restoration) (datastore.Changes, error) {
	if err := v.check(id, ring); err != nil {
		return datastore.Changes{}, err
	}
	v.step("backup read")
	file, err := v.Open(id)
	if err != nil {
		return datastore.Changes{}, fmt.Errorf("restoring backup %s: %w", id, err)
	}
	defer file.Close()
	reader, err := backup.NewReader(file, ring)
	if err != nil {
		return datastore.Changes{}, fmt.Errorf("restoring backup %s: %w", id, err)
	}
	defer reader.Close()
	changes, err := v.restore(ctx, reader, to)
	if err != nil {
		return changes, fmt.Errorf("restoring backup %s: %w", id, err)
	}
	return changes, nil
}

// RestoreTo is Restore into the etcd at an endpoint; to needs the prefix of its
// range and no client.
func (v *Vault) RestoreTo(ctx context.Context, id string, ring *backup.Keyring, endpoint datastore.Endpoint, to Restoration) (datastore.Changes, error) {
	client, err := datastore.Dial(endpoint)
	if err != nil {
		return datastore.Changes{}, err
	}
	defer client.Close()
	to.To.Client = client
	return v.Restore(ctx, id, ring, to)
}

func (v *Vault) check(id string, ring *backup.Keyring) error {
	file, err := v.Open(id)
	if err != nil {
		return fmt.Errorf("restoring backup %s: %w", id, err)
	}
	defer file.Close()
	if _, _, err := backup.Check(file, ring); err != nil {
		return fmt.Errorf("restoring backup %s: %w", id, err)
	}
	return nil
}

func (v *Vault) restore(ctx context.Context, reader *backup.Reader, to Restoration) (datastore.Changes, error) {
	moved := reader.Header.Incarnation != to.Incarnation
	now, err := to.To.Snapshot(ctx)
	if err != nil {
		return datastore.Changes{}, err
	}
	if !moved && now.Revision < reader.Header.Revision {
		return datastore.Changes{}, fmt.Errorf("%w: it is at revision %d, the backup at %d", ErrOlderStore, now.Revision, reader.Header.Revision)
	}
	settling, err := datastore.NewSettling(reader.Credentials[pki.EncryptionKey], to.EncryptionKey, moved)
	if err != nil {
		return datastore.Changes{}, err
	}
	wanted := backup.NewDigest()
	changes, err := to.To.Replace(ctx, func() (backup.Entry, error) {
		for {
			entry, err := reader.Next()
			if err != nil {
				return entry, err
			}
			settled, drop, err := settling.Settle(ctx, entry)
			if err != nil {
				return entry, err
			}
			if !drop {
				if !datastore.Machine(settled.Key) {
					wanted.Add(settled)
				}
				v.step("entry to restore")
				return settled, nil
			}
		}
	}, datastore.Machine)
	if err != nil {
		return changes, err
	}
	v.step("range replaced")
	return changes, compare(ctx, to.To, wanted.Summary(), datastore.Machine)
}

// compare reads a range back. Leases that ended meanwhile took their keys
// along, which is no difference that anyone asked about; a scratch etcd and a
// cluster without an API server change in no other way.
func compare(ctx context.Context, in datastore.Range, wanted backup.Summary, keep func(string) bool) error {
	found, err := in.Summary(ctx, keep)
	if err != nil {
		return err
	}
	if found != wanted {
		return fmt.Errorf("what was written does not read back: %d keys with digest %.12s, not %d with %.12s",
			found.Keys, found.Digest, wanted.Keys, wanted.Digest)
	}
	return nil
}

// source reads the entries of a backup as they are.
func source(reader *backup.Reader) datastore.Source {
	return func() (backup.Entry, error) {
		entry, err := reader.Next()
		if err != nil && !errors.Is(err, io.EOF) {
			return entry, err
		}
		entry.TTL = 0 // a check compares all keys, and none may end meanwhile
		return entry, err
	}
}
