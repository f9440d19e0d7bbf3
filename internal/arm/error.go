package arm

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// Error is an answer other than success, in ARM's shape.
type Error struct {
	// Status is the HTTP status.
	Status int
	// Code is ARM's error code, Message says what went wrong and what to do,
	// Target is the path of the property or the name of the parameter at fault.
	Code, Message, Target string
	// Details are the single errors where one answer reports several.
	Details []Detail
	// Header is added to the answer's headers.
	Header http.Header
}

// Detail is one of several errors.
type Detail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Target  string `json:"target,omitempty"`
}

// NewError makes an error; the message is a format.
func NewError(status int, code, format string, arguments ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, arguments...)}
}

// At sets the target.
func (e *Error) At(target string) *Error {
	e.Target = target
	return e
}

// With adds a header to the answer.
func (e *Error) With(name, value string) *Error {
	if e.Header == nil {
		e.Header = http.Header{}
	}
	e.Header.Set(name, value)
	return e
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// MarshalJSON writes the body {"error": {...}}.
func (e *Error) MarshalJSON() ([]byte, error) {
	type body struct {
		Code    string   `json:"code"`
		Message string   `json:"message"`
		Target  string   `json:"target,omitempty"`
		Details []Detail `json:"details,omitempty"`
	}
	return json.Marshal(map[string]body{"error": {e.Code, e.Message, e.Target, e.Details}})
}

// The error codes that more than one part of the service uses.
const (
	CodeInvalidRequestContent = "InvalidRequestContent"
	CodeInvalidParameter      = "InvalidParameter"
	CodeNotSupported          = "PropertyNotSupported"
	CodeChangeNotAllowed      = "PropertyChangeNotAllowed"
	CodeOperationNotAllowed   = "OperationNotAllowed"
	CodeNotImplemented        = "NotSupported"
	CodeMultiple              = "MultipleErrorsOccurred"
)

// ResourceNotFound is the answer for a resource that does not exist.
func ResourceNotFound(id ResourceID) *Error {
	return NewError(http.StatusNotFound, "ResourceNotFound",
		"The Resource '%s/%s' under resource group '%s' was not found. For more details please go to https://aka.ms/ARMResourceNotFoundFix",
		id.Type(), strings.Join(id.Names, "/"), id.ResourceGroup).With("x-ms-failure-cause", "gateway")
}

// NotImplemented is the answer for what ARM has and this service does not have yet.
func NotImplemented(what string) *Error {
	return NewError(http.StatusNotImplemented, CodeNotImplemented, "%s is not built yet.", what)
}

// FieldErrors gathers what is wrong with a body, so that the caller learns all of it at once.
type FieldErrors struct {
	details []Detail
	// malformed says that a value was not of its type, so that rules about
	// values cannot be checked.
	malformed bool
}

// Add notes one error; the message is a format. path is in the caller's spelling.
func (f *FieldErrors) Add(code, path, format string, arguments ...any) {
	f.details = append(f.details, Detail{Code: code, Message: fmt.Sprintf(format, arguments...), Target: path})
}

// Invalid notes a value that breaks a rule.
func (f *FieldErrors) Invalid(path, format string, arguments ...any) {
	f.Add(CodeInvalidParameter, path, format, arguments...)
}

// Malformed says whether a value was not of its type.
func (f *FieldErrors) Malformed() bool { return f.malformed }

// Details are the errors so far.
func (f *FieldErrors) Details() []Detail { return f.details }

// Err is nil without errors, the one error if there is one, and one error that
// holds all of them otherwise; status 400.
func (f *FieldErrors) Err() error {
	switch len(f.details) {
	case 0:
		return nil
	case 1:
		d := f.details[0]
		return &Error{Status: http.StatusBadRequest, Code: d.Code, Message: d.Message, Target: d.Target, Details: f.details}
	}
	code := f.details[0].Code
	messages := make([]string, len(f.details))
	for i, d := range f.details {
		if messages[i] = d.Message; d.Code != code {
			code = CodeMultiple
		}
	}
	return &Error{
		Status: http.StatusBadRequest, Code: code, Target: f.details[0].Target, Details: f.details,
		Message: fmt.Sprintf("The request has %d errors: %s", len(messages), strings.Join(messages, " ")),
	}
}
