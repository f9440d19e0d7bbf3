package supervise

import (
	"context"
	"errors"
)

// ErrInProgress says that the processes were asked to stop and have not ended: call again.
var ErrInProgress = errors.New("still in progress")

// Handle starts, watches and stops the supervisor of a directory from outside.
// It holds no state: any process may make one for the same directory.
type Handle struct {
	// Dir is the supervisor's directory; it exists and belongs to UserID.
	Dir string
	// Program is the path of the berth-supervisor binary.
	Program string
	// CgroupPath is the name of the cgroup to join (see package cgroup); it exists. Empty: none.
	CgroupPath string
	// NetworkNamespace is the path of the network namespace to run in. Empty: the caller's.
	NetworkNamespace string
	// UserID is the uid and gid to run under, without any capability. 0: the caller's.
	UserID int
}

// Ensure writes the spec if it changed and starts a supervisor if none holds
// the lock. It never waits for components.
func (h Handle) Ensure(ctx context.Context, spec Spec) (Status, error) {
	return Status{}, errors.New("not built yet")
}

// Status is what the supervisor last wrote; the bool says whether a supervisor lives.
func (h Handle) Status() (Status, bool, error) { return Status{}, false, errors.New("not built yet") }

// Stop stops all components in the reverse order and ends the supervisor. It
// returns ErrInProgress until none of them is left, and nil for a directory
// in which nothing runs. What a dead supervisor left running is stopped the same way.
func (h Handle) Stop(ctx context.Context) error { return errors.New("not built yet") }
