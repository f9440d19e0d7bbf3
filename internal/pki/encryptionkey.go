package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// encryptionNextKey is the key that is to encrypt once it is known to be read.
const encryptionNextKey = "encryption-next.key"

// The form of a key that came with a rotation. A cluster is born with the bytes
// of one key alone, which has firstEncryptionKey for its name: what was encrypted
// with it says so.
const (
	encryptionBlock    = "ENCRYPTION KEY"
	encryptionName     = "Name"
	firstEncryptionKey = "key1"
)

// NamedKey is a key of the encryption at rest. What it encrypted begins with its name.
type NamedKey struct {
	Name string
	Key  [encryptionKeyBytes]byte
}

// EncryptionKeys reads a file of keys of the encryption at rest: the first one
// encrypts, what any of them encrypted is read.
func EncryptionKeys(file []byte) ([]NamedKey, error) {
	if len(file) == encryptionKeyBytes {
		return []NamedKey{{Name: firstEncryptionKey, Key: [encryptionKeyBytes]byte(file)}}, nil
	}
	var keys []NamedKey
	for block, rest := pem.Decode(file); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != encryptionBlock || block.Headers[encryptionName] == "" || len(block.Bytes) != encryptionKeyBytes {
			return nil, errors.New("reading the keys of the encryption at rest: one is none")
		}
		keys = append(keys, NamedKey{Name: block.Headers[encryptionName], Key: [encryptionKeyBytes]byte(block.Bytes)})
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("reading the keys of the encryption at rest: %d bytes hold none", len(file))
	}
	return keys, nil
}

// EncryptionKeyName is the name of the key that encrypts; empty for a file of none.
func EncryptionKeyName(files map[string][]byte) string {
	keys, err := EncryptionKeys(files[EncryptionKey])
	if err != nil {
		return ""
	}
	return keys[0].Name
}

// EncryptionStageOf tells how far the replacement of the key of the encryption
// at rest has come. Switched, what the old key encrypted is yet to be rewritten:
// the old one may be retired only then.
func EncryptionStageOf(files map[string][]byte) Stage {
	switch {
	case len(files[encryptionNextKey]) > 0:
		return StageTrusting
	case bytes.Count(files[EncryptionKey], []byte("-----BEGIN ")) > 1:
		return StageSwitched
	}
	return StageSettled
}

// TrustNextEncryptionKey makes the next key, whose values are read beside those of the old.
func TrustNextEncryptionKey(files map[string][]byte) (map[string][]byte, error) {
	keys, err := EncryptionKeys(files[EncryptionKey])
	if err != nil {
		return nil, err
	}
	made := NamedKey{}
	rand.Read(made.Key[:]) // never fails: crypto/rand ends the process instead
	sum := sha256.Sum256(append([]byte("berth-encryption-key-name/1\x00"), made.Key[:]...))
	made.Name = "key-" + hex.EncodeToString(sum[:6])
	next := maps.Clone(files)
	next[encryptionNextKey] = made.pem()
	next[EncryptionKey] = slices.Concat(keys[0].pem(), made.pem())
	return next, nil
}

// SwitchEncryptionKey lets the next key encrypt.
func SwitchEncryptionKey(files map[string][]byte) map[string][]byte {
	next := maps.Clone(files)
	next[EncryptionKey] = slices.Concat(files[encryptionNextKey], firstPEM(files[EncryptionKey]))
	delete(next, encryptionNextKey)
	return next
}

// RetireEncryptionKeys forgets the keys that no longer encrypt. What they
// encrypted can never be read again.
func RetireEncryptionKeys(files map[string][]byte) map[string][]byte {
	next := maps.Clone(files)
	next[EncryptionKey] = firstPEM(files[EncryptionKey])
	return next
}

func (k NamedKey) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: encryptionBlock, Headers: map[string]string{encryptionName: k.Name}, Bytes: k.Key[:]})
}
