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
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

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
	resource                string
	v1                      bool
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
		return tokenForm{}, &oauthError{http.StatusBadRequest, "invalid_request", 900140, "AADSTS900140: " + description}
	}
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/x-www-form-urlencoded" {
		return bad("The request body must be of type application/x-www-form-urlencoded.")
	}
	r.Request.Body = http.MaxBytesReader(w, r.Request.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			return tokenForm{}, &oauthError{http.StatusRequestEntityTooLarge, "invalid_request", 90015, "AADSTS90015: The request is too long."}
		}
		return bad("The request body could not be read.")
	}
	form := tokenForm{grant: r.PostForm.Get("grant_type"), clientID: r.PostForm.Get("client_id"), secret: r.PostForm.Get("client_secret")}
	if id, secret, ok := r.BasicAuth(); ok {
		var err1, err2 error
		form.clientID, err1 = url.QueryUnescape(id) // RFC 6749 §2.3.1
		form.secret, err2 = url.QueryUnescape(secret)
		if err1 != nil || err2 != nil {
			return bad("The basic authentication could not be read.")
		}
	}
	scope := r.PostForm.Get("scope")
	if scope == "" && r.PostForm.Get("resource") != "" {
		form.resource, form.v1 = r.PostForm.Get("resource"), true
		return form, nil
	}
	// Clients add openid and offline_access, which mean nothing for an application.
	for _, one := range strings.Fields(scope) {
		switch {
		case one == "openid" || one == "offline_access" || one == "profile":
		case strings.HasSuffix(one, "/.default") && form.resource == "":
			form.resource = strings.TrimSuffix(one, "/.default")
		default:
			failure := invalidScope(scope)
			return tokenForm{}, &failure
		}
	}
	return form, nil
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
	case form.secret == "":
		failure = missing("client_secret")
	case form.resource == "":
		failure = missing("scope")
	case !s.isARM(form.resource, baseURL) && !s.isGraph(form.resource, baseURL):
		failure = unknownResource(form.resource, s.options.TenantID)
	default:
		return nil
	}
	return &failure
}

// authenticateClient finds the service principal and checks its secret.
func (s *Service) authenticateClient(r *arm.Request, form tokenForm) (*authorizationv1alpha1.ServicePrincipal, *oauthError, error) {
	clientID, err := uuid.Parse(form.clientID)
	unknown := unknownApplication(form.clientID, s.options.TenantID)
	if err != nil {
		return nil, &unknown, nil
	}
	var principal authorizationv1alpha1.ServicePrincipal
	err = s.options.Client.Get(r.Context(), client.ObjectKey{Name: clientID.String()}, &principal)
	if apierrors.IsNotFound(err) || err == nil && !strings.EqualFold(principal.Spec.TenantID, s.options.TenantID) {
		return nil, &unknown, nil
	}
	if err != nil {
		return nil, nil, err
	}
	failure := invalidSecret(clientID.String())
	for _, password := range principal.Spec.Passwords {
		matches, err := s.passwords.matches(r.Context(), password.Hash, form.secret)
		if err != nil {
			return nil, nil, err
		}
		if !matches {
			continue
		}
		if password.EndDateTime != nil && !password.EndDateTime.After(s.options.Now()) {
			failure = expiredSecret(clientID.String())
			continue
		}
		return &principal, nil, nil
	}
	return nil, &failure, nil
}

func (s *Service) issue(w http.ResponseWriter, r *arm.Request, form tokenForm, principal *authorizationv1alpha1.ServicePrincipal) error {
	now := s.options.Now().Truncate(time.Second)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.RS256, Key: jose.JSONWebKey{Key: s.key, KeyID: s.keyID}},
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
