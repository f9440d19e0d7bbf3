package operation

import (
	"net/http"
	"strings"
	"time"

	meta "berth.dev/berth/api/meta/v1alpha1"
	"berth.dev/berth/internal/arm"
)

// WriteStatus answers a poll of the operation's status: always 200 while the
// operation is known.
func WriteStatus(w http.ResponseWriter, r *arm.Request, o Operation) error {
	body := arm.OperationStatus{ID: r.URL.Path, Name: o.ID, Status: string(o.Status), StartTime: stamp(o.StartTime)}
	if !o.Terminal() {
		w.Header().Set("Retry-After", arm.RetryAfter)
		if o.Phase != "" {
			body.Properties = map[string]any{"phase": o.Phase, "message": o.Message}
		}
		return arm.WriteJSON(w, http.StatusOK, body)
	}
	body.EndTime = stamp(o.EndTime)
	if o.Status != meta.OperationSucceeded {
		failure := o.failure()
		body.Error = &arm.Detail{Code: failure.Code, Message: withAdvice(failure, o), Target: o.ResourceID}
	}
	return arm.WriteJSON(w, http.StatusOK, body)
}

// WriteResult answers a poll of the operation's result: 202 while it runs, then
// done, or the error that ended it.
func WriteResult(w http.ResponseWriter, r *arm.Request, o Operation, done int) error {
	switch {
	case !o.Terminal():
		w.Header().Set("Location", r.BaseURL()+r.URL.RequestURI())
		w.Header().Set("Retry-After", arm.RetryAfter)
		w.WriteHeader(http.StatusAccepted)
		return nil
	case o.Status == meta.OperationSucceeded:
		w.WriteHeader(done)
		return nil
	default:
		failure := o.failure()
		return &arm.Error{Status: http.StatusConflict, Code: failure.Code, Message: withAdvice(failure, o), Target: o.ResourceID}
	}
}

// failure is why the operation did not succeed; the protocol requires an answer.
func (o Operation) failure() meta.Failure {
	switch {
	case o.Failure != nil:
		return *o.Failure
	case o.Status == meta.OperationCanceled:
		return meta.Failure{Code: "OperationPreempted", Message: "The operation was canceled by a later one."}
	default:
		return meta.Failure{Code: "InternalOperationError", Message: "The operation failed without a reason on record."}
	}
}

// withAdvice is why an operation failed, and what its caller can do.
func withAdvice(failure meta.Failure, o Operation) string {
	advice := "Read the resource: if its provisioningState is Failed, repeat the request, which goes on from where this one stopped."
	switch {
	case o.Status == meta.OperationCanceled:
		advice = "Repeat the request if it is still wanted."
	case o.Verb == meta.VerbDelete:
		advice = "Repeat the deletion, which goes on from where this one stopped."
	case strings.Contains(failure.Code, "AllocationFailed") || strings.Contains(failure.Code, "NoCapacity"):
		advice = "Ask for fewer or smaller nodes, or free some, and repeat the request."
	}
	message := strings.TrimRight(failure.Message, " .")
	if message == "" {
		message = "The operation failed without a reason on record"
	}
	return message + ". " + advice
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}
