package identity

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"
)

// provider is what the OAuth library asks. It reads requests, dispatches by
// grant and calls here; a grant that is added later (device code, refresh
// token, authorization code, exchange) is one more method.
type provider struct {
	op.UnimplementedServer
	service *Service
}

// Discovery is the OpenID configuration.
func (p *provider) Discovery(ctx context.Context, _ *op.Request[struct{}]) (*op.Response, error) {
	r := exchangeOf(ctx).request
	base, tenant := r.BaseURL(), r.BaseURL()+"/"+p.service.options.TenantID
	document := oidc.DiscoveryConfiguration{
		Issuer:                p.service.issuer(base),
		AuthorizationEndpoint: tenant + "/oauth2/v2.0/authorize", TokenEndpoint: tenant + "/oauth2/v2.0/token", JwksURI: tenant + "/discovery/v2.0/keys",
		TokenEndpointAuthMethodsSupported:          []oidc.AuthMethod{oidc.AuthMethodPost, oidc.AuthMethodBasic, oidc.AuthMethodPrivateKeyJWT},
		TokenEndpointAuthSigningAlgValuesSupported: []string{"RS256", "PS256"},
		GrantTypesSupported:                        []oidc.GrantType{oidc.GrantTypeClientCredentials},
		ResponseTypesSupported:                     []string{"token"},
		SubjectTypesSupported:                      []string{"pairwise"},
		IDTokenSigningAlgValuesSupported:           []string{"RS256"},
		ClaimsSupported:                            []string{"sub", "iss", "aud", "exp", "iat", "nbf", "oid", "appid", "tid", "idtyp"},
	}
	if _, named := r.Params["tenant"]; !named {
		document.AuthorizationEndpoint, document.TokenEndpoint, document.JwksURI = base+"/adfs/oauth2/authorize", base+"/adfs/oauth2/token", base+"/adfs/discovery/keys"
	}
	return op.NewResponse(document), nil
}

// Keys are the public keys that verify tokens.
func (p *provider) Keys(ctx context.Context, _ *op.Request[struct{}]) (*op.Response, error) {
	set, err := p.service.keys.public(ctx)
	if err != nil {
		return nil, exchangeOf(ctx).broken(err)
	}
	return op.NewResponse(set), nil
}

// VerifyClient finds the application and checks the secret or the assertion
// that it presents.
func (p *provider) VerifyClient(ctx context.Context, r *op.Request[op.ClientCredentials]) (op.Client, error) {
	e := exchangeOf(ctx)
	switch {
	case r.Form.Get("grant_type") != string(oidc.GrantTypeClientCredentials):
		return nil, e.refuse(unsupportedGrant(r.Form.Get("grant_type")))
	case r.Data.ClientID == "":
		return nil, e.refuse(missing("client_id"))
	case r.Data.ClientAssertion == "" && r.Data.ClientSecret == "":
		return nil, e.refuse(missing("client_secret' or 'client_assertion"))
	}
	principal, failure, err := p.service.authenticateClient(e.request, r.Data)
	switch {
	case err != nil:
		return nil, e.broken(err)
	case failure != nil:
		return nil, e.refuse(*failure)
	}
	return application{principal: principal}, nil
}

// ClientCredentialsExchange gives an application a token.
func (p *provider) ClientCredentialsExchange(ctx context.Context, r *op.ClientRequest[oidc.ClientCredentialsRequest]) (*op.Response, error) {
	e := exchangeOf(ctx)
	resource, v1, failure := p.service.readResource(r, e.request.BaseURL())
	if failure != nil {
		return nil, e.refuse(*failure)
	}
	now := p.service.options.Now().Truncate(time.Second)
	token, err := p.service.sign(ctx, accessToken{
		issuer: p.service.issuer(e.request.BaseURL()), audience: resource, principal: r.Client.(application).principal, at: now,
	})
	if err != nil {
		return nil, e.broken(err)
	}
	seconds := int(TokenLifetime/time.Second) - 1
	response := op.NewResponse(map[string]any{"token_type": oidc.BearerToken, "access_token": token, "expires_in": seconds, "ext_expires_in": seconds})
	if v1 { // the older endpoint has its numbers as strings
		response.Data = map[string]any{"token_type": oidc.BearerToken, "access_token": token, "resource": resource,
			"expires_in": strconv.Itoa(seconds), "ext_expires_in": strconv.Itoa(seconds),
			"not_before": strconv.FormatInt(now.Unix(), 10), "expires_on": strconv.FormatInt(now.Add(TokenLifetime).Unix(), 10)}
	}
	noStore(response.Header)
	return response, nil
}

// readResource reads what a token is for, from either version of the protocol.
func (s *Service) readResource(r *op.ClientRequest[oidc.ClientCredentialsRequest], baseURL string) (resource string, v1 bool, failure *oauthError) {
	refuse := func(f oauthError) (string, bool, *oauthError) { return "", false, &f }
	if len(r.Data.Scope) == 0 {
		resource, v1 = r.Form.Get("resource"), true
	}
	// Clients add openid and offline_access, which mean nothing for an application.
	for _, one := range r.Data.Scope {
		switch {
		case one == oidc.ScopeOpenID || one == oidc.ScopeOfflineAccess || one == oidc.ScopeProfile || one == "":
		case strings.HasSuffix(one, "/.default") && resource == "":
			resource = strings.TrimSuffix(one, "/.default")
		default:
			return refuse(invalidScope(strings.Join(r.Data.Scope, " ")))
		}
	}
	switch {
	case resource == "":
		return refuse(missing("scope"))
	case !s.isARM(resource, baseURL) && !s.isGraph(resource, baseURL):
		return refuse(unknownResource(resource, s.options.TenantID))
	}
	return resource, v1, nil
}

// noStore forbids whoever passes an answer on to keep it.
func noStore(header http.Header) { header.Set("Cache-Control", "no-store, no-cache") }

// printable shortens and escapes what a caller sent, for messages.
func printable(s string) string {
	if len(s) > 200 {
		s = s[:200]
	}
	return url.PathEscape(s)
}
