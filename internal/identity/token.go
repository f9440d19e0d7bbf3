package identity

import (
	"context"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"
	"github.com/zitadel/oidc/v3/pkg/crypto"
	"github.com/zitadel/oidc/v3/pkg/op"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
)

// claims are what an access token says beside the registered claims.
type claims struct {
	jwt.Claims
	AppID    string `json:"appid"`
	ObjectID string `json:"oid"`
	TenantID string `json:"tid"`
	IDType   string `json:"idtyp"`
	Version  string `json:"ver"`
	TokenID  string `json:"uti"`
}

// accessToken is what a token is made of.
type accessToken struct {
	issuer, audience string
	principal        *authorizationv1alpha1.ServicePrincipal
	at               time.Time
}

// sign makes a token.
func (s *Service) sign(ctx context.Context, t accessToken) (string, error) {
	key, err := s.keys.signer(ctx)
	if err != nil {
		return "", err
	}
	signer, err := op.SignerFromKey(key)
	if err != nil {
		return "", err
	}
	return crypto.Sign(claims{
		Claims: jwt.Claims{
			Issuer: t.issuer, Subject: t.principal.Spec.ObjectID, Audience: jwt.Audience{t.audience},
			IssuedAt: jwt.NewNumericDate(t.at), NotBefore: jwt.NewNumericDate(t.at), Expiry: jwt.NewNumericDate(t.at.Add(TokenLifetime)),
		},
		AppID: t.principal.Name, ObjectID: t.principal.Spec.ObjectID, TenantID: s.options.TenantID,
		IDType: "app", Version: "2.0", TokenID: uuid.NewString(),
	}, signer)
}

// SignatureAlgorithm is the only algorithm of access tokens.
func (k signingKey) SignatureAlgorithm() jose.SignatureAlgorithm { return jose.RS256 }

// Key is the private key.
func (k signingKey) Key() any { return k.private }

// ID names the key in the tokens that it signs.
func (k signingKey) ID() string { return k.id }
