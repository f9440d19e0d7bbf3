// Package pki makes the keys and certificates of a cluster and of the service
// itself. It owns their names, lifetimes and uses; it stores nothing, trusts
// no clock but the one that it is given, and knows no cluster beyond its names.
//
// A cluster has four authorities, so that each can be replaced or distrusted
// by itself:
//
//   - the cluster CA signs what the control plane and the kubelets show;
//   - the user CA signs people's and Berth's own client certificates, so that
//     local accounts can be switched off by removing it from the API server's bundle;
//   - the front-proxy CA signs the API server towards aggregated API servers;
//   - the etcd CA signs both ends of the datastore.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"time"
)

const (
	// authorityValidity is that of AKS's cluster CA.
	authorityValidity = 30 * 365 * 24 * time.Hour
	// defaultValidity is that of a leaf that asks for none, and of AKS's client certificates.
	defaultValidity = 2 * 365 * 24 * time.Hour
	// clockSkew is how much earlier than now certificates become valid: a
	// machine's clock may lag behind.
	clockSkew = 10 * time.Minute
)

// Authority is a certificate authority with its key.
type Authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// Leaf is a certificate to be issued.
type Leaf struct {
	CommonName    string
	Organizations []string
	DNSNames      []string
	Addresses     []netip.Addr
	// Server and Client say what it may be used for; at least one is set.
	Server, Client bool
	// Validity is how long it is valid from now; 0 means two years. It never outlives its authority.
	Validity time.Duration
}

// NewAuthority makes a self-signed authority. It may sign leaves, and its
// successor, which signs leaves only.
func NewAuthority(commonName string, now time.Time) (Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Authority{}, fmt.Errorf("making the key of %s: %w", commonName, err)
	}
	template := authorityTemplate(commonName, now)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return Authority{}, fmt.Errorf("signing %s: %w", commonName, err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return Authority{}, fmt.Errorf("reading %s back: %w", commonName, err)
	}
	return Authority{certificate: certificate, key: key}, nil
}

// authorityTemplate is the certificate of an authority before its key and signature.
// The subject has a serial number of its own, because two of one name are
// trusted side by side while one replaces the other.
func authorityTemplate(commonName string, now time.Time) *x509.Certificate {
	number := serial()
	return &x509.Certificate{
		SerialNumber:          number,
		Subject:               pkix.Name{CommonName: commonName, SerialNumber: fmt.Sprintf("%032x", number)[:8]},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              now.Add(authorityValidity),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLen:            1,
	}
}

// ParseAuthority reads an authority that was stored as PEM: the first of a bundle.
func ParseAuthority(certPEM, keyPEM []byte) (Authority, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return Authority{}, errors.New("reading an authority: no certificate in the PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return Authority{}, fmt.Errorf("reading an authority: %w", err)
	}
	if block, _ = pem.Decode(keyPEM); block == nil {
		return Authority{}, errors.New("reading an authority: no key in the PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return Authority{}, fmt.Errorf("reading the key of %s: %w", certificate.Subject.CommonName, err)
	}
	key, ok := parsed.(*ecdsa.PrivateKey)
	if !ok || !key.PublicKey.Equal(certificate.PublicKey) {
		return Authority{}, fmt.Errorf("reading the key of %s: it is not the certificate's", certificate.Subject.CommonName)
	}
	if !certificate.IsCA {
		return Authority{}, fmt.Errorf("reading an authority: %s is not one", certificate.Subject.CommonName)
	}
	return Authority{certificate: certificate, key: key}, nil
}

// CertificatePEM is the authority's certificate.
func (a Authority) CertificatePEM() []byte { return certificatePEM(a.certificate.Raw) }

// KeyPEM is the authority's key in PKCS #8.
func (a Authority) KeyPEM() ([]byte, error) { return keyPEM(a.key) }

// Issue makes a key (ECDSA P-256) and signs a certificate for it.
func (a Authority) Issue(leaf Leaf, now time.Time) (certPEM, privatePEM []byte, err error) {
	if !leaf.Server && !leaf.Client {
		return nil, nil, fmt.Errorf("issuing %s: it is neither for servers nor for clients", leaf.CommonName)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making the key of %s: %w", leaf.CommonName, err)
	}
	der, err := x509.CreateCertificate(rand.Reader, a.template(leaf, now), a.certificate, key.Public(), a.key)
	if err != nil {
		return nil, nil, fmt.Errorf("signing %s: %w", leaf.CommonName, err)
	}
	if privatePEM, err = keyPEM(key); err != nil {
		return nil, nil, err
	}
	return certificatePEM(der), privatePEM, nil
}

// template is the certificate of a leaf before its key and signature.
func (a Authority) template(leaf Leaf, now time.Time) *x509.Certificate {
	validity := leaf.Validity
	if validity == 0 {
		validity = defaultValidity
	}
	notAfter := now.Add(validity)
	if notAfter.After(a.certificate.NotAfter) {
		notAfter = a.certificate.NotAfter
	}
	template := &x509.Certificate{
		SerialNumber:          serial(),
		Subject:               pkix.Name{CommonName: leaf.CommonName, Organization: leaf.Organizations},
		NotBefore:             now.Add(-clockSkew),
		NotAfter:              notAfter,
		KeyUsage:              x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		DNSNames:              leaf.DNSNames,
	}
	if leaf.Server {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	if leaf.Client {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
	}
	for _, address := range leaf.Addresses {
		template.IPAddresses = append(template.IPAddresses, net.IP(address.AsSlice()))
	}
	return template
}

// serial is a random serial number of 127 bits, as the baseline requirements ask.
func serial() *big.Int {
	random := make([]byte, 16)
	rand.Read(random) // never fails: crypto/rand ends the process instead
	random[0] &= 0x7f
	return new(big.Int).SetBytes(random)
}

func certificatePEM(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

func keyPEM(key any) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("writing a key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
