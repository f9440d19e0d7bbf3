package serviceca

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/pki"
)

func keeper(t *testing.T) *Keeper {
	t.Helper()
	h := home.Home{Dir: t.TempDir(), Instance: "abcd"}
	if err := os.MkdirAll(h.IdentityDir(), 0o700); err != nil {
		t.Fatal(err)
	}
	return New(h)
}

// accepted says whether a client that trusts a bundle takes the service's certificate.
func accepted(t *testing.T, k *Keeper, bundle []byte) bool {
	t.Helper()
	current, err := k.Load()
	if err != nil {
		t.Fatal(err)
	}
	leaf, key, err := current.Authority.Issue(pki.Leaf{CommonName: "berth", Addresses: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, Server: true}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(slices.Concat(leaf, current.Cross), key)
	if err != nil {
		t.Fatal(err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AppendCertsFromPEM(bundle)
	for _, der := range pair.Certificate[1:] {
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		between.AddCert(certificate)
	}
	_, err = pair.Leaf.Verify(x509.VerifyOptions{DNSName: "127.0.0.1", Roots: roots, Intermediates: between})
	return err == nil
}

func read(t *testing.T, k *Keeper) []byte {
	t.Helper()
	content, err := os.ReadFile(k.home.CAFile())
	if err != nil {
		t.Fatal(err)
	}
	return content
}

func TestClientsOfTheOldFileAreServedUntilTheOldAuthorityRetires(t *testing.T) {
	k := keeper(t)
	if _, err := k.Ensure(time.Now()); err != nil {
		t.Fatal(err)
	}
	if err := k.Retire(time.Now()); !errors.Is(err, ErrNothingReplaced) {
		t.Errorf("retiring nothing: %v", err)
	}
	old, version := read(t, k), k.Version()
	if err := k.Replace(time.Now()); err != nil {
		t.Fatal(err)
	}
	if k.Version() == version {
		t.Error("nobody can see that it was replaced")
	}
	fresh := read(t, k)
	if !accepted(t, k, old) || !accepted(t, k, fresh) || !accepted(t, k, pki.Signer(fresh)) {
		t.Error("a client is refused while both are trusted")
	}
	if err := k.Replace(time.Now()); !errors.Is(err, ErrUnretired) {
		t.Errorf("replacing it once more: %v", err)
	}
	if err := k.Retire(time.Now()); err != nil {
		t.Fatal(err)
	}
	if accepted(t, k, old) || !accepted(t, k, fresh) || !accepted(t, k, read(t, k)) {
		t.Error("the old authority is accepted, or the new one is not")
	}
	if info, err := os.Stat(k.file(keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v, %v", info, err)
	}
}

// A kill leaves the files as they are between two writes.
func TestAReplacementThatWasKilledIsBroughtToItsEnd(t *testing.T) {
	whole := keeper(t)
	if _, err := whole.Ensure(time.Now()); err != nil {
		t.Fatal(err)
	}
	old, oldKey := read(t, whole), contentOf(t, whole, keyFile)
	if err := whole.Replace(time.Now()); err != nil {
		t.Fatal(err)
	}
	bundle, key, cross := read(t, whole), contentOf(t, whole, keyFile), contentOf(t, whole, crossFile)
	next := slices.Concat(pki.Signer(bundle), key)
	for name, left := range map[string]map[string][]byte{
		"behind the choice of the next":    {"ca.crt": old, keyFile: oldKey, nextFile: next},
		"behind the cross-signature":       {"ca.crt": old, keyFile: oldKey, nextFile: next, crossFile: cross},
		"between certificate and key":      {"ca.crt": bundle, keyFile: oldKey, nextFile: next, crossFile: cross},
		"before the next one is forgotten": {"ca.crt": bundle, keyFile: key, nextFile: next, crossFile: cross},
	} {
		k := keeper(t)
		for file, content := range left {
			if err := os.WriteFile(k.file(file), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		current, err := k.Ensure(time.Now())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if pki.AuthorityID(current.Authority.CertificatePEM()) != pki.AuthorityID(bundle) || !accepted(t, k, old) || !accepted(t, k, bundle) {
			t.Errorf("%s: it did not go on", name)
		}
		if _, err := os.Stat(k.file(nextFile)); err == nil {
			t.Errorf("%s: the key of the next is still there", name)
		}
	}
}

func contentOf(t *testing.T, k *Keeper, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(k.home.IdentityDir(), name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}
