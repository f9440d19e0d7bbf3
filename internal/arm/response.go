package arm

import (
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
)

// WriteJSON answers with a body.
func WriteJSON(w http.ResponseWriter, status int, body any) error {
	content, err := json.Marshal(body)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(content)))
	w.WriteHeader(status)
	// A client that went away is no error of the request.
	_, _ = w.Write(content)
	return nil
}

// WriteError answers with an error. One that is not in ARM's shape is answered
// as InternalServerError without its text, which may hold names of objects
// that are not the caller's; it returns that error, to be logged.
func WriteError(w http.ResponseWriter, r *Request, err error) (unexpected error) {
	var answer *Error
	if !errors.As(err, &answer) {
		unexpected = err
		answer = NewError(http.StatusInternalServerError, "InternalServerError",
			"The request could not be carried out. Repeat it; if it fails again, tell the operator the correlation id '%s'.", r.CorrelationID)
	}
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.Header().Set("x-ms-error-code", answer.Code)
	if r.Method == http.MethodHead {
		w.WriteHeader(answer.Status)
		return unexpected
	}
	if err := WriteJSON(w, answer.Status, answer); err != nil {
		return err
	}
	return unexpected
}

// RetryAfter is how many seconds a client is asked to wait between two polls.
// ARM's own minimum is 10, but without the header clients wait 10 to 30, and
// clusters here are made in seconds.
const RetryAfter = "1"

// Async are the poll URLs of an asynchronous operation, as paths with query.
type Async struct {
	// Operation is the path of the operation's status (Azure-AsyncOperation).
	Operation string
	// Result is the path that answers 202 until the result is there (Location).
	Result string
}

// Set writes the headers that tell a client where to poll.
func (a Async) Set(w http.ResponseWriter, r *Request) {
	if a.Operation != "" {
		w.Header().Set("Azure-AsyncOperation", r.BaseURL()+a.Operation)
	}
	if a.Result != "" {
		w.Header().Set("Location", r.BaseURL()+a.Result)
	}
	w.Header().Set("Retry-After", RetryAfter)
}

// OperationStatus is the body of an operation's status.
type OperationStatus struct {
	ID         string         `json:"id"`
	Name       string         `json:"name"`
	Status     string         `json:"status"`
	StartTime  string         `json:"startTime,omitempty"`
	EndTime    string         `json:"endTime,omitempty"`
	Properties map[string]any `json:"properties,omitempty"`
	Error      *Detail        `json:"error,omitempty"`
}
