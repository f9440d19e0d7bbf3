// Package failure turns an error into what a user reads and into the exit code
// that a script sees. It prints ARM's errors as az does and adds what to do
// where that is known. It never prints a secret: bodies of token requests stay
// out of it.
package failure

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
)

// The exit codes of az, and the shell's for an interrupt.
const (
	CodeError       = 1
	CodeUsage       = 2
	CodeNotFound    = 3
	CodeInterrupted = 130
)

// ErrUsage says that the command line is wrong.
var ErrUsage = errors.New("wrong usage")

// Usage is an error of the command line.
func Usage(format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...)}
}

// ErrNotFound says that what the command line names is not there.
var ErrNotFound = errors.New("not found")

// NotFound is an error about what is not there.
func NotFound(format string, args ...any) error {
	return &notFoundError{message: fmt.Sprintf(format, args...)}
}

type notFoundError struct{ message string }

func (e *notFoundError) Error() string        { return e.message }
func (e *notFoundError) Is(target error) bool { return target == ErrNotFound }

type usageError struct{ message string }

func (e *usageError) Error() string        { return e.message }
func (e *usageError) Is(target error) bool { return target == ErrUsage }

// Interrupted says that the user stopped waiting for an operation that goes on.
type Interrupted struct {
	// What is in progress, e.g. "Creating demo".
	What string
	// Look is the command that shows how it stands.
	Look string
}

// Error says that the operation goes on.
func (e *Interrupted) Error() string {
	return e.What + " goes on in the service; look at it with: " + e.Look
}

// Unwrap makes the error one of a cancelled context.
func (e *Interrupted) Unwrap() error { return context.Canceled }

// Unreachable says that the service did not answer at all.
type Unreachable struct {
	// Endpoint is where it should answer.
	Endpoint string
	// Err is why it did not.
	Err error
}

// Error says which endpoint does not answer and why.
func (e *Unreachable) Error() string {
	return fmt.Sprintf("no answer from %s: %v", e.Endpoint, e.Err)
}

// Unwrap is the reason.
func (e *Unreachable) Unwrap() error { return e.Err }

// ExitCode is the process's exit code for an error.
func ExitCode(err error) int {
	var response *azcore.ResponseError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, ErrUsage):
		return CodeUsage
	case errors.Is(err, context.Canceled):
		return CodeInterrupted
	case errors.Is(err, ErrNotFound):
		return CodeNotFound
	case errors.As(err, &response) && response.StatusCode == http.StatusNotFound:
		return CodeNotFound
	default:
		return CodeError
	}
}
