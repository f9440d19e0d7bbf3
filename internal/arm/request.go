package arm

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// MaxBody is the largest body that a request may have, ARM's own limit.
const MaxBody = 4 << 20

// Principal is who makes a request, as the access token says.
type Principal struct {
	// ObjectID is what role assignments name; AppID is the client id; TenantID
	// is the tenant that both belong to.
	ObjectID, AppID, TenantID string
}

// Request is one request on its way through the front end: what the protocol
// knows of it before a handler sees it.
type Request struct {
	*http.Request
	// Route is the route that matched, Params the path's parameters by name, in
	// the caller's casing.
	Route  *Route
	Params map[string]string
	// APIVersion is the api-version asked for, in lower case.
	APIVersion string
	// RequestID and CorrelationID are those of the answer's headers.
	RequestID, CorrelationID string
	// Principal is who asks; empty on public routes.
	Principal Principal
	// Body is the whole body.
	Body []byte
}

// Param is a parameter of the path, "" if the route has none of that name.
func (r *Request) Param(name string) string { return r.Params[name] }

// BaseURL is the scheme and host that the caller used. Every absolute URL in
// an answer begins with it, so that an install behind several names and
// addresses always answers with the one that the caller can reach.
func (r *Request) BaseURL() string { return "https://" + r.Host }

// Scope is the id that the request needs a permission on: the path up to its
// last parameter, for "…/managedClusters/{name}/listClusterAdminCredential" the cluster.
func (r *Request) Scope() string {
	segments := splitPath(r.Route.Pattern)
	last := -1
	for i, s := range segments {
		if parameter(s) != "" {
			last = i
		}
	}
	var b strings.Builder
	for _, s := range segments[:last+1] {
		if name := parameter(s); name != "" {
			s = r.Params[name]
		}
		b.WriteString("/" + s)
	}
	if b.Len() == 0 {
		return "/"
	}
	return b.String()
}

// ReadBody reads the body into r.Body, within MaxBody and the connection's
// read deadline.
func (r *Request) ReadBody(w http.ResponseWriter) error {
	if r.ContentLength > MaxBody {
		w.Header().Set("Connection", "close")
		return tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Request.Body, MaxBody))
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return tooLarge()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return NewError(http.StatusRequestTimeout, "RequestTimeout", "The request body did not arrive in time.").With("Connection", "close")
	case err != nil:
		return NewError(http.StatusBadRequest, CodeInvalidRequestContent, "The request body could not be read to its end.")
	}
	r.Body = body
	return nil
}

func tooLarge() *Error {
	return NewError(http.StatusRequestEntityTooLarge, "RequestContentTooLarge",
		"The request content is larger than the limit of %d bytes (4 MB).", MaxBody)
}

// CheckETag applies the request's If-Match and If-None-Match to a resource
// that exists with an entity tag, or does not exist.
func (r *Request) CheckETag(exists bool, etag string) error {
	match, none := r.Header.Get("If-Match"), r.Header.Get("If-None-Match")
	failed := func(format string, arguments ...any) error {
		return NewError(http.StatusPreconditionFailed, "PreConditionFailed", format, arguments...)
	}
	switch {
	case match != "" && none != "":
		return NewError(http.StatusBadRequest, "BadRequest", "If-Match and If-None-Match may not both be set.").At("If-Match")
	case none != "" && none != "*":
		return NewError(http.StatusBadRequest, "BadRequest", "If-None-Match may only be empty or '*'.").At("If-None-Match")
	case none == "*" && exists:
		return failed("The resource exists already, and the request has If-None-Match: *.")
	case match != "" && !exists:
		return failed("The resource does not exist, and the request has If-Match: %s.", match)
	case match != "" && match != "*" && strings.Trim(strings.TrimPrefix(match, "W/"), `"`) != etag:
		return failed("The resource has changed: its eTag is '%s', the request has If-Match: %s. Read it again and repeat the change.", etag, match)
	}
	return nil
}

// sanitizeID keeps an id that a caller sent if it can stand in a header and a log line.
func sanitizeID(id string) string {
	if len(id) > 64 {
		return ""
	}
	for _, c := range id {
		if c != '-' && c != '_' && !(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') {
			return ""
		}
	}
	return id
}

// String names the request in logs: method and route pattern, no values.
func (r *Request) String() string { return fmt.Sprintf("%s %s", r.Method, r.Route.Pattern) }
