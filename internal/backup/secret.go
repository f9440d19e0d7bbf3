package backup

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// SecretName is the name of the Secret, in Berth's namespace of the management
// API, that holds the service keys.
const SecretName = "backup-keys"

// The entries of the Secret beside the keys, each of which lies under its id.
const (
	// secretCurrent names the current key.
	secretCurrent = "current"
	// secretTenant begins the entry that says which service's tenant an imported key comes from.
	secretTenant = "tenant-"
)

// maxKeys is how many keys a service holds: the Secret has an end.
const maxKeys = 1000

// ErrTooManyKeys says that a service holds as many keys as it can.
var ErrTooManyKeys = fmt.Errorf("a service holds up to %d backup keys", maxKeys)

// NewSecret is the content of the Secret with one fresh key.
func NewSecret() map[string][]byte {
	key := NewKey()
	return map[string][]byte{secretCurrent: []byte(KeyID(key)), KeyID(key): key}
}

// FromSecret reads the keys out of the Secret's content.
func FromSecret(content map[string][]byte) (*Keyring, error) {
	var keys [][]byte
	tenants := map[string]string{}
	for name, value := range content {
		id, isTenant := strings.CutPrefix(name, secretTenant)
		switch {
		case name == secretCurrent:
		case isTenant:
			tenants[id] = string(value)
		default:
			keys = append(keys, value)
		}
	}
	ring, err := NewKeyring(string(content[secretCurrent]), keys...)
	if err == nil {
		ring.tenants = tenants
	}
	return ring, err
}

// PortableKey is a service key on its way to another service.
type PortableKey struct {
	// ID is that of the key, Key what wraps.
	ID  string
	Key []byte
	// TenantID is the tenant whose backups the key wraps.
	TenantID string
	// Current says that it wraps new backups of its service.
	Current bool
}

// Keys are the keys in the Secret's content, the current one first. Those that
// were made here are of the tenant.
func Keys(content map[string][]byte, tenantID string) ([]PortableKey, error) {
	ring, err := FromSecret(content)
	if err != nil {
		return nil, err
	}
	var keys []PortableKey
	for _, id := range ring.IDs() {
		key := PortableKey{ID: id, Key: ring.keys[id], TenantID: tenantID, Current: id == ring.current}
		if from := ring.tenants[id]; from != "" {
			key.TenantID = from
		}
		keys = append(keys, key)
	}
	slices.SortStableFunc(keys, func(a, b PortableKey) int {
		if a.Current != b.Current && a.Current {
			return -1
		} else if a.Current != b.Current {
			return 1
		}
		return strings.Compare(a.ID, b.ID)
	})
	return keys, nil
}

// WithKeys is the Secret's content with keys of other services. They unwrap
// backups; new ones are wrapped as before. added are those that were not there.
func WithKeys(content map[string][]byte, tenantID string, keys []PortableKey) (next map[string][]byte, added []PortableKey, err error) {
	ring, err := FromSecret(content)
	if err != nil {
		return nil, nil, err
	}
	next = maps.Clone(content)
	for _, key := range keys {
		switch {
		case len(key.Key) != KeySize || key.ID != KeyID(key.Key):
			return nil, nil, fmt.Errorf("importing the backup key %q: %w", key.ID, ErrNoKeys)
		case ring.Holds(key.ID):
			continue
		case len(ring.keys)+len(added) >= maxKeys:
			return nil, nil, ErrTooManyKeys
		}
		next[key.ID] = bytes.Clone(key.Key)
		if !strings.EqualFold(key.TenantID, tenantID) {
			next[secretTenant+key.ID] = []byte(key.TenantID)
		}
		added = append(added, key)
	}
	return next, added, nil
}

// Rotated is the Secret's content with a fresh current key. The others stay, for
// what they wrap.
func Rotated(content map[string][]byte) (map[string][]byte, error) {
	ring, err := FromSecret(content)
	if err != nil {
		return nil, err
	}
	if len(ring.keys) >= maxKeys {
		return nil, ErrTooManyKeys
	}
	key := NewKey()
	next := maps.Clone(content)
	next[KeyID(key)], next[secretCurrent] = key, []byte(KeyID(key))
	return next, nil
}

// ErrNoKeys says that a file holds no backup keys, or not what they were.
var ErrNoKeys = errors.New("the file is no export of backup keys, or was altered")
