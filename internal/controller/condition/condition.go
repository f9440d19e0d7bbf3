// Package condition writes the conditions of Berth's objects: one outcome per
// condition, stamped with a clock that tests can hold.
package condition

import (
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// The reasons that more than one controller gives. A reason is in the words of
// an error code: it becomes the code of an operation that ends Failed on it.
const (
	// ReasonReady says that nothing is missing.
	ReasonReady = "Ready"
	// ReasonWaiting says that something else has to happen first; the message says what.
	ReasonWaiting = "Waiting"
	// ReasonError says that the last attempt failed and is repeated; the message says how.
	ReasonError = "InternalOperationError"
	// ReasonDeleting says that the object is on its way out.
	ReasonDeleting = "Deleting"
	// ReasonStopped says that nothing runs because a caller wanted that.
	ReasonStopped = "Stopped"
	// ReasonAborted says that the operation which would have gone on was aborted.
	ReasonAborted = "Aborted"
)

// CodeTimedOut is the code of an operation that was still waiting at its deadline.
const CodeTimedOut = "OperationTimedOut"

// Code is the error code of an operation that ends Failed on a reason: one that
// only says that something waits is no code.
func Code(reason string) string {
	switch reason {
	case "", ReasonReady, ReasonWaiting, ReasonDeleting, ReasonStopped, ReasonAborted:
		return CodeTimedOut
	}
	return reason
}

// Outcome is what is to be said in one condition.
type Outcome struct {
	// True is the condition's status.
	True bool
	// Reason is a constant, Message is for the person who waits.
	Reason, Message string
}

// True is the outcome of a phase that is done.
func True(message string) Outcome { return Outcome{True: true, Reason: ReasonReady, Message: message} }

// Waiting is the outcome of a phase that something else has to precede.
func Waiting(message string) Outcome { return Outcome{Reason: ReasonWaiting, Message: message} }

// Failed is the outcome of an attempt that failed and will be repeated.
func Failed(err error) Outcome { return Outcome{Reason: ReasonError, Message: err.Error()} }

// Stopped is the outcome of what does not run because a caller wanted that.
func Stopped(message string) Outcome { return Outcome{Reason: ReasonStopped, Message: message} }

// Aborted is the outcome of a phase that was not begun, or not gone on with,
// because its operation was aborted.
func Aborted() Outcome {
	return Outcome{Reason: ReasonAborted, Message: "the operation was aborted; the next update, start or stop goes on from here"}
}

// Mirror is the outcome that a condition of another object tells, or waiting
// with a message while that object has no such condition.
func Mirror(conditions []metav1.Condition, conditionType, absent string) Outcome {
	c := apimeta.FindStatusCondition(conditions, conditionType)
	if c == nil {
		return Waiting(absent)
	}
	return Outcome{True: c.Status == metav1.ConditionTrue, Reason: c.Reason, Message: c.Message}
}

// Stamp is what every condition of one write has in common.
type Stamp struct {
	// Generation is that of the object which was looked at.
	Generation int64
	// Time is when.
	Time time.Time
}

// Set writes one condition into a list.
func (s Stamp) Set(conditions *[]metav1.Condition, conditionType string, outcome Outcome) {
	status := metav1.ConditionFalse
	if outcome.True {
		status = metav1.ConditionTrue
	}
	reason := outcome.Reason
	if reason == "" {
		reason = ReasonWaiting
	}
	apimeta.SetStatusCondition(conditions, metav1.Condition{
		Type: conditionType, Status: status, Reason: reason, Message: outcome.Message,
		ObservedGeneration: s.Generation, LastTransitionTime: metav1.NewTime(s.Time),
	})
}
