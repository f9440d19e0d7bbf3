package identity

import (
	"encoding/json"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

	"berth.dev/berth/internal/arm"
)

// oauthError is an answer of the token endpoint in the shape of RFC 6749, with
// the code numbers that clients of Entra ID know.
type oauthError struct {
	status      int
	code        string
	number      int
	description string
	// wait is how long the caller is asked to wait, 0 for not at all.
	wait time.Duration
}

func (s *Service) writeOAuthError(w http.ResponseWriter, r *arm.Request, e oauthError) error {
	now := s.options.Now().UTC().Format("2006-01-02 15:04:05Z")
	trace := uuid.NewString()
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="`+s.options.TenantID+`"`)
	}
	if e.wait > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(e.wait.Seconds()))))
	}
	return writeToken(w, e.status, map[string]any{
		"error": e.code, "error_codes": []int{e.number},
		"error_description": e.description + " Trace ID: " + trace + " Correlation ID: " + r.CorrelationID + " Timestamp: " + now,
		"timestamp":         now, "trace_id": trace, "correlation_id": r.CorrelationID,
	})
}

// writeToken answers without leave to store.
func writeToken(w http.ResponseWriter, status int, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	noStore(w.Header())
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(content) // a client that went away is no error
	return nil
}

func unreadable(why string) oauthError {
	return oauthError{status: http.StatusBadRequest, code: "invalid_request", number: 900140, description: "AADSTS900140: " + why}
}

func missing(field string) oauthError {
	return oauthError{status: http.StatusBadRequest, code: "invalid_request", number: 900144,
		description: "AADSTS900144: The request body must contain the following parameter: '" + field + "'."}
}

func unknownTenant(tenant string) oauthError {
	return oauthError{status: http.StatusBadRequest, code: "invalid_request", number: 90002,
		description: "AADSTS90002: Tenant '" + printable(tenant) + "' not found. Check that you have the correct tenant ID and are signing into the correct cloud."}
}

func unsupportedGrant(grant string) oauthError {
	return oauthError{status: http.StatusBadRequest, code: "unsupported_grant_type", number: 70003,
		description: "AADSTS70003: The app requested an unsupported grant type '" + printable(grant) + "'. Only client_credentials is supported."}
}

func unknownApplication(clientID, tenant string) oauthError {
	return oauthError{status: http.StatusBadRequest, code: "unauthorized_client", number: 700016,
		description: "AADSTS700016: Application with identifier '" + printable(clientID) + "' was not found in the directory '" + tenant + "'."}
}

func invalidSecret(clientID string) oauthError {
	return oauthError{status: http.StatusUnauthorized, code: "invalid_client", number: 7000215,
		description: "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '" + clientID + "'."}
}

func expiredSecret(clientID string) oauthError {
	return oauthError{status: http.StatusUnauthorized, code: "invalid_client", number: 7000222,
		description: "AADSTS7000222: The provided client secret keys for app '" + clientID + "' are expired."}
}

func invalidScope(scope string) oauthError {
	return oauthError{status: http.StatusBadRequest, code: "invalid_scope", number: 1002012,
		description: "AADSTS1002012: The provided value for scope " + printable(scope) + " is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."}
}

func unknownResource(resource, tenant string) oauthError {
	return oauthError{status: http.StatusBadRequest, code: "invalid_resource", number: 500011,
		description: "AADSTS500011: The resource principal named " + printable(resource) + " was not found in the tenant named " + tenant + "."}
}

func invalidAssertion(why string) oauthError {
	return oauthError{status: http.StatusUnauthorized, code: "invalid_client", number: 700027,
		description: "AADSTS700027: The client assertion was refused: " + why + "."}
}

func tooManyAttempts(clientID string, wait time.Duration) oauthError {
	return oauthError{status: http.StatusTooManyRequests, code: "temporarily_unavailable", number: 50196, wait: wait,
		description: "AADSTS50196: Too many requests with wrong credentials were made for the app '" + clientID + "'. Wait before the next."}
}
