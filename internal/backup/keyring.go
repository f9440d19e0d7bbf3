package backup

import (
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"filippo.io/age"
	"golang.org/x/crypto/chacha20poly1305"
)

// KeySize is the length of a service key in bytes.
const KeySize = chacha20poly1305.KeySize

// Keyring holds the keys that backups are wrapped with: the current one wraps,
// every one unwraps.
type Keyring struct {
	current string
	keys    map[string][]byte
	// tenants are those of the services that imported keys come from.
	tenants map[string]string
}

// NewKey makes a service key.
func NewKey() []byte {
	key := make([]byte, KeySize)
	rand.Read(key) // never fails: crypto/rand ends the process instead
	return key
}

// KeyID is the name of a key, which follows from the key and tells nothing of it.
func KeyID(key []byte) string {
	sum := sha256.Sum256(append([]byte("berth-backup-key-id/1\x00"), key...))
	return hex.EncodeToString(sum[:8])
}

// NewKeyring makes a keyring. The ids of the keys are computed, whatever the
// keys were stored under; current is one of those ids.
func NewKeyring(current string, keys ...[]byte) (*Keyring, error) {
	ring := &Keyring{current: current, keys: map[string][]byte{}}
	for _, key := range keys {
		if len(key) != KeySize {
			return nil, fmt.Errorf("reading the backup keys: one has %d bytes, not %d", len(key), KeySize)
		}
		ring.keys[KeyID(key)] = key
	}
	if ring.keys[current] == nil {
		return nil, fmt.Errorf("reading the backup keys: the current key %q is not among them", current)
	}
	return ring, nil
}

// Current is the id of the key that wraps new backups.
func (k *Keyring) Current() string { return k.current }

// IDs are the ids of all keys.
func (k *Keyring) IDs() []string { return slices.Sorted(maps.Keys(k.keys)) }

// Holds says whether a key is in the ring.
func (k *Keyring) Holds(id string) bool { return k.keys[id] != nil }

// Adopts says that backups of a tenant which a key wraps count as this
// service's own: its operator imported the key from that tenant's service.
func (k *Keyring) Adopts(keyID, tenantID string) bool {
	return tenantID != "" && k.keys[keyID] != nil && strings.EqualFold(k.tenants[keyID], tenantID)
}

// stanzaType marks the stanza that holds a file key.
const stanzaType = "berth.dev/backup-key"

// wrapping seals the file key of one backup with a service key. What precedes
// the age file is authenticated with it, so that a header fits no other payload.
type wrapping struct {
	keyID  string
	aead   cipher.AEAD
	before []byte
}

var (
	_ age.Recipient = (*wrapping)(nil)
	_ age.Identity  = (*wrapping)(nil)
)

func (k *Keyring) wrapping(keyID string, before []byte) (*wrapping, error) {
	key := k.keys[keyID]
	if key == nil {
		return nil, fmt.Errorf("%w: it is %q, held are %v", ErrUnknownKey, keyID, k.IDs())
	}
	aead, err := chacha20poly1305.NewX(key)
	return &wrapping{keyID: keyID, aead: aead, before: before}, err
}

// Wrap implements age.Recipient.
func (w *wrapping) Wrap(fileKey []byte) ([]*age.Stanza, error) {
	nonce := make([]byte, w.aead.NonceSize())
	rand.Read(nonce)
	return []*age.Stanza{{Type: stanzaType, Args: []string{w.keyID}, Body: w.aead.Seal(nonce, nonce, fileKey, w.before)}}, nil
}

// Unwrap implements age.Identity.
func (w *wrapping) Unwrap(stanzas []*age.Stanza) ([]byte, error) {
	if len(stanzas) != 1 || stanzas[0].Type != stanzaType || !slices.Equal(stanzas[0].Args, []string{w.keyID}) {
		return nil, errors.New("the file key is wrapped in another way")
	}
	body := stanzas[0].Body
	if len(body) < w.aead.NonceSize() {
		return nil, errors.New("the file key is cut")
	}
	nonce, sealed := body[:w.aead.NonceSize()], body[w.aead.NonceSize():]
	return w.aead.Open(nil, nonce, sealed, w.before)
}
