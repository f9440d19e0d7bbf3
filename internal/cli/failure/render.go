package failure

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// armError is the error of ARM's error body.
type armError struct {
	Code    string     `json:"code"`
	Message string     `json:"message"`
	Target  string     `json:"target"`
	Details []armError `json:"details"`
}

// Render writes an error for a person to read: what went wrong and, where it
// is known, what to do.
func Render(w io.Writer, err error) {
	text := text(err)
	var b strings.Builder
	b.WriteString("ERROR: " + text + "\n")
	if hint := Hint(err); hint != "" {
		b.WriteString("What to do: " + hint + "\n")
	}
	_, _ = io.WriteString(w, b.String()) // where errors cannot be written, none can be reported
}

func text(err error) string {
	var interrupted *Interrupted
	var unreachable *Unreachable
	var response *azcore.ResponseError
	var authentication *azidentity.AuthenticationFailedError
	switch {
	case errors.As(err, &interrupted):
		return "interrupted: " + interrupted.Error()
	case errors.As(err, &unreachable):
		return unreachable.Error()
	case errors.As(err, &response):
		if parsed, ok := fromResponse(response); ok {
			return parsed.text()
		}
		return plain(response)
	case errors.As(err, &authentication):
		return authenticationText(authentication)
	default:
		return err.Error()
	}
}

// text is an ARM error as az prints it.
func (e armError) text() string {
	return fmt.Sprintf("(%s) %s\n%s", e.Code, e.Message, e.fields())
}

func (e armError) fields() string {
	lines := []string{"Code: " + e.Code, "Message: " + e.Message}
	if e.Target != "" {
		lines = append(lines, "Target: "+e.Target)
	}
	if len(e.Details) > 0 {
		lines = append(lines, "Exception Details:")
		for _, detail := range e.Details {
			for line := range strings.SplitSeq(detail.text(), "\n") {
				lines = append(lines, "\t"+line)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// fromResponse reads the error in a response's body; false if there is none.
func fromResponse(response *azcore.ResponseError) (armError, bool) {
	var body struct {
		Error *armError `json:"error"`
	}
	if response.RawResponse == nil {
		return armError{}, false
	}
	payload, err := runtime.Payload(response.RawResponse)
	if err != nil || json.Unmarshal(payload, &body) != nil || body.Error == nil || body.Error.Code == "" {
		return armError{}, false
	}
	return *body.Error, true
}

// plain is the text of a response that carries no ARM error.
func plain(response *azcore.ResponseError) string {
	status := fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode))
	if response.RawResponse != nil && response.RawResponse.Request != nil {
		request := response.RawResponse.Request
		return fmt.Sprintf("%s %s answered %s", request.Method, request.URL.Path, status)
	}
	return "the service answered " + status
}

// authenticationText says why no token was given, in the token service's words.
func authenticationText(err *azidentity.AuthenticationFailedError) string {
	if err.RawResponse == nil {
		return "getting a token: " + err.Error()
	}
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	payload, readErr := runtime.Payload(err.RawResponse)
	if readErr != nil || json.Unmarshal(payload, &body) != nil || body.Error == "" {
		return fmt.Sprintf("getting a token: the token service answered %d %s",
			err.RawResponse.StatusCode, http.StatusText(err.RawResponse.StatusCode))
	}
	return fmt.Sprintf("getting a token: (%s) %s", body.Error, body.Description)
}
