// Package identity is the token service and the guard of the front end: it
// gives access tokens to service principals for their client secrets or for what
// they sign with their certificates, verifies them, and decides by role assignments what a principal may do. The signing
// key lies in the management API, so that every front end signs and verifies
// alike. It must not know resource types.
package identity

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// TokenLifetime is how long an access token is valid.
const TokenLifetime = time.Hour

// Options are what the service needs.
type Options struct {
	// Client reaches the management API with live reads.
	Client client.Client
	// TenantID is the install's tenant, a GUID.
	TenantID string
	// PublicURL is the base URL of the front end. Tokens for it are accepted on
	// every address that the front end answers on.
	PublicURL string
	// Endpoints are further base URLs of the same front end.
	Endpoints []string
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// Service is the token service. It is safe for concurrent use.
type Service struct {
	options   Options
	keys      *keyring
	oauth     http.Handler
	secretKey []byte
	backoff   *backoff
	replays   *replays
	snapshots snapshots
}

// NewService reads the signing keys and the key of client secrets from the
// management API, or makes them there on the first start.
func NewService(ctx context.Context, options Options) (*Service, error) {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.TenantID == "" {
		return nil, fmt.Errorf("starting the token service: no tenant id")
	}
	s := &Service{
		options: options, keys: &keyring{client: options.Client, now: options.Now},
		backoff: newBackoff(options.Now), replays: newReplays(options.Now),
	}
	if err := s.keys.load(ctx); err != nil {
		return nil, fmt.Errorf("starting the token service: %w", err)
	}
	var err error
	if s.secretKey, err = SecretKey(ctx, options.Client); err != nil {
		return nil, fmt.Errorf("starting the token service: %w", err)
	}
	s.oauth = newOAuth(s)
	return s, nil
}

// HashSecret is the hash of a client secret, to be stored.
func (s *Service) HashSecret(secret string) string { return HashSecret(s.secretKey, secret) }

// TenantID is the tenant that the service speaks for.
func (s *Service) TenantID() string { return s.options.TenantID }

// issuer is the issuer of tokens that are asked for under a base URL. It has
// the host that the caller used, because clients compare it with the authority
// that they were told.
func (s *Service) issuer(baseURL string) string {
	return baseURL + "/" + s.options.TenantID + "/v2.0"
}

// trimURL makes two spellings of one base URL equal.
func trimURL(u string) string { return strings.ToLower(strings.TrimRight(u, "/")) }

// isARM says whether a resource is the front end as seen under a base URL. The
// public cloud's own names are accepted too, for clients that have them built in.
func (s *Service) isARM(resource, baseURL string) bool {
	resource = trimURL(resource)
	for _, known := range append([]string{baseURL, s.options.PublicURL, "https://management.azure.com", "https://management.core.windows.net"}, s.options.Endpoints...) {
		if known != "" && resource == trimURL(known) {
			return true
		}
	}
	return false
}

// isGraph says whether a resource is the directory. Tokens for it are given
// out because clients ask for one before anything else; no route accepts them.
func (s *Service) isGraph(resource, baseURL string) bool {
	resource = trimURL(resource)
	return resource == trimURL(baseURL)+"/graph" || resource == trimURL(s.options.PublicURL)+"/graph" || resource == "https://graph.microsoft.com"
}
