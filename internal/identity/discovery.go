package identity

import (
	"net/http"
	"strings"

	"berth.dev/berth/internal/arm"
)

// Routes are the public routes of the token service: without them nobody could
// get a token. The routes under /adfs are for clients that would otherwise ask
// the public cloud whether this authority exists.
func (s *Service) Routes() []arm.Route {
	return []arm.Route{
		{Method: http.MethodGet, Pattern: "/adfs/.well-known/openid-configuration", Public: true, Handle: s.discovery},
		{Method: http.MethodGet, Pattern: "/adfs/discovery/keys", Public: true, Handle: s.keySet},
		{Method: http.MethodPost, Pattern: "/adfs/oauth2/token", Public: true, Handle: s.Token},
		{Method: http.MethodGet, Pattern: "/common/discovery/instance", Public: true, Handle: s.instanceDiscovery},
		{Method: http.MethodGet, Pattern: "/{tenant}/v2.0/.well-known/openid-configuration", Public: true, Handle: s.discovery},
		{Method: http.MethodGet, Pattern: "/{tenant}/.well-known/openid-configuration", Public: true, Handle: s.discovery},
		{Method: http.MethodGet, Pattern: "/{tenant}/discovery/v2.0/keys", Public: true, Handle: s.keySet},
		{Method: http.MethodPost, Pattern: "/{tenant}/oauth2/v2.0/token", Public: true, Handle: s.Token},
		{Method: http.MethodPost, Pattern: "/{tenant}/oauth2/token", Public: true, Handle: s.Token},
	}
}

// discovery answers with the OpenID configuration.
func (s *Service) discovery(w http.ResponseWriter, r *arm.Request) error {
	tenant, named := r.Params["tenant"]
	if named && !strings.EqualFold(tenant, s.options.TenantID) {
		return s.writeOAuthError(w, r, unknownTenant(tenant))
	}
	base := r.BaseURL()
	document := map[string]any{
		"issuer":                                s.issuer(base),
		"authorization_endpoint":                base + "/" + s.options.TenantID + "/oauth2/v2.0/authorize",
		"token_endpoint":                        base + "/" + s.options.TenantID + "/oauth2/v2.0/token",
		"jwks_uri":                              base + "/" + s.options.TenantID + "/discovery/v2.0/keys",
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic", "private_key_jwt"},
		"token_endpoint_auth_signing_alg_values_supported": []string{"RS256", "PS256"},
		"grant_types_supported":                            []string{"client_credentials"},
		"response_types_supported":                         []string{"token"},
		"subject_types_supported":                          []string{"pairwise"},
		"id_token_signing_alg_values_supported":            []string{"RS256"},
		"claims_supported":                                 []string{"sub", "iss", "aud", "exp", "iat", "nbf", "oid", "appid", "tid", "idtyp"},
	}
	if !named {
		document["authorization_endpoint"] = base + "/adfs/oauth2/authorize"
		document["token_endpoint"] = base + "/adfs/oauth2/token"
		document["jwks_uri"] = base + "/adfs/discovery/keys"
	}
	return arm.WriteJSON(w, http.StatusOK, document)
}

// keySet answers with the public keys that verify tokens.
func (s *Service) keySet(w http.ResponseWriter, r *arm.Request) error {
	if tenant, named := r.Params["tenant"]; named && !strings.EqualFold(tenant, s.options.TenantID) {
		return s.writeOAuthError(w, r, unknownTenant(tenant))
	}
	set, err := s.keys.public(r.Context())
	if err != nil {
		return err
	}
	return arm.WriteJSON(w, http.StatusOK, set)
}
