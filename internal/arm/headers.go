package arm

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
)

// NewRequest begins a request: it gives it its ids and writes the headers that
// every answer of ARM has.
func NewRequest(w http.ResponseWriter, r *http.Request, location string, now time.Time) *Request {
	request := &Request{Request: r, RequestID: uuid.NewString()}
	request.CorrelationID = sanitizeID(r.Header.Get("x-ms-correlation-request-id"))
	if request.CorrelationID == "" {
		request.CorrelationID = request.RequestID
	}
	h := w.Header()
	h.Set("x-ms-request-id", request.RequestID)
	h.Set("x-ms-correlation-request-id", request.CorrelationID)
	h.Set("x-ms-routing-request-id", fmt.Sprintf("%s:%s:%s",
		strings.ToUpper(location), now.UTC().Format("20060102T150405Z"), request.RequestID))
	if id := sanitizeID(r.Header.Get("x-ms-client-request-id")); id != "" && strings.EqualFold(r.Header.Get("x-ms-return-client-request-id"), "true") {
		h.Set("x-ms-client-request-id", id)
	}
	h.Set("Cache-Control", "no-cache")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	h.Set("X-Content-Type-Options", "nosniff")
	return request
}
