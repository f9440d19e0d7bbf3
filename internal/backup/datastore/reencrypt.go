package datastore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apiserver/pkg/storage/value"
	"k8s.io/apiserver/pkg/storage/value/encrypt/secretbox"

	"berth.dev/berth/internal/pki"
)

// encrypted begins every value that is encrypted at rest; sealed begins those
// that this package can read, and after it comes the name of the key.
const (
	encrypted = "k8s:enc:"
	sealed    = encrypted + "secretbox:v1:"
)

// reencryption encrypts values anew with one key, whichever they were encrypted with.
type reencryption struct {
	from   map[string]value.Transformer
	writer value.Transformer
	name   string
	// done are the names under which values are the writer's already.
	done map[string]bool
}

// newReencryption reads both sides' keys; the first of to encrypts.
func newReencryption(from, to []byte) (reencryption, error) {
	readers, err := pki.EncryptionKeys(from)
	if err != nil {
		return reencryption{}, err
	}
	writers, err := pki.EncryptionKeys(to)
	if err != nil {
		return reencryption{}, err
	}
	r := reencryption{
		from: map[string]value.Transformer{}, done: map[string]bool{},
		name: writers[0].Name, writer: secretbox.NewSecretboxTransformer(writers[0].Key),
	}
	for _, key := range readers {
		r.from[key.Name] = secretbox.NewSecretboxTransformer(key.Key)
		r.done[key.Name] = key == writers[0]
	}
	return r, nil
}

// anew is a value as the writer encrypts it, and whether it differs. What is not
// encrypted stays as it is.
func (r reencryption) anew(ctx context.Context, key string, old []byte) (fresh []byte, changed bool, err error) {
	if !bytes.HasPrefix(old, []byte(encrypted)) {
		return old, false, nil
	}
	rest, known := bytes.CutPrefix(old, []byte(sealed))
	name, content, named := bytes.Cut(rest, []byte(":"))
	if !known || !named {
		return nil, false, errors.New("it is encrypted in a way that this service does not use")
	}
	reader := r.from[string(name)]
	if reader == nil {
		return nil, false, fmt.Errorf("the key %q that encrypted it is not among those that are there", name)
	}
	if r.done[string(name)] {
		return old, false, nil
	}
	plain, _, err := reader.TransformFromStorage(ctx, content, value.DefaultContext(key))
	if err != nil {
		return nil, false, fmt.Errorf("the key %q does not decrypt it", name)
	}
	sealedValue, err := r.writer.TransformToStorage(ctx, plain, value.DefaultContext(key))
	if err != nil {
		return nil, false, err
	}
	return append([]byte(sealed+r.name+":"), sealedValue...), true, nil
}

// Reencrypt encrypts every value of the range that is encrypted with the first
// of the keys (see pki.EncryptionKeys), and returns how many it wrote once a whole
// pass found none left. Beside an API server, which may write meanwhile, it
// replaces what it read and nothing newer; the API server must encrypt with the
// first key by then. Whoever is killed on the way begins again and finds less to do.
// progress is told how many keys were looked at, and of how many.
func (r Range) Reencrypt(ctx context.Context, keys []byte, progress func(seen, of int64)) (int64, error) {
	values, err := newReencryption(keys, keys)
	if err != nil {
		return 0, err
	}
	written := int64(0)
	for {
		stale, err := r.reencryptOnce(ctx, values, progress)
		if written += stale; err != nil || stale == 0 {
			return written, err
		}
	}
}

// reencryptOnce is one pass; it returns how many values were not the writer's.
func (r Range) reencryptOnce(ctx context.Context, values reencryption, progress func(seen, of int64)) (stale int64, err error) {
	all, err := r.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	seen := int64(0)
	for pages := r.pages(0); ; {
		page, err := pages.next(ctx)
		if err != nil || len(page) == 0 {
			return stale, err
		}
		for _, kv := range page {
			fresh, changed, err := values.anew(ctx, string(kv.Key), kv.Value)
			if err != nil {
				return stale, fmt.Errorf("encrypting %s anew: %w", kv.Key, err)
			}
			if !changed {
				continue
			}
			stale++
			if err := r.swap(ctx, kv, fresh); err != nil {
				return stale, err
			}
		}
		seen += int64(len(page))
		progress(seen, max(seen, all.Keys))
	}
}

// swap replaces a value that nobody wrote since it was read; what somebody wrote
// the next pass looks at. The key keeps its lease.
func (r Range) swap(ctx context.Context, read keyValue, fresh []byte) error {
	key := string(read.Key)
	_, err := r.Client.Txn(ctx).
		If(clientv3.Compare(clientv3.ModRevision(key), "=", read.ModRevision)).
		Then(clientv3.OpPut(key, string(fresh), clientv3.WithIgnoreLease())).
		Commit()
	if err != nil {
		return fmt.Errorf("writing %s: %w", key, err)
	}
	return nil
}
