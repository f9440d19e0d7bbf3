package pki

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"slices"
	"time"
)

// Stage is how far the replacement of a cluster's authorities has come. It
// follows from the files alone. The file of an authority is a bundle whose first
// certificate signs; everybody trusts all of them.
type Stage string

// The stages, in their order.
const (
	// StageSettled: one authority each, which signs and is trusted.
	StageSettled Stage = "Settled"
	// StageTrusting: the next one is trusted as well; the old one signs.
	StageTrusting Stage = "Trusting"
	// StageSwitched: the new one signs. The old one is trusted, and the new one is
	// shown as the old one signed it: who knows only the old one verifies that.
	StageSwitched Stage = "Switched"
)

// StageOf tells the stage of a cluster's files.
func StageOf(files map[string][]byte) Stage {
	switch {
	case len(files[nextKeyOf(ClusterCACert)]) > 0:
		return StageTrusting
	case len(files[crossOf(ClusterCACert)]) > 0:
		return StageSwitched
	}
	return StageSettled
}

// TrustNext makes the next authorities and has them trusted beside those that sign.
func TrustNext(files map[string][]byte, now time.Time) (map[string][]byte, error) {
	next := maps.Clone(files)
	for certName, authority := range clusterAuthorities() {
		made, err := NewAuthority(authority.commonName, now)
		if err != nil {
			return nil, err
		}
		if next[nextKeyOf(certName)], err = made.KeyPEM(); err != nil {
			return nil, err
		}
		next[certName] = slices.Concat(firstPEM(files[certName]), made.CertificatePEM())
	}
	return next, nil
}

// Switch lets the next authorities sign and issues every leaf anew.
func Switch(files map[string][]byte, names ClusterNames, now time.Time) (map[string][]byte, error) {
	next := maps.Clone(files)
	for certName, authority := range clusterAuthorities() {
		former, err := ParseAuthority(files[certName], files[authority.keyName])
		if err != nil {
			return nil, err
		}
		_, rest := pem.Decode(files[certName])
		current, err := ParseAuthority(rest, files[nextKeyOf(certName)])
		if err != nil {
			return nil, err
		}
		if next[crossOf(certName)], err = former.crossSign(current, now); err != nil {
			return nil, err
		}
		next[certName] = slices.Concat(current.CertificatePEM(), former.CertificatePEM())
		next[authority.keyName] = files[nextKeyOf(certName)]
		delete(next, nextKeyOf(certName))
	}
	next, _, err := Renewed(next, names, now)
	return next, err
}

// Retire ends the trust in the authorities that no longer sign.
func Retire(files map[string][]byte) map[string][]byte {
	next := maps.Clone(files)
	for certName := range clusterAuthorities() {
		next[certName] = firstPEM(files[certName])
		delete(next, crossOf(certName))
	}
	for _, entry := range clusterLeaves(ClusterNames{}) {
		next[entry.certName] = firstPEM(files[entry.certName])
	}
	return next
}

// Vouch is the certificate of another authority, as this one signs it: who knows
// this one alone verifies the other's leaves with it.
func (a Authority) Vouch(other Authority, now time.Time) ([]byte, error) {
	return a.crossSign(other, now)
}

// crossSign is the certificate of another authority, signed by this one; or as
// it is, if this one may sign leaves only, as those of the first releases did.
func (a Authority) crossSign(other Authority, now time.Time) ([]byte, error) {
	if a.certificate.MaxPathLenZero {
		return other.CertificatePEM(), nil
	}
	template := authorityTemplate(other.certificate.Subject.CommonName, now)
	template.RawSubject, template.SubjectKeyId = other.certificate.RawSubject, other.certificate.SubjectKeyId
	template.MaxPathLen, template.MaxPathLenZero = 0, true
	if template.NotAfter.After(a.certificate.NotAfter) {
		template.NotAfter = a.certificate.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, other.certificate.PublicKey, a.key)
	if err != nil {
		return nil, fmt.Errorf("cross-signing %s: %w", other.certificate.Subject.CommonName, err)
	}
	return certificatePEM(der), nil
}

// Signer is the certificate that signs, of an authority's bundle.
func Signer(bundle []byte) []byte { return firstPEM(bundle) }

// Oldest is the certificate of a bundle that has been trusted longest: the
// signer's predecessor as long as it is trusted.
func Oldest(files map[string][]byte, certName string) []byte {
	if len(files[crossOf(certName)]) == 0 {
		return firstPEM(files[certName])
	}
	_, rest := pem.Decode(files[certName])
	return rest
}
