package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/naming"
)

// The Secret of the key under which client secrets are hashed.
const (
	hashKeySecret = "client-secret-key"
	hashKeyFile   = "key"
)

// NewSecret is a fresh client secret of 260 random bits.
func NewSecret() string {
	return rand.Text() + rand.Text()
}

// SecretKey reads the key under which client secrets are hashed, or stores a
// new one. Of two that come at once, the one that creates the Secret wins.
func SecretKey(ctx context.Context, c client.Client) ([]byte, error) {
	name := client.ObjectKey{Namespace: naming.SystemNamespace, Name: hashKeySecret}
	fresh := make([]byte, 32)
	rand.Read(fresh) // never fails: crypto/rand ends the process instead
	var secret corev1.Secret
	err := c.Get(ctx, name, &secret)
	if apierrors.IsNotFound(err) {
		secret = corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name}, Data: map[string][]byte{hashKeyFile: fresh},
		}
		if err = c.Create(ctx, &secret); apierrors.IsAlreadyExists(err) {
			err = c.Get(ctx, name, &secret)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("reading the key of client secrets: %w", err)
	}
	if len(secret.Data[hashKeyFile]) < 32 {
		return nil, errors.New("reading the key of client secrets: it is too short")
	}
	return secret.Data[hashKeyFile], nil
}

// HashSecret is the hash of a client secret as ServicePrincipal objects hold
// it. Secrets are generated, with more random bits than anybody can try, so a
// slow hash would protect nothing and cost each token its time; the key makes a
// hash useless to who has read nothing but the object.
func HashSecret(key []byte, secret string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(secret))
	return base64.RawStdEncoding.EncodeToString(mac.Sum(nil))
}

// secretMatches compares in a time that says nothing about the secret.
func secretMatches(key []byte, hash, secret string) bool {
	return hmac.Equal([]byte(hash), []byte(HashSecret(key, secret)))
}
