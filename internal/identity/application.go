package identity

import (
	"time"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
)

// application is a service principal as the OAuth library sees a client: one
// that logs in by itself, and nowhere to send a person back to.
type application struct {
	principal *authorizationv1alpha1.ServicePrincipal
}

var _ op.Client = application{}

// GetID is the client id.
func (a application) GetID() string { return a.principal.Name }

// AuthMethod is how it authenticates. Which of secret and assertion a client
// uses, each request says for itself.
func (a application) AuthMethod() oidc.AuthMethod { return oidc.AuthMethodPost }

// GrantTypes are the grants that it may use.
func (a application) GrantTypes() []oidc.GrantType {
	return []oidc.GrantType{oidc.GrantTypeClientCredentials}
}

// ApplicationType says that it can keep a secret.
func (a application) ApplicationType() op.ApplicationType { return op.ApplicationTypeWeb }

// AccessTokenType is a signed token.
func (a application) AccessTokenType() op.AccessTokenType { return op.AccessTokenTypeJWT }

// ClockSkew is how far its clock may be off.
func (a application) ClockSkew() time.Duration { return leeway }

// What follows is about people who log in through an application, which none does.

// RedirectURIs implements op.Client.
func (a application) RedirectURIs() []string { return nil }

// PostLogoutRedirectURIs implements op.Client.
func (a application) PostLogoutRedirectURIs() []string { return nil }

// ResponseTypes implements op.Client.
func (a application) ResponseTypes() []oidc.ResponseType { return nil }

// LoginURL implements op.Client.
func (a application) LoginURL(string) string { return "" }

// IDTokenLifetime implements op.Client.
func (a application) IDTokenLifetime() time.Duration { return 0 }

// DevMode implements op.Client.
func (a application) DevMode() bool { return false }

// RestrictAdditionalIdTokenScopes implements op.Client.
func (a application) RestrictAdditionalIdTokenScopes() func([]string) []string { //nolint:revive // the library's spelling
	return func([]string) []string { return nil }
}

// RestrictAdditionalAccessTokenScopes implements op.Client.
func (a application) RestrictAdditionalAccessTokenScopes() func([]string) []string {
	return func([]string) []string { return nil }
}

// IsScopeAllowed implements op.Client.
func (a application) IsScopeAllowed(string) bool { return false }

// IDTokenUserinfoClaimsAssertion implements op.Client.
func (a application) IDTokenUserinfoClaimsAssertion() bool { return false }
