package frontend

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/management/sieve"
)

// ServeHTTP takes a request through its stages and notes how it ended.
func (f *frontend) ServeHTTP(w http.ResponseWriter, raw *http.Request) {
	start := time.Now()
	raw, cancel := withTimeout(raw)
	defer cancel()
	recorder := &recorder{ResponseWriter: w}
	r := arm.NewRequest(recorder, raw, f.config.Location, f.config.Now())
	err := f.handle(recorder, r)
	if err != nil {
		cause := err
		if err = arm.WriteError(recorder, r, translate(cause)); err == nil && recorder.status() >= http.StatusInternalServerError {
			err = cause
		}
	}
	f.note(r, recorder.status(), time.Since(start), err)
}

// handle runs the stages. A panic in one is an error of this request alone.
func (f *frontend) handle(w http.ResponseWriter, r *arm.Request) (err error) {
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler { //nolint:errorlint // what was panicked with is no error that anything wraps
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	route, params, unmatched := f.match(r)
	r.Route, r.Params = route, params
	if unmatched == nil && route.Public {
		return route.Handle(w, r)
	}
	if r.Principal, err = f.config.Tokens.Authenticate(r); err != nil {
		return err
	}
	if err := f.throttled(w, r); err != nil {
		return err
	}
	if unmatched != nil {
		return unmatched
	}
	return f.authorized(w, r)
}

// authorized runs the stages of a request whose principal is known.
func (f *frontend) authorized(w http.ResponseWriter, r *arm.Request) error {
	var err error
	if r.APIVersion, err = r.Route.Versions.Check(r.URL.Query()); err != nil {
		return err
	}
	if id := r.Param("subscriptionID"); id != "" {
		write := r.Method != http.MethodGet && r.Method != http.MethodHead
		if err := f.resources.CheckSubscription(r.Context(), id, write); err != nil {
			return err
		}
	}
	if r.Route.Action != "" {
		access, err := f.config.Tokens.Access(r.Context(), r.Principal)
		if err != nil {
			return err
		}
		if err := access.Check(r.Route.Action, r.Scope()); err != nil {
			return err
		}
	}
	if err := f.registered(r); err != nil {
		return err
	}
	if err := f.throttledByProvider(r); err != nil {
		return err
	}
	if r.Method == http.MethodPut || r.Method == http.MethodPatch {
		if err := r.ReadBody(w); err != nil {
			return err
		}
	}
	return r.Route.Handle(w, r)
}

// registered refuses to change what the subscription's resource providers have
// if the provider is not registered. What is left can always be read and deleted.
func (f *frontend) registered(r *arm.Request) error {
	_, path, inProvider := strings.Cut(r.Route.Pattern, "/providers/")
	namespace, _, _ := strings.Cut(path, "/")
	switch {
	case !inProvider, r.Param("subscriptionID") == "", strings.HasPrefix(namespace, "{"):
		return nil
	case r.Method == http.MethodGet, r.Method == http.MethodHead, r.Method == http.MethodDelete:
		return nil
	}
	return f.resources.CheckRegistered(r.Context(), r.Param("subscriptionID"), namespace)
}

// translate turns errors of the management API that a caller can act on into
// ARM's shape: one that is away or slow is worth another try, and a value that
// the API's own schema refuses is the caller's.
func translate(err error) error {
	var network net.Error
	var damaged *sieve.DamagedError
	switch {
	case errors.As(err, &damaged):
		return arm.NewError(http.StatusInternalServerError, "InternalServerError",
			"The service cannot read its own record of this resource. Nothing was changed, and what runs goes on. The operator finds in the service's log what to repair.")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled), errors.As(err, &network),
		apierrors.IsServiceUnavailable(err), apierrors.IsTooManyRequests(err), apierrors.IsServerTimeout(err), apierrors.IsTimeout(err):
		return arm.NewError(http.StatusServiceUnavailable, "ServiceUnavailable",
			"The service's own store did not answer in time. Repeat the request.").With("Retry-After", "2")
	case apierrors.IsInvalid(err):
		return arm.NewError(http.StatusBadRequest, arm.CodeInvalidParameter, "The request was refused: %s", err)
	}
	return err
}

// note writes the access log line and the metrics: the route and never the
// body, the query or a header, which may hold secrets.
func (f *frontend) note(r *arm.Request, status int, took time.Duration, unexpected error) {
	pattern := "unmatched"
	if r.Route != nil {
		pattern = r.Route.Pattern
	}
	f.metrics.observe(r.Method, pattern, status, took)
	attributes := []slog.Attr{
		slog.String("method", r.Method), slog.String("route", pattern), slog.String("path", r.URL.Path), slog.Int("status", status),
		slog.Duration("took", took), slog.String("principal", r.Principal.ObjectID),
		slog.String("requestID", r.RequestID), slog.String("correlationID", r.CorrelationID),
	}
	level := slog.LevelInfo
	if unexpected != nil {
		level = slog.LevelError
		attributes = append(attributes, slog.String("error", unexpected.Error()))
	}
	f.config.Log.LogAttrs(context.WithoutCancel(r.Context()), level, "request", attributes...)
}

// recorder remembers the status that was answered.
type recorder struct {
	http.ResponseWriter
	code int
}

// WriteHeader implements http.ResponseWriter.
func (r *recorder) WriteHeader(code int) {
	if r.code == 0 {
		r.code = code
	}
	r.ResponseWriter.WriteHeader(code)
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) status() int {
	if r.code == 0 {
		return http.StatusOK
	}
	return r.code
}
