package agentpool

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// The keys of a machine's Secret.
const (
	secretToken     = "token"
	secretProxyCert = "proxy.crt"
	secretProxyKey  = "proxy.key"
)

const (
	// tokenIDLength and tokenSecretLength are what Kubernetes wants of a bootstrap token.
	tokenIDLength     = 6
	tokenSecretLength = 16
	// proxyValidity is how long kube-proxy's certificate holds; it is issued anew before.
	proxyValidity = 365 * 24 * time.Hour
	// proxyUser is who kube-proxy is: Kubernetes binds its rights to this name.
	proxyUser = "system:kube-proxy"
)

// ensureSecret makes what the machine identifies itself with, unless it is
// there, and returns it with the public half of its token.
func (p *grow) ensureSecret(ctx context.Context, s *scope, slot *slot) (secret *corev1.Secret, tokenID string, err error) {
	secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
		Namespace: naming.SystemNamespace, Name: slot.owner.Name,
	}}
	switch err := p.reader.Get(ctx, client.ObjectKeyFromObject(secret), secret); {
	case apierrors.IsNotFound(err):
		if secret.Data, err = p.identity(ctx, s); err != nil {
			return nil, "", err
		}
		if err := p.client.Create(ctx, secret); err != nil {
			return nil, "", err
		}
	case err != nil:
		return nil, "", err
	}
	tokenID, _, ok := strings.Cut(string(secret.Data[secretToken]), ".")
	if !ok || len(tokenID) != tokenIDLength {
		return nil, "", fmt.Errorf("secret %s holds no bootstrap token", secret.Name)
	}
	return secret, tokenID, nil
}

// identity makes a one-time token and kube-proxy's certificate.
func (p *grow) identity(ctx context.Context, s *scope) (map[string][]byte, error) {
	files, err := clusterFiles(ctx, p.reader, s)
	if err != nil {
		return nil, err
	}
	certificate, private, err := proxyCertificate(files, s.now)
	if err != nil {
		return nil, err
	}
	return map[string][]byte{
		secretToken:     []byte(word(tokenIDLength) + "." + word(tokenSecretLength)),
		secretProxyCert: certificate,
		secretProxyKey:  private,
	}, nil
}

// proxyCertificate issues kube-proxy's certificate.
func proxyCertificate(files map[string][]byte, now time.Time) (certificate, private []byte, err error) {
	authority, err := pki.ParseAuthority(files[pki.UserCACert], files[pki.UserCAKey])
	if err != nil {
		return nil, nil, fmt.Errorf("reading the cluster's user CA: %w", err)
	}
	if certificate, private, err = authority.Issue(pki.Leaf{CommonName: proxyUser, Client: true, Validity: proxyValidity}, now); err != nil {
		return nil, nil, fmt.Errorf("issuing kube-proxy's certificate: %w", err)
	}
	return certificate, private, nil
}

// word is n random characters of a-z and 2-7.
func word(n int) string {
	random := make([]byte, n)
	rand.Read(random) // never fails: crypto/rand ends the process instead
	return strings.ToLower(base32.StdEncoding.EncodeToString(random))[:n]
}
