package failure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"

	"berth.dev/berth/internal/cloud"
)

// response is the error of an answer, as the SDK makes it.
func response(status int, body string) error {
	return runtime.NewResponseError(&http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)),
		Request: &http.Request{Method: http.MethodPut, URL: &url.URL{Scheme: "https", Host: "localhost", Path: "/subscriptions/s"}},
	})
}

func rendered(err error) string {
	var text strings.Builder
	Render(&text, err)
	return text.String()
}

func TestARMErrorsAreShownAsAzShowsThem(t *testing.T) {
	err := response(http.StatusBadRequest, `{"error":{"code":"MultipleErrorsOccurred","message":"The request has 2 errors.","target":"properties","details":[
		{"code":"InvalidParameter","message":"The pod range overlaps.","target":"properties.networkProfile.podCidr"},
		{"code":"InvalidParameter","message":"The count is out of range."}]}}`)
	want := `ERROR: (MultipleErrorsOccurred) The request has 2 errors.
Code: MultipleErrorsOccurred
Message: The request has 2 errors.
Target: properties
Exception Details:
	(InvalidParameter) The pod range overlaps.
	Code: InvalidParameter
	Message: The pod range overlaps.
	Target: properties.networkProfile.podCidr
	(InvalidParameter) The count is out of range.
	Code: InvalidParameter
	Message: The count is out of range.
`
	if got := rendered(fmt.Errorf("creating: %w", err)); got != want {
		t.Errorf("Render() wrote\n%s\nwant\n%s", got, want)
	}
}

func TestAnswersWithoutAnARMErrorNameTheRequest(t *testing.T) {
	for _, body := range []string{"", "<html>bad gateway</html>", `{"error":"text"}`, `{}`} {
		if got := rendered(response(http.StatusBadGateway, body)); got != "ERROR: PUT /subscriptions/s answered 502 Bad Gateway\n" {
			t.Errorf("Render() of body %q wrote %q", body, got)
		}
	}
}

func TestErrorsCarryTheirExitCodeAndAdvice(t *testing.T) {
	arm := func(status int, code string) error {
		return response(status, `{"error":{"code":"`+code+`","message":"m"}}`)
	}
	refused := func(status int, message string) error {
		return response(status, `{"error":{"code":"OperationNotAllowed","message":"Operation is not allowed: `+message+`"}}`)
	}
	tests := []struct {
		name string
		err  error
		code int
		hint string
	}{
		{"no error", nil, 0, ""},
		{"any error", errors.New("x"), 1, ""},
		{"wrong usage", Usage("no such flag"), 2, ""},
		{"no login", fmt.Errorf("connecting: %w", cloud.ErrNotLoggedIn), 1, "berth login"},
		{"nothing listens", &Unreachable{Endpoint: "https://localhost", Err: syscall.ECONNREFUSED}, 1, "berth up"},
		{"a missing group", arm(404, "ResourceGroupNotFound"), 3, "berth group create"},
		{"a missing resource", arm(404, "ResourceNotFound"), 3, "berth aks list"},
		{"a running operation", refused(409, "Another operation (Scale on the agent pool 'a', id b) has been in progress since 8:00."), 1, "berth aks show"},
		{"a running deletion", refused(409, "the managed cluster 'a' has been in deletion since 8:00."), 1, "wait until"},
		{"a cluster that is being made", refused(409, "The control plane of the managed cluster 'a' is not there yet."), 1, "wait until"},
		{"the last System pool", refused(400, "must define at least one system pool."), 1, ""},
		{"a lost race", arm(409, "Conflict"), 1, "try again"},
		{"a forbidden call", arm(403, "AuthorizationFailed"), 1, "owner"},
		{"an interrupt", &Interrupted{What: "Creating demo", Look: "berth aks show"}, 130, ""},
		{"a cancelled request", fmt.Errorf("getting: %w", context.Canceled), 130, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := ExitCode(test.err); got != test.code {
				t.Errorf("ExitCode() = %d, want %d", got, test.code)
			}
			if got := Hint(test.err); !strings.Contains(got, test.hint) || (got == "") != (test.hint == "") {
				t.Errorf("Hint() = %q, want %q in it", got, test.hint)
			}
		})
	}
}
