package identity

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/naming"
)

// The Secret of the keys that sign tokens.
const (
	signingKeySecret = "token-signing-key"
	signingKeyFile   = "key.pem"
	previousKeyFile  = "previous.pem"
	rotatedFile      = "rotated" // when the current key took over, RFC 3339
)

const (
	// rotationInterval is how long a key signs.
	rotationInterval = 30 * 24 * time.Hour
	// reloadInterval is how long another front end's rotation may go unnoticed by who signs.
	reloadInterval = time.Minute
	// previousLifetime is how long the key before the current one verifies: as
	// long as tokens may live that a front end signed before it noticed.
	previousLifetime = TokenLifetime + reloadInterval + 2*leeway
	// lookInterval bounds how often an unknown key id makes a front end look for a new key.
	lookInterval = time.Second
)

// signingKey is a key with its name.
type signingKey struct {
	private *rsa.PrivateKey
	id      string
}

// keyring has the key that signs tokens, and the one before it for as long as
// its tokens live. The keys lie in a Secret that all front ends read; whoever
// finds the current key too old makes the next.
type keyring struct {
	client client.Client
	now    func() time.Time

	mu       sync.Mutex
	current  signingKey
	previous *signingKey
	rotated  time.Time
	loaded   time.Time
}

// signer is the key to sign with.
func (k *keyring) signer(ctx context.Context) (signingKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if age := k.now().Sub(k.loaded); age >= reloadInterval || age < 0 {
		if err := k.load(ctx); err != nil {
			return signingKey{}, err
		}
	}
	if k.now().Sub(k.rotated) >= rotationInterval {
		if err := k.rotate(ctx, false); err != nil && !apierrors.IsConflict(err) {
			return signingKey{}, err
		}
	}
	return k.current, nil
}

// verifier is the public key of a name, nil if there is none. A name that is
// not known may be that of a key which another front end has just made.
func (k *keyring) verifier(ctx context.Context, id string) (*rsa.PublicKey, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	key, age := k.find(id), k.now().Sub(k.loaded)
	switch {
	case key != nil && age >= 0 && age < reloadInterval: // else it may have been revoked
		return key, nil
	case key == nil && age >= 0 && age < lookInterval:
		return nil, nil
	}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	return k.find(id), nil
}

func (k *keyring) find(id string) *rsa.PublicKey {
	for _, key := range k.valid() {
		if key.id == id {
			return &key.private.PublicKey
		}
	}
	return nil
}

// valid are the keys that verify now.
func (k *keyring) valid() []signingKey {
	if k.previous != nil && k.now().Sub(k.rotated) < previousLifetime {
		return []signingKey{k.current, *k.previous}
	}
	return []signingKey{k.current}
}

// public are the keys that verify now, as clients read them.
func (k *keyring) public(ctx context.Context) (jose.JSONWebKeySet, error) {
	if _, err := k.signer(ctx); err != nil {
		return jose.JSONWebKeySet{}, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	var set jose.JSONWebKeySet
	for _, key := range k.valid() {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: &key.private.PublicKey, KeyID: key.id, Algorithm: string(jose.RS256), Use: "sig"})
	}
	return set, nil
}

// load reads the keys, or stores a first one.
func (k *keyring) load(ctx context.Context) error {
	name := client.ObjectKey{Namespace: naming.SystemNamespace, Name: signingKeySecret}
	var secret corev1.Secret
	err := k.client.Get(ctx, name, &secret)
	if apierrors.IsNotFound(err) {
		content, generating := newSigningKey()
		if generating != nil {
			return generating
		}
		secret = corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name},
			Data: map[string][]byte{signingKeyFile: content, rotatedFile: []byte(k.now().UTC().Format(time.RFC3339))}}
		if err = k.client.Create(ctx, &secret); apierrors.IsAlreadyExists(err) {
			err = k.client.Get(ctx, name, &secret)
		}
	}
	if err != nil {
		return fmt.Errorf("reading the signing keys: %w", err)
	}
	return k.take(&secret)
}

// take makes the keys of the Secret the keyring's.
func (k *keyring) take(secret *corev1.Secret) error {
	current, err := parseKey(secret.Data[signingKeyFile])
	if err != nil {
		return fmt.Errorf("reading the signing key: %w", err)
	}
	rotated, err := time.Parse(time.RFC3339, string(secret.Data[rotatedFile]))
	if err != nil {
		rotated = secret.CreationTimestamp.Time
	}
	k.current, k.previous, k.rotated, k.loaded = current, nil, rotated, k.now()
	if content := secret.Data[previousKeyFile]; content != nil {
		previous, err := parseKey(content)
		if err != nil {
			return fmt.Errorf("reading the previous signing key: %w", err)
		}
		k.previous = &previous
	}
	return nil
}

// rotate makes the next key. The previous one goes on verifying, unless it is
// revoked: then no token signed so far is good any more.
func (k *keyring) rotate(ctx context.Context, revoke bool) error {
	var secret corev1.Secret
	if err := k.client.Get(ctx, client.ObjectKey{Namespace: naming.SystemNamespace, Name: signingKeySecret}, &secret); err != nil {
		return fmt.Errorf("reading the signing keys: %w", err)
	}
	if err := k.take(&secret); err != nil {
		return err
	}
	if left := k.rotated.Add(previousLifetime).Sub(k.now()); !revoke && k.previous != nil && left > 0 {
		return arm.NewError(http.StatusConflict, "SigningKeyStillInUse",
			"The key before the current one is needed for another %s, until the last of its tokens has expired. Rotate after that, or revoke all tokens.", left.Round(time.Second))
	}
	content, err := newSigningKey()
	if err != nil {
		return err
	}
	previous := secret.Data[signingKeyFile]
	secret.Data = map[string][]byte{signingKeyFile: content, rotatedFile: []byte(k.now().UTC().Format(time.RFC3339))}
	if !revoke {
		secret.Data[previousKeyFile] = previous
	}
	if err := k.client.Update(ctx, &secret); err != nil {
		return fmt.Errorf("storing the next signing key: %w", err)
	}
	return k.take(&secret)
}

// RotateSigningKey makes a new key sign from now on. With revoke, tokens that
// were signed before are refused: at once here, within a minute on other front ends.
func (s *Service) RotateSigningKey(ctx context.Context, revoke bool) (keyID string, err error) {
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	if err := s.keys.rotate(ctx, revoke); err != nil {
		return "", err
	}
	return s.keys.current.id, nil
}

func newSigningKey() ([]byte, error) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

func parseKey(content []byte) (signingKey, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return signingKey{}, errors.New("the stored key is no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return signingKey{}, err
	}
	private, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return signingKey{}, fmt.Errorf("the stored key is a %T, not an RSA key", parsed)
	}
	// A key is named by what it is (RFC 7638).
	sum, err := (&jose.JSONWebKey{Key: &private.PublicKey}).Thumbprint(crypto.SHA256)
	return signingKey{private: private, id: base64.RawURLEncoding.EncodeToString(sum)}, err
}
