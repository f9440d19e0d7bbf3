package operation

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"

	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/session"
)

// script is an operation whose polls go as written.
type script struct {
	polls []func() (*http.Response, error)
	done  int
}

func (s *script) Done() bool { return s.done == len(s.polls) }

func (s *script) Poll(context.Context) (*http.Response, error) {
	response, err := s.polls[s.done]()
	s.done++
	return response, err
}

func (s *script) Result(context.Context) (string, error) { return "the result", nil }

func status(body string) func() (*http.Response, error) {
	return func() (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Retry-After-Ms": {"1"}}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func fails(err error) func() (*http.Response, error) {
	return func() (*http.Response, error) { return nil, err }
}

func TestAServiceThatRestartsIsWaitedFor(t *testing.T) {
	var errs strings.Builder
	s := session.New(session.Streams{Err: &errs})
	down := &failure.Unreachable{Endpoint: "https://localhost", Err: syscall.ECONNREFUSED}
	operation := &script{polls: []func() (*http.Response, error){
		status(`{"status":"InProgress","properties":{"phase":"NodesReady","message":"1 of 3"}}`),
		fails(down), fails(&net.OpError{Op: "read", Err: syscall.ECONNRESET}), fails(io.ErrUnexpectedEOF), status(`{"status":"Succeeded"}`),
	}}
	result, err := Wait[string](t.Context(), s, operation, Words{What: "Creating demo"})
	if err != nil || result != "the result" {
		t.Fatalf("Wait() = %q, %v", result, err)
	}
	if !strings.Contains(errs.String(), "NodesReady: 1 of 3") || !strings.Contains(errs.String(), "Succeeded in") {
		t.Errorf("progress was %q", errs.String())
	}
}

func TestErrorsThatStayEndTheWaiting(t *testing.T) {
	var errs strings.Builder
	s := session.New(session.Streams{Err: &errs})
	gone := &azcore.ResponseError{StatusCode: http.StatusNotFound}
	operation := &script{polls: []func() (*http.Response, error){fails(gone), status("{}")}}
	if _, err := Wait[string](t.Context(), s, operation, Words{What: "Creating demo"}); !errors.Is(err, gone) {
		t.Errorf("Wait() = %v, want %v", err, gone)
	}
	if !strings.HasPrefix(errs.String(), "Creating demo: Failed in ") {
		t.Errorf("progress was %q", errs.String())
	}
}

func TestTheServiceSaysHowOftenToAsk(t *testing.T) {
	tests := []struct {
		name, header, value string
		want                time.Duration
	}{
		{"milliseconds", "Retry-After-Ms", "250", 250 * time.Millisecond},
		{"azure's milliseconds", "X-Ms-Retry-After-Ms", "300", 300 * time.Millisecond},
		{"seconds", "Retry-After", "2", 2 * time.Second},
		{"nothing", "Other", "2", time.Second},
		{"nonsense", "Retry-After", "soon", time.Second},
		{"less than nothing", "Retry-After", "-1", time.Second},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if got := retryAfter(http.Header{test.header: {test.value}}); got != test.want {
				t.Errorf("retryAfter() = %v, want %v", got, test.want)
			}
		})
	}
}
