package app

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"berth.dev/berth/internal/dns"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/pki"
)

// certificateValidity is that of the front end's certificate; it is renewed
// when a third of it is left, without a restart.
const certificateValidity = 90 * 24 * time.Hour

// ensureAuthority reads the install's own CA, or makes it. Its certificate is
// for everyone to read, its key for no one else.
func ensureAuthority(h home.Home) (pki.Authority, error) {
	keyFile := filepath.Join(h.IdentityDir(), "ca.key")
	certificate, certificateErr := os.ReadFile(h.CAFile())
	key, keyErr := os.ReadFile(keyFile)
	switch {
	case certificateErr == nil && keyErr == nil:
		return pki.ParseAuthority(certificate, key)
	case !errors.Is(certificateErr, fs.ErrNotExist) || keyErr != nil && !errors.Is(keyErr, fs.ErrNotExist):
		// A certificate without its key is not replaced: clients trust it.
		return pki.Authority{}, fmt.Errorf("reading the service's CA: %w", errors.Join(certificateErr, keyErr))
	}
	authority, err := pki.NewAuthority("Berth "+h.Instance, time.Now())
	if err != nil {
		return pki.Authority{}, fmt.Errorf("making the service's CA: %w", err)
	}
	if key, err = authority.KeyPEM(); err != nil {
		return pki.Authority{}, fmt.Errorf("making the service's CA: %w", err)
	}
	if err := home.WriteFile(keyFile, key, 0o600); err != nil {
		return pki.Authority{}, err
	}
	return authority, home.WriteFile(h.CAFile(), authority.CertificatePEM(), 0o644)
}

// certificates issues the front end's certificate and renews it in time.
type certificates struct {
	authority pki.Authority
	leaf      pki.Leaf
	now       func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
}

// newCertificates names the front end: on loopback, on the edge, by its public
// URL and by its names in the install zone.
func newCertificates(authority pki.Authority, o Options, edge netip.Addr) *certificates {
	management, login := dns.ServiceNames(o.Location, o.DNSZone)
	leaf := pki.Leaf{
		CommonName: "berth",
		DNSNames:   []string{"localhost", management, login},
		Addresses:  []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), edge},
		Server:     true,
		Validity:   certificateValidity,
	}
	names := []string{}
	if listen, err := netip.ParseAddrPort(o.Listen); err == nil && !listen.Addr().IsUnspecified() {
		names = append(names, listen.Addr().String())
	}
	if public, err := url.Parse(o.PublicURL); err == nil && public.Hostname() != "" {
		names = append(names, public.Hostname())
	}
	for _, name := range names {
		if address, err := netip.ParseAddr(name); err == nil {
			leaf.Addresses = append(leaf.Addresses, address)
		} else {
			leaf.DNSNames = append(leaf.DNSNames, name)
		}
	}
	return &certificates{authority: authority, leaf: leaf, now: time.Now}
}

// get is a tls.Config's GetCertificate.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil && c.current.Leaf.NotAfter.Sub(c.now()) > certificateValidity/3 {
		return c.current, nil
	}
	certificate, key, err := c.authority.Issue(c.leaf, c.now())
	if err != nil {
		return nil, fmt.Errorf("issuing the service's certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("issuing the service's certificate: %w", err)
	}
	c.current = &pair
	return c.current, nil
}
