package identity

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"berth.dev/berth/internal/arm"
)

// leeway is how far the clocks of two machines may differ.
const leeway = time.Minute

// Authenticate verifies the request's access token: signature, issuer,
// audience, tenant and times. The principal is who the token speaks of.
func (s *Service) Authenticate(r *arm.Request) (arm.Principal, error) {
	header := r.Header.Get("Authorization")
	scheme, raw, _ := strings.Cut(header, " ")
	if header == "" {
		return arm.Principal{}, s.unauthorized(r, "AuthenticationFailed", "", "Authentication failed. The 'Authorization' header is missing.")
	}
	if !strings.EqualFold(scheme, "Bearer") || raw == "" {
		return arm.Principal{}, s.unauthorized(r, "AuthenticationFailedInvalidHeader", "invalid_request",
			"Authentication failed. The 'Authorization' header is provided in an invalid format; it has to be 'Bearer' and a token.")
	}
	token, err := jwt.ParseSigned(strings.TrimSpace(raw), []jose.SignatureAlgorithm{jose.RS256})
	if err != nil {
		return arm.Principal{}, s.unauthorized(r, "InvalidAuthenticationToken", "invalid_token", "The access token is invalid: it is no JWT signed with RS256.")
	}
	key, err := s.keys.verifier(r.Context(), token.Headers[0].KeyID)
	if err != nil {
		return arm.Principal{}, err
	}
	var c claims
	if key == nil || token.Claims(key, &c) != nil {
		return arm.Principal{}, s.unauthorized(r, "InvalidAuthenticationToken", "invalid_token", "The access token is invalid: its signature is not of this service. Ask for a new token.")
	}
	if err := s.checkClaims(r, c); err != nil {
		return arm.Principal{}, err
	}
	return arm.Principal{ObjectID: c.ObjectID, AppID: c.AppID, TenantID: c.TenantID}, nil
}

func (s *Service) checkClaims(r *arm.Request, c claims) error {
	now := s.options.Now()
	err := c.ValidateWithLeeway(jwt.Expected{Time: now}, leeway)
	switch {
	case errors.Is(err, jwt.ErrExpired) || c.Expiry == nil:
		return s.unauthorized(r, "ExpiredAuthenticationToken", "invalid_token",
			fmt.Sprintf("The access token expiry UTC time '%s' is earlier than current UTC time '%s'.", expiry(c), now.UTC().Format(time.RFC3339)))
	case err != nil:
		return s.unauthorized(r, "InvalidAuthenticationToken", "invalid_token", "The access token is invalid: it is not valid yet.")
	case !s.validIssuer(c.Issuer) || !strings.EqualFold(c.TenantID, s.options.TenantID):
		return s.unauthorized(r, "InvalidAuthenticationTokenTenant", "invalid_token",
			fmt.Sprintf("The access token is from the wrong issuer. It must match the tenant '%s' of this service.", s.options.TenantID))
	case len(c.Audience) != 1 || !s.isARM(c.Audience[0], r.BaseURL()):
		return s.unauthorized(r, "InvalidAuthenticationTokenAudience", "invalid_token",
			fmt.Sprintf("The access token has been obtained for the wrong audience or resource. It should match '%s'.", r.BaseURL()))
	case c.ObjectID == "":
		return s.unauthorized(r, "InvalidAuthenticationToken", "invalid_token", "The access token is invalid: it names no principal.")
	}
	return nil
}

// validIssuer accepts the issuer under every base URL that a front end may
// have been called by: the key already says that this service signed.
func (s *Service) validIssuer(issuer string) bool {
	u, err := url.Parse(issuer)
	return err == nil && u.Scheme == "https" && u.Host != "" && u.Path == "/"+s.options.TenantID+"/v2.0"
}

func expiry(c claims) string {
	if c.Expiry == nil {
		return "none"
	}
	return c.Expiry.Time().UTC().Format(time.RFC3339)
}

// unauthorized is the answer 401 with the challenge that tells a client where
// to get a token.
func (s *Service) unauthorized(r *arm.Request, code, oauthCode, message string) error {
	challenge := fmt.Sprintf(`Bearer authorization_uri="%s/%s"`, r.BaseURL(), s.options.TenantID)
	if oauthCode != "" {
		challenge += fmt.Sprintf(`, error="%s", error_description="%s"`, oauthCode, strings.ReplaceAll(message, `"`, `'`))
	}
	return arm.NewError(http.StatusUnauthorized, code, "%s", message).With("WWW-Authenticate", challenge)
}
