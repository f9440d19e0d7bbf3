package pki

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// renewFraction is the part of a leaf's life, as a divisor, that is left when it
// is issued anew.
const renewFraction = 3

// Renewed is a cluster's PKI with every leaf issued anew that needs it: one that
// has a third of its life left or less, that cannot be read or is not its key's, or
// that the current signer of its authority did not sign. A leaf is followed by what lets those
// verify it who know the signer's predecessor alone (see Rotation). It returns
// the names of the certificates that changed; none, and the same files, if
// nothing did. Files are never changed in place.
func Renewed(files map[string][]byte, names ClusterNames, now time.Time) (map[string][]byte, []string, error) {
	next, changed := maps.Clone(files), []string(nil)
	for _, entry := range clusterLeaves(names) {
		signer, err := ParseAuthority(files[entry.authority], files[keyOf(entry.authority)])
		if err != nil {
			return nil, nil, err
		}
		leaf := firstPEM(files[entry.certName])
		due, err := renewAt(leaf, signer)
		if _, pairErr := tls.X509KeyPair(leaf, files[entry.keyName]); err != nil || pairErr != nil || !now.Before(due) {
			entry.leaf.Validity = names.validity()
			if leaf, next[entry.keyName], err = signer.Issue(entry.leaf, now); err != nil {
				return nil, nil, err
			}
		}
		next[entry.certName] = slices.Concat(leaf, files[crossOf(entry.authority)])
		if !bytes.Equal(next[entry.certName], files[entry.certName]) {
			changed = append(changed, entry.certName)
		}
	}
	return next, changed, nil
}

// renewAt is when a leaf of an authority is to be issued anew; an error if it is
// not one.
func renewAt(leafPEM []byte, signer Authority) (time.Time, error) {
	leaf, err := parseFirst(leafPEM)
	if err != nil {
		return time.Time{}, err
	}
	if err := leaf.CheckSignatureFrom(signer.certificate); err != nil {
		return time.Time{}, err
	}
	if !leaf.NotAfter.Before(signer.certificate.NotAfter) {
		return leaf.NotAfter, nil // a new one would end no later
	}
	return leaf.NotAfter.Add(-leaf.NotAfter.Sub(leaf.NotBefore) / renewFraction), nil
}

// Expiry is when a certificate ends.
type Expiry struct {
	// Name is the file's.
	Name string
	// NotAfter is the end, RenewAt when it is issued anew: never, for an authority.
	NotAfter, RenewAt time.Time
}

// Expiries are those of a cluster's leaves, the earliest first.
func Expiries(files map[string][]byte) ([]Expiry, error) {
	var expiries []Expiry
	for _, entry := range clusterLeaves(ClusterNames{}) {
		signer, err := parseFirst(files[entry.authority])
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", entry.authority, err)
		}
		leaf, err := parseFirst(files[entry.certName])
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", entry.certName, err)
		}
		expiry := Expiry{Name: entry.certName, NotAfter: leaf.NotAfter}
		if expiry.RenewAt, err = renewAt(files[entry.certName], Authority{certificate: signer}); err != nil {
			expiry.RenewAt = leaf.NotBefore // at once
		}
		expiries = append(expiries, expiry)
	}
	slices.SortFunc(expiries, func(a, b Expiry) int {
		if order := a.NotAfter.Compare(b.NotAfter); order != 0 {
			return order
		}
		return strings.Compare(a.Name, b.Name)
	})
	return expiries, nil
}

// Digest names the content of files: it changes with every byte of them and
// tells nothing about keys.
func Digest(files map[string][]byte) string {
	digest := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		sum := sha256.Sum256(files[name])
		digest.Write([]byte(name + "\x00" + hex.EncodeToString(sum[:]) + "\x00"))
	}
	return hex.EncodeToString(digest.Sum(nil)[:16])
}

// NodeDigest names the authorities among a cluster's files that its nodes trust
// and have certificates of.
func NodeDigest(files map[string][]byte) string {
	return Digest(map[string][]byte{ClusterCACert: files[ClusterCACert], UserCACert: files[UserCACert]})
}

// MachineDigest names what is written into a machine: the authorities that it
// trusts, and kube-proxy's certificate.
func MachineDigest(bundle, proxyCert []byte) string {
	return Digest(map[string][]byte{ClusterCACert: bundle, "proxy.crt": proxyCert})
}

// AuthorityID is the key id of the first certificate of a PEM: of a bundle of
// authorities, the one that signs. It is empty for what is no authority.
func AuthorityID(bundle []byte) string {
	certificate, err := parseFirst(bundle)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(certificate.SubjectKeyId)
}

// AuthorityIDs are the key ids of all certificates of a bundle, in its order.
func AuthorityIDs(bundle []byte) []string {
	var ids []string
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if id := AuthorityID(pem.EncodeToMemory(block)); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// IssuerID is the AuthorityID of who says to have signed a leaf; empty for what is no certificate.
func IssuerID(leafPEM []byte) string {
	certificate, err := parseFirst(leafPEM)
	if err != nil {
		return ""
	}
	return hex.EncodeToString(certificate.AuthorityKeyId)
}

// RenewTime is when a leaf is to be issued anew by the authority whose
// certificate is the first of a bundle: at once, if it is not one of its leaves.
func RenewTime(leafPEM, bundle []byte, now time.Time) time.Time {
	authority, err := parseFirst(bundle)
	if err != nil {
		return now
	}
	due, err := renewAt(leafPEM, Authority{certificate: authority})
	if err != nil {
		return now
	}
	return due
}

// parseFirst reads the first certificate of a PEM.
func parseFirst(certPEM []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(certPEM)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errors.New("no certificate in the PEM")
	}
	return x509.ParseCertificate(block.Bytes)
}

// firstPEM is the first block of a PEM, by itself; empty if there is none.
func firstPEM(blocks []byte) []byte {
	block, _ := pem.Decode(blocks)
	if block == nil {
		return nil
	}
	return pem.EncodeToMemory(block)
}

// keyOf and crossOf are the files beside an authority's certificates: its key,
// and, while a predecessor is still trusted, its certificate as that one signed it.
func keyOf(certName string) string   { return strings.TrimSuffix(certName, ".crt") + ".key" }
func crossOf(certName string) string { return strings.TrimSuffix(certName, ".crt") + "-cross.crt" }
func nextKeyOf(certName string) string {
	return strings.TrimSuffix(certName, ".crt") + "-next.key"
}
