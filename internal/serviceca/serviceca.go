// Package serviceca owns the authority of the service's own certificates, in its
// home, and its replacement. Clients verify the service with the authority's file,
// ca.crt: its first certificate signs, all are trusted.
//
//	settled    ca.crt: A      leaves of A
//	replaced   ca.crt: B, A   leaves of B, followed by B as A signed it
//	retired    ca.crt: B      leaves of B
//
// Who knows A alone verifies the service until A is retired; who reads ca.crt anew
// meanwhile does so for good. Each step may be killed after any line: it goes on
// at the next look.
package serviceca

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/pki"
)

// The files beside ca.crt. nextFile holds the certificate and the key of an
// authority that is about to sign; it is there only while it takes over.
const (
	keyFile   = "ca.key"
	crossFile = "ca-cross.crt"
	nextFile  = "ca-next.pem"
)

// ErrUnretired says that a former authority is still trusted.
var ErrUnretired = errors.New("the authority that was replaced last is still trusted")

// ErrNothingReplaced says that only one authority is trusted.
var ErrNothingReplaced = errors.New("no authority was replaced that is still trusted")

// Keeper keeps the authority of a home.
type Keeper struct{ home home.Home }

// New makes a Keeper; it reads nothing.
func New(h home.Home) *Keeper { return &Keeper{home: h} }

// Current is an authority as it serves.
type Current struct {
	Authority pki.Authority
	// Cross lets those verify its leaves who know its predecessor alone; empty
	// once that is retired.
	Cross []byte
}

// Ensure reads the authority, or makes it, and brings a replacement to its end
// that was killed. Its certificate is for everyone to read, its key for no one else.
func (k *Keeper) Ensure(now time.Time) (Current, error) {
	if err := k.finish(now); err != nil {
		return Current{}, fmt.Errorf("replacing the service's CA: %w", err)
	}
	current, err := k.Load()
	_, keyErr := os.Stat(k.file(keyFile))
	_, certificateErr := os.Stat(k.home.CAFile())
	if !errors.Is(certificateErr, fs.ErrNotExist) || keyErr != nil && !errors.Is(keyErr, fs.ErrNotExist) {
		return current, err // a certificate without its key is not replaced: clients trust it
	}
	authority, err := pki.NewAuthority("Berth "+k.home.Instance, now)
	if err != nil {
		return Current{}, fmt.Errorf("making the service's CA: %w", err)
	}
	key, err := authority.KeyPEM()
	if err != nil {
		return Current{}, fmt.Errorf("making the service's CA: %w", err)
	}
	if err := home.WriteFile(k.file(keyFile), key, 0o600); err != nil {
		return Current{}, err
	}
	return Current{Authority: authority}, home.WriteFile(k.home.CAFile(), authority.CertificatePEM(), 0o644)
}

// Load reads the authority.
func (k *Keeper) Load() (Current, error) {
	bundle, err := os.ReadFile(k.home.CAFile())
	if err != nil {
		return Current{}, fmt.Errorf("reading the service's CA: %w", err)
	}
	key, err := os.ReadFile(k.file(keyFile))
	if err != nil {
		return Current{}, fmt.Errorf("reading the service's CA: %w", err)
	}
	authority, err := pki.ParseAuthority(bundle, key)
	if err != nil {
		return Current{}, fmt.Errorf("reading the service's CA: %w", err)
	}
	cross, err := os.ReadFile(k.file(crossFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Current{}, fmt.Errorf("reading the service's CA: %w", err)
	}
	return Current{Authority: authority, Cross: cross}, nil
}

// Version changes when the authority does. It is cheap.
func (k *Keeper) Version() string {
	version := ""
	for _, path := range []string{k.home.CAFile(), k.file(keyFile), k.file(crossFile)} {
		if info, err := os.Stat(path); err == nil {
			version += info.ModTime().String()
		}
		version += "/"
	}
	return version
}

// Replace has a new authority sign. The old one is trusted until Retire; ErrUnretired
// if one before it still is.
func (k *Keeper) Replace(now time.Time) error {
	if err := k.finish(now); err != nil {
		return fmt.Errorf("replacing the service's CA: %w", err)
	}
	current, err := k.Load()
	switch {
	case err != nil:
		return err
	case len(current.Cross) > 0:
		return ErrUnretired
	}
	next, err := pki.NewAuthority("Berth "+k.home.Instance, now)
	if err != nil {
		return fmt.Errorf("making the service's next CA: %w", err)
	}
	key, err := next.KeyPEM()
	if err != nil {
		return fmt.Errorf("making the service's next CA: %w", err)
	}
	if err := home.WriteFile(k.file(nextFile), slices.Concat(next.CertificatePEM(), key), 0o600); err != nil {
		return err
	}
	return k.finish(now)
}

// finish lets the next authority take over, from wherever that was left.
func (k *Keeper) finish(now time.Time) error {
	content, err := os.ReadFile(k.file(nextFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, key := pem.Decode(content)
	next, err := pki.ParseAuthority(content, key)
	if err != nil {
		return err
	}
	if _, err := os.Stat(k.file(crossFile)); errors.Is(err, fs.ErrNotExist) {
		former, err := k.Load()
		if err != nil {
			return err
		}
		cross, err := former.Authority.Vouch(next, now)
		if err != nil {
			return err
		}
		if err := home.WriteFile(k.file(crossFile), cross, 0o644); err != nil {
			return err
		}
	}
	bundle, err := os.ReadFile(k.home.CAFile())
	if err != nil {
		return err
	}
	if signs := next.CertificatePEM(); pki.AuthorityID(bundle) != pki.AuthorityID(signs) {
		if err := home.WriteFile(k.home.CAFile(), slices.Concat(signs, pki.Signer(bundle)), 0o644); err != nil {
			return err
		}
	}
	if err := home.WriteFile(k.file(keyFile), key, 0o600); err != nil {
		return err
	}
	return os.Remove(k.file(nextFile))
}

// Retire ends the trust in the authority that was replaced last; ErrNothingReplaced
// if that has been done.
func (k *Keeper) Retire(now time.Time) error {
	if err := k.finish(now); err != nil {
		return fmt.Errorf("replacing the service's CA: %w", err)
	}
	current, err := k.Load()
	if err != nil {
		return err
	}
	if len(current.Cross) == 0 {
		return ErrNothingReplaced
	}
	if err := home.WriteFile(k.home.CAFile(), current.Authority.CertificatePEM(), 0o644); err != nil {
		return err
	}
	return os.Remove(k.file(crossFile))
}

func (k *Keeper) file(name string) string { return filepath.Join(k.home.IdentityDir(), name) }
