package backup

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// A file of keys has a PEM block for each, with its id and its tenant. Under a
// passphrase that text is an age file in armor.
const (
	keyBlock  = "BERTH BACKUP KEY"
	keyID     = "Key-Id"
	keyTenant = "Tenant-Id"
	maxFile   = 1 << 20
	// workFactor makes a guess at the passphrase cost about a second and 256 MiB.
	workFactor = 18
)

// The errors of reading a file of keys, beside ErrNoKeys.
var (
	// ErrPassphraseNeeded says that a file of keys was written under a passphrase.
	ErrPassphraseNeeded = errors.New("the keys are encrypted with a passphrase")
	// ErrPassphraseWrong says that it was another one.
	ErrPassphraseWrong = errors.New("the passphrase is not the one that the keys are encrypted with")
)

// WriteKeys writes keys as a file that another service imports, encrypted unless
// the passphrase is empty.
func WriteKeys(w io.Writer, keys []PortableKey, passphrase string) error {
	return writeKeys(w, keys, passphrase, workFactor)
}

// writeKeys is WriteKeys with a logarithm of the work that a guess at the passphrase costs.
func writeKeys(w io.Writer, keys []PortableKey, passphrase string, work int) error {
	var text bytes.Buffer
	for _, key := range keys {
		block := &pem.Block{Type: keyBlock, Headers: map[string]string{keyID: key.ID, keyTenant: key.TenantID}, Bytes: key.Key}
		if err := pem.Encode(&text, block); err != nil {
			return fmt.Errorf("writing the backup key %s: %w", key.ID, err)
		}
	}
	if passphrase == "" {
		_, err := w.Write(text.Bytes())
		return err
	}
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return fmt.Errorf("encrypting the backup keys: %w", err)
	}
	recipient.SetWorkFactor(work)
	armored := armor.NewWriter(w)
	sealed, err := age.Encrypt(armored, recipient)
	if err != nil {
		return fmt.Errorf("encrypting the backup keys: %w", err)
	}
	if _, err := sealed.Write(text.Bytes()); err != nil {
		return fmt.Errorf("encrypting the backup keys: %w", err)
	}
	return errors.Join(sealed.Close(), armored.Close())
}

// ReadKeys reads what WriteKeys wrote: all of it, or nothing.
func ReadKeys(r io.Reader, passphrase string) ([]PortableKey, error) {
	content, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the backup keys: %w", err)
	}
	if len(content) > maxFile {
		return nil, ErrNoKeys
	}
	if bytes.HasPrefix(bytes.TrimSpace(content), []byte(armor.Header)) {
		if content, err = open(content, passphrase); err != nil {
			return nil, err
		}
	}
	var keys []PortableKey
	for rest := bytes.TrimSpace(content); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if !bytes.HasPrefix(rest, []byte("-----BEGIN "+keyBlock)) {
			return nil, ErrNoKeys
		}
		if block, rest = pem.Decode(rest); block == nil || block.Type != keyBlock {
			return nil, ErrNoKeys
		}
		key := PortableKey{ID: block.Headers[keyID], TenantID: block.Headers[keyTenant], Key: block.Bytes}
		if len(key.Key) != KeySize || KeyID(key.Key) != key.ID || key.TenantID == "" {
			return nil, ErrNoKeys
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, ErrNoKeys
	}
	return keys, nil
}

// open decrypts a file of keys.
func open(content []byte, passphrase string) ([]byte, error) {
	if passphrase == "" {
		return nil, ErrPassphraseNeeded
	}
	identity, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("decrypting the backup keys: %w", err)
	}
	plain, err := age.Decrypt(armor.NewReader(bytes.NewReader(content)), identity)
	var other *age.NoIdentityMatchError
	if errors.As(err, &other) {
		return nil, ErrPassphraseWrong
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoKeys, err)
	}
	if content, err = io.ReadAll(io.LimitReader(plain, maxFile)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNoKeys, err)
	}
	return content, nil
}
