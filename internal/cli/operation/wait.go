// Package operation waits for the service's asynchronous operations and shows
// how they go. It reads the protocol that all of ARM speaks and knows no
// resource.
package operation

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"k8s.io/utils/clock"

	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/cli/progress"
	"berth.dev/berth/internal/cli/session"
)

const (
	// pollInterval is how often to ask when the service does not say.
	pollInterval = time.Second
	// redrawInterval is how often the time that has passed is shown anew.
	redrawInterval = 200 * time.Millisecond
	// patience is how long the service may be away, restarting say, before
	// waiting for its operation ends.
	patience = 3 * time.Minute
)

// Poller is an operation as azcore's pollers show one.
type Poller[T any] interface {
	Poll(ctx context.Context) (*http.Response, error)
	Done() bool
	Result(ctx context.Context) (T, error)
}

// Words name an operation to the person who waits.
type Words struct {
	// What is in progress, e.g. "Creating demo".
	What string
	// Look is the command that shows how it stands.
	Look string
}

// Wait waits until an operation has ended and returns its result. If the user
// stops waiting, the error says that the operation goes on.
func Wait[T any](ctx context.Context, s *session.Session, poller Poller[T], words Words) (T, error) {
	var out io.Writer = s.Err
	if s.Quiet() {
		out = io.Discard
	}
	line := progress.New(out, s.Width, s.Clock, words.What)
	result, err := waitAndFetch(ctx, s.Clock, poller, line)
	switch {
	case err == nil:
		line.Done("Succeeded")
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		line.Clear()
		return result, &failure.Interrupted{What: words.What, Look: words.Look}
	default:
		line.Done("Failed")
	}
	return result, err
}

func waitAndFetch[T any](ctx context.Context, clock clock.WithTicker, poller Poller[T], line *progress.Line) (T, error) {
	var none T
	answered := clock.Now()
	for !poller.Done() {
		interval := pollInterval
		response, err := poller.Poll(ctx)
		switch {
		case err == nil:
			answered = clock.Now()
			interval = retryAfter(response.Header)
			line.Report(readProgress(response))
		case ctx.Err() != nil:
			return none, ctx.Err()
		case passing(err) && clock.Since(answered) < patience:
			line.Report("", "the service does not answer; still trying")
		default:
			return none, err
		}
		if poller.Done() {
			break
		}
		if err := pause(ctx, clock, interval, line); err != nil {
			return none, err
		}
	}
	return poller.Result(ctx)
}

// pause waits for the next poll and keeps the line alive meanwhile.
func pause(ctx context.Context, clock clock.WithTicker, interval time.Duration, line *progress.Line) error {
	timer, ticker := clock.NewTimer(interval), clock.NewTicker(redrawInterval)
	defer timer.Stop()
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C():
			return nil
		case <-ticker.C():
			line.Tick()
		}
	}
}

// passing says that an error may be over soon: the service restarts or is busy.
func passing(err error) bool {
	var unreachable *failure.Unreachable
	var response *azcore.ResponseError
	var broken *net.OpError // a connection that ended under the request
	if errors.As(err, &response) {
		return response.StatusCode >= http.StatusInternalServerError || response.StatusCode == http.StatusTooManyRequests
	}
	return errors.As(err, &unreachable) || errors.As(err, &broken) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || isTimeout(err)
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// readProgress reads where the operation is from the body of its status.
func readProgress(response *http.Response) (phase, message string) {
	var body struct {
		Properties struct {
			Phase   string `json:"phase"`
			Message string `json:"message"`
		} `json:"properties"`
	}
	payload, err := runtime.Payload(response)
	if err != nil || json.Unmarshal(payload, &body) != nil {
		return "", "" // another service's operations say less
	}
	return body.Properties.Phase, body.Properties.Message
}

// retryAfter is how long the service asks to wait before the next poll.
func retryAfter(header http.Header) time.Duration {
	for _, name := range []string{"retry-after-ms", "x-ms-retry-after-ms"} {
		if ms, err := strconv.Atoi(header.Get(name)); err == nil && ms > 0 {
			return time.Duration(ms) * time.Millisecond
		}
	}
	if seconds, err := strconv.Atoi(header.Get("Retry-After")); err == nil && seconds > 0 {
		return time.Duration(seconds) * time.Second
	}
	return pollInterval
}
