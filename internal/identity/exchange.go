package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strings"

	"github.com/zitadel/oidc/v3/pkg/oidc"
	"github.com/zitadel/oidc/v3/pkg/op"

	"berth.dev/berth/internal/arm"
)

// The paths under which the OAuth library knows its endpoints. The routes that
// clients call have a tenant in front and come in several spellings; each is
// handed on to one of these.
const (
	discoveryPath = oidc.DiscoveryEndpoint
	keysPath      = "/keys"
	tokenPath     = "/token"
)

// maxForm is the largest body of the token endpoint.
const maxForm = 64 << 10

// exchange is one request while the OAuth library has it: what it came with,
// and how it failed, which says more than the library's own errors can carry.
type exchange struct {
	request *arm.Request
	// failure is the answer to a caller that did something wrong, err an error
	// of the service itself.
	failure *oauthError
	err     error
}

type exchangeKey struct{}

func exchangeOf(ctx context.Context) *exchange { return ctx.Value(exchangeKey{}).(*exchange) }

// refuse notes the answer, and is the error that makes the library stop.
func (e *exchange) refuse(failure oauthError) error {
	e.failure = &failure
	return oidc.ErrInvalidRequest()
}

// broken notes an error of the service itself.
func (e *exchange) broken(err error) error {
	e.err = err
	return oidc.ErrServerError()
}

// newOAuth is the library's handler. It has no cross-origin rules: no browser
// has business here yet. Its own log says nothing that the access log does not.
func newOAuth(s *Service) http.Handler {
	return op.RegisterServer(&provider{service: s},
		op.Endpoints{Token: op.NewEndpoint(tokenPath), JwksURI: op.NewEndpoint(keysPath)},
		op.WithServerCORSOptions(nil), op.WithFallbackLogger(slog.New(slog.DiscardHandler)))
}

// endpoint hands a request to the library and answers with what it says, its
// errors in the shape of Entra ID.
func (s *Service) endpoint(path string) arm.Handler {
	return func(w http.ResponseWriter, r *arm.Request) error {
		if tenant, named := r.Params["tenant"]; named && !strings.EqualFold(tenant, s.options.TenantID) {
			return s.writeOAuthError(w, r, unknownTenant(tenant))
		}
		if path == tokenPath {
			if failure := readForm(w, r); failure != nil {
				return s.writeOAuthError(w, r, *failure)
			}
		}
		e := &exchange{request: r}
		raw := r.WithContext(context.WithValue(r.Context(), exchangeKey{}, e))
		// The query stays behind: a secret in a URL would be in many logs by now.
		raw.URL, raw.Form = &url.URL{Path: path}, r.PostForm
		answer := &answer{header: http.Header{}, status: http.StatusOK}
		s.oauth.ServeHTTP(answer, raw)
		switch {
		case e.err != nil:
			return e.err
		case e.failure != nil:
			return s.writeOAuthError(w, r, *e.failure)
		case answer.status != http.StatusOK:
			return s.writeOAuthError(w, r, answer.failure(r.PostForm))
		}
		for name, values := range answer.header {
			w.Header()[name] = values
		}
		_, _ = w.Write(answer.body.Bytes()) // a client that went away is no error
		return nil
	}
}

// readForm reads the body, as far as a form may be long.
func readForm(w http.ResponseWriter, r *arm.Request) *oauthError {
	if mediaType, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || mediaType != "application/x-www-form-urlencoded" {
		failure := unreadable("The request body must be of type application/x-www-form-urlencoded.")
		return &failure
	}
	r.Request.Body = http.MaxBytesReader(w, r.Request.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		failure := unreadable("The request body could not be read.")
		var tooLong *http.MaxBytesError
		if errors.As(err, &tooLong) {
			failure = oauthError{status: http.StatusRequestEntityTooLarge, code: "invalid_request", number: 90015, description: "AADSTS90015: The request is too long."}
		}
		return &failure
	}
	return nil
}

// answer holds what the library writes.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header               { return a.header }
func (a *answer) WriteHeader(status int)            { a.status = status }
func (a *answer) Write(content []byte) (int, error) { return a.body.Write(content) }

// failure says in the words of Entra ID what the library refused by itself.
func (a *answer) failure(form url.Values) oauthError {
	var said struct {
		Code        string `json:"error"`
		Description string `json:"error_description"`
	}
	err := json.Unmarshal(a.body.Bytes(), &said)
	grant, assertionType := form.Get("grant_type"), form.Get("client_assertion_type")
	switch {
	case err != nil:
		return unreadable("The request could not be read.")
	case grant == "":
		return missing("grant_type")
	case grant != string(oidc.GrantTypeClientCredentials):
		return unsupportedGrant(grant)
	case form.Get("client_assertion") != "" && assertionType != oidc.ClientAssertionTypeJWTAssertion:
		return missing("client_assertion_type")
	case form.Get("client_id") == "" && said.Code == string(oidc.InvalidRequest):
		return missing("client_id")
	default:
		return oauthError{status: a.status, code: said.Code, number: 900140, description: "AADSTS900140: " + said.Description}
	}
}
