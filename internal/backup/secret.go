package backup

import "maps"

// SecretName is the name of the Secret, in Berth's namespace of the management
// API, that holds the service keys.
const SecretName = "backup-keys"

// secretCurrent is the entry that names the current key; every other entry is a key.
const secretCurrent = "current"

// NewSecret is the content of the Secret with one fresh key.
func NewSecret() map[string][]byte {
	key := NewKey()
	return map[string][]byte{secretCurrent: []byte(KeyID(key)), KeyID(key): key}
}

// FromSecret reads the keys out of the Secret's content.
func FromSecret(content map[string][]byte) (*Keyring, error) {
	entries := maps.Clone(content)
	delete(entries, secretCurrent)
	var keys [][]byte
	for _, key := range entries {
		keys = append(keys, key)
	}
	return NewKeyring(string(content[secretCurrent]), keys...)
}
