package identity

import (
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // x5t names a certificate by SHA-1 (RFC 7515); nothing relies on it
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
)

const (
	// assertionLifetime is how far ahead an assertion may expire.
	assertionLifetime = 10 * time.Minute
	// maxReplays bounds the memory of assertions that have been used: at 300 a
	// second for as long as one may live, and some.
	maxReplays = 1 << 18
)

// checkAssertion is nil if an assertion is signed with one of the principal's
// certificates, was made for this service, lives for minutes and is used for
// the first time.
func (s *Service) checkAssertion(r *arm.Request, raw string, principal *authorizationv1alpha1.ServicePrincipal) *oauthError {
	refuse := func(why string) *oauthError {
		failure := invalidAssertion(why)
		return &failure
	}
	token, err := jwt.ParseSigned(raw, []jose.SignatureAlgorithm{jose.RS256, jose.PS256})
	if err != nil || len(token.Headers) != 1 {
		return refuse("it is no JWT signed with RS256 or PS256")
	}
	key, why := s.assertionKey(token.Headers[0], principal)
	if key == nil {
		return refuse(why)
	}
	var c jwt.Claims
	if token.Claims(key, &c) != nil {
		return refuse("its signature is wrong")
	}
	now := s.options.Now()
	switch {
	case !strings.EqualFold(c.Issuer, principal.Name) || !strings.EqualFold(c.Subject, principal.Name):
		return refuse("issuer and subject have to be the client id")
	case len(c.Audience) != 1 || !slices.Contains(s.tokenEndpoints(r.BaseURL()), trimURL(c.Audience[0])):
		return refuse("its audience is not the token endpoint")
	case c.Expiry == nil || c.ValidateWithLeeway(jwt.Expected{Time: now}, leeway) != nil:
		return refuse("it has expired or is not valid yet")
	case c.Expiry.Time().After(now.Add(assertionLifetime + leeway)):
		return refuse("it is valid for longer than ten minutes")
	case c.ID == "":
		return refuse("it has no jti")
	case !s.replays.first(principal.Name+" "+c.ID, c.Expiry.Time().Add(leeway)):
		return refuse("it has been used before, or too many are in use")
	}
	return nil
}

// assertionKey is the public key of the certificate that a header names by its
// thumbprint, or why there is none.
func (s *Service) assertionKey(header jose.Header, principal *authorizationv1alpha1.ServicePrincipal) (key *rsa.PublicKey, why string) {
	sha1Name, _ := header.ExtraHeaders["x5t"].(string)
	sha256Name, _ := header.ExtraHeaders["x5t#S256"].(string)
	now := s.options.Now()
	for _, credential := range principal.Spec.Keys {
		short, long := sha1.Sum(credential.Certificate), sha256.Sum256(credential.Certificate) //nolint:gosec // see the import
		if !named(sha256Name, long[:]) && (sha256Name != "" || !named(sha1Name, short[:])) {
			continue
		}
		certificate, err := x509.ParseCertificate(credential.Certificate)
		if err != nil || now.Before(credential.StartDateTime.Time) || !now.Before(credential.EndDateTime.Time) {
			return nil, "the certificate has expired or is not valid yet"
		}
		if public, ok := certificate.PublicKey.(*rsa.PublicKey); ok {
			return public, ""
		}
	}
	return nil, "the certificate with the thumbprint in its header (x5t) is not registered on the application"
}

// named says whether a thumbprint in a header is a sum. RFC 7515 has it in
// base64url without padding; Microsoft's library for Go sends plain base64.
func named(thumbprint string, sum []byte) bool {
	thumbprint = strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(thumbprint)
	return thumbprint != "" && thumbprint == base64.RawURLEncoding.EncodeToString(sum)
}

// tokenEndpoints are the audiences that an assertion may have.
func (s *Service) tokenEndpoints(baseURL string) []string {
	var endpoints []string
	for _, base := range append([]string{baseURL, s.options.PublicURL}, s.options.Endpoints...) {
		base = strings.TrimRight(base, "/")
		for _, path := range []string{"/" + s.options.TenantID + "/oauth2/v2.0/token", "/" + s.options.TenantID + "/oauth2/token", "/adfs/oauth2/token"} {
			endpoints = append(endpoints, trimURL(base+path))
		}
	}
	return endpoints
}

// replays remembers which assertions have been used, until they expire. It is
// the memory of one front end; what was used at one can be used once at
// another within its ten minutes. When it is full, further ones are refused.
type replays struct {
	now func() time.Time

	mu    sync.Mutex
	used  map[[sha256.Size]byte]int64 // when it may be forgotten, Unix seconds
	swept time.Time
}

func newReplays(now func() time.Time) *replays {
	return &replays{now: now, used: map[[sha256.Size]byte]int64{}}
}

// first notes an assertion and says whether it is used for the first time.
func (p *replays) first(id string, until time.Time) bool {
	sum := sha256.Sum256([]byte(id))
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if age := now.Sub(p.swept); age >= time.Minute || len(p.used) >= maxReplays && age >= time.Second {
		for one, end := range p.used {
			if end < now.Unix() {
				delete(p.used, one)
			}
		}
		p.swept = now
	}
	if _, used := p.used[sum]; used || len(p.used) >= maxReplays {
		return false
	}
	p.used[sum] = until.Unix()
	return true
}
