package identity

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/google/uuid"

	authorizationv1alpha1 "berth.dev/berth/api/authorization/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// maxForm is the largest body of the token endpoint.
const maxForm = 64 << 10

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

// tokenForm is a request for a token.
type tokenForm struct {
	grant, clientID, secret string
	// assertionType and assertion are there if the client signs instead of
	// presenting a secret.
	assertionType, assertion string
	resource                 string
	v1                       bool
}

// Token answers a request for a token: client credentials, the secret in the
// form or in basic authentication.
func (s *Service) Token(w http.ResponseWriter, r *arm.Request) error {
	tenant, named := r.Params["tenant"]
	if named && !strings.EqualFold(tenant, s.options.TenantID) {
		return s.writeOAuthError(w, r, unknownTenant(tenant))
	}
	form, failure := readTokenForm(w, r)
	if failure == nil {
		failure = s.checkForm(form, r.BaseURL())
	}
	if failure != nil {
		return s.writeOAuthError(w, r, *failure)
	}
	principal, failure, err := s.authenticateClient(r, form)
	if err != nil {
		return err
	}
	if failure != nil {
		return s.writeOAuthError(w, r, *failure)
	}
	return s.issue(w, r, form, principal)
}

func readTokenForm(w http.ResponseWriter, r *arm.Request) (tokenForm, *oauthError) {
	bad := func(description string) (tokenForm, *oauthError) {
		return tokenForm{}, &oauthError{status: http.StatusBadRequest, code: "invalid_request", number: 900140, description: "AADSTS900140: " + description}
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/x-www-form-urlencoded" {
		return bad("The request body must be of type application/x-www-form-urlencoded.")
	}
	r.Request.Body = http.MaxBytesReader(w, r.Request.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			return tokenForm{}, &oauthError{status: http.StatusRequestEntityTooLarge, code: "invalid_request", number: 90015, description: "AADSTS90015: The request is too long."}
		}
		return bad("The request body could not be read.")
	}
	form := tokenForm{
		grant: r.PostForm.Get("grant_type"), clientID: r.PostForm.Get("client_id"), secret: r.PostForm.Get("client_secret"),
		assertionType: r.PostForm.Get("client_assertion_type"), assertion: r.PostForm.Get("client_assertion"),
	}
	if id, secret, ok := r.BasicAuth(); ok {
		var err1, err2 error
		form.clientID, err1 = url.QueryUnescape(id) // RFC 6749 §2.3.1
		form.secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil {
			return bad("The basic authentication could not be read.")
		}
	}
	if failure := form.readScope(r.PostForm); failure != nil {
		return tokenForm{}, failure
	}
	return form, nil
}

// readScope reads what the token is for, from either version of the protocol.
func (form *tokenForm) readScope(fields url.Values) *oauthError {
	scope := fields.Get("scope")
	if scope == "" && fields.Get("resource") != "" {
		form.resource, form.v1 = fields.Get("resource"), true
		return nil
	}
	// Clients add openid and offline_access, which mean nothing for an application.
	for _, one := range strings.Fields(scope) {
		switch {
		case one == "openid" || one == "offline_access" || one == "profile":
		case strings.HasSuffix(one, "/.default") && form.resource == "":
			form.resource = strings.TrimSuffix(one, "/.default")
		default:
			failure := invalidScope(scope)
			return &failure
		}
	}
	return nil
}

func (s *Service) checkForm(form tokenForm, baseURL string) *oauthError {
	var failure oauthError
	switch {
	case form.grant == "":
		failure = missing("grant_type")
	case form.grant != "client_credentials":
		failure = unsupportedGrant(form.grant)
	case form.clientID == "":
		failure = missing("client_id")
	case form.assertion != "" && form.assertionType != assertionType:
		failure = missing("client_assertion_type")
	case form.assertion == "" && form.secret == "":
		failure = missing("client_secret' or 'client_assertion")
	case form.resource == "":
		failure = missing("scope")
	case !s.isARM(form.resource, baseURL) && !s.isGraph(form.resource, baseURL):
		failure = unknownResource(form.resource, s.options.TenantID)
	default:
		return nil
	}
	return &failure
}

func (s *Service) issue(w http.ResponseWriter, r *arm.Request, form tokenForm, principal *authorizationv1alpha1.ServicePrincipal) error {
	now := s.options.Now().Truncate(time.Second)
	key, err := s.keys.signer(r.Context())
	if err != nil {
		return err
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: key.private, KeyID: key.id}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return err
	}
	token, err := jwt.Signed(signer).Claims(claims{
		Claims: jwt.Claims{
			Issuer: s.issuer(r.BaseURL()), Subject: principal.Spec.ObjectID, Audience: jwt.Audience{form.resource},
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), Expiry: jwt.NewNumericDate(now.Add(TokenLifetime)),
		},
		AppID: principal.Name, ObjectID: principal.Spec.ObjectID, TenantID: s.options.TenantID,
		IDType: "app", Version: "2.0", TokenID: uuid.NewString(),
	}).Serialize()
	if err != nil {
		return err
	}
	seconds := int(TokenLifetime/time.Second) - 1
	answer := map[string]any{"token_type": "Bearer", "access_token": token, "expires_in": seconds, "ext_expires_in": seconds}
	if form.v1 { // the older endpoint has its numbers as strings
		answer["expires_in"], answer["ext_expires_in"] = strconv.Itoa(seconds), strconv.Itoa(seconds)
		answer["not_before"], answer["expires_on"] = strconv.FormatInt(now.Unix(), 10), strconv.FormatInt(now.Add(TokenLifetime).Unix(), 10)
		answer["resource"] = form.resource
	}
	return writeToken(w, http.StatusOK, answer)
}
