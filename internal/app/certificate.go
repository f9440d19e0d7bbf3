package app

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"time"

	"berth.dev/berth/internal/dns"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/serviceca"
)

// certificateValidity is that of the front end's certificate; it is renewed
// when a third of it is left, without a restart.
const certificateValidity = 90 * 24 * time.Hour

// ensureAuthority reads the install's own CA, or makes it.
func ensureAuthority(h home.Home) (pki.Authority, error) {
	current, err := serviceca.New(h).Ensure(time.Now())
	return current.Authority, err
}

// certificates issues the front end's certificate, renews it in time, and issues
// it anew when the service's CA is replaced beside it.
type certificates struct {
	authority pki.Authority
	leaf      pki.Leaf
	now       func() time.Time
	// keeper says what the authority is now; nil if it stays as it is.
	keeper *serviceca.Keeper

	mu      sync.Mutex
	current *tls.Certificate
	// version is the keeper's that authority and cross are of.
	version string
	cross   []byte
}

// look takes an authority over that replaced the one that is known. One that is
// half written is looked at again with the next connection.
func (c *certificates) look() {
	if c.keeper == nil {
		return
	}
	version := c.keeper.Version()
	if version == c.version {
		return
	}
	if now, err := c.keeper.Load(); err == nil {
		c.authority, c.cross, c.version, c.current = now.Authority, now.Cross, version, nil
	}
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
	c.look()
	if c.current != nil && c.current.Leaf.NotAfter.Sub(c.now()) > certificateValidity/3 {
		return c.current, nil
	}
	certificate, key, err := c.authority.Issue(c.leaf, c.now())
	if err != nil {
		return nil, fmt.Errorf("issuing the service's certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(slices.Concat(certificate, c.cross), key)
	if err != nil {
		return nil, fmt.Errorf("issuing the service's certificate: %w", err)
	}
	c.current = &pair
	return c.current, nil
}
