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

	"github.com/go-jose/go-jose/v4"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/naming"
)

// The Secret of the key that signs tokens.
const (
	signingKeySecret = "token-signing-key"
	signingKeyFile   = "key.pem"
)

// signingKey reads the key, or stores a new one. Of two front ends that start
// at once, the one that creates the Secret wins and the other reads it.
func signingKey(ctx context.Context, c client.Client) (*rsa.PrivateKey, error) {
	key := client.ObjectKey{Namespace: naming.SystemNamespace, Name: signingKeySecret}
	var secret corev1.Secret
	err := c.Get(ctx, key, &secret)
	if err == nil {
		return parseKey(secret.Data[signingKeyFile])
	}
	if !apierrors.IsNotFound(err) {
		return nil, err
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, err
	}
	fresh := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Data:       map[string][]byte{signingKeyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})},
	}
	err = c.Create(ctx, fresh)
	if apierrors.IsAlreadyExists(err) {
		if err := c.Get(ctx, key, &secret); err != nil {
			return nil, err
		}
		return parseKey(secret.Data[signingKeyFile])
	}
	return private, err
}

func parseKey(content []byte) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode(content)
	if block == nil {
		return nil, errors.New("the stored key is no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("the stored key is a %T, not an RSA key", parsed)
	}
	return key, nil
}

// thumbprint names a key by what it is (RFC 7638).
func thumbprint(key *rsa.PublicKey) (string, error) {
	sum, err := (&jose.JSONWebKey{Key: key}).Thumbprint(crypto.SHA256)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}
