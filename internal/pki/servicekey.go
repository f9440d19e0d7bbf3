package pki

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
)

// serviceAccountNextKey is the key that is to sign tokens once it is known to verify them.
const serviceAccountNextKey = "sa-next.key"

// ServiceAccountStageOf tells how far the replacement of the key that signs
// service-account tokens has come. The file of public keys is a bundle: tokens of
// each of them are accepted, the first one's is the key that signs.
func ServiceAccountStageOf(files map[string][]byte) Stage {
	switch {
	case len(files[serviceAccountNextKey]) > 0:
		return StageTrusting
	case bytes.Count(files[ServiceAccountPub], []byte("-----BEGIN ")) > 1:
		return StageSwitched
	}
	return StageSettled
}

// TrustNextServiceAccountKey makes the next key and has its tokens accepted.
func TrustNextServiceAccountKey(files map[string][]byte) (map[string][]byte, error) {
	next := maps.Clone(files)
	private, public, err := newServiceAccountKey()
	if err != nil {
		return nil, err
	}
	next[serviceAccountNextKey] = private
	next[ServiceAccountPub] = slices.Concat(firstPEM(files[ServiceAccountPub]), public)
	return next, nil
}

// SwitchServiceAccountKey lets the next key sign.
func SwitchServiceAccountKey(files map[string][]byte) map[string][]byte {
	next := maps.Clone(files)
	_, rest := pem.Decode(files[ServiceAccountPub])
	next[ServiceAccountPub] = slices.Concat(rest, firstPEM(files[ServiceAccountPub]))
	next[ServiceAccountKey] = files[serviceAccountNextKey]
	delete(next, serviceAccountNextKey)
	return next
}

// RetireServiceAccountKeys ends the acceptance of tokens of keys that no longer sign.
func RetireServiceAccountKeys(files map[string][]byte) map[string][]byte {
	next := maps.Clone(files)
	next[ServiceAccountPub] = firstPEM(files[ServiceAccountPub])
	return next
}

func newServiceAccountKey() (private, public []byte, err error) {
	key, err := rsa.GenerateKey(rand.Reader, serviceAccountKeyBits)
	if err != nil {
		return nil, nil, fmt.Errorf("making the service-account key: %w", err)
	}
	encoded, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, nil, fmt.Errorf("writing the service-account key: %w", err)
	}
	private, err = keyPEM(key)
	return private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: encoded}), err
}
