package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// QueuedOperation is a request that its caller wanted to wait for what stands in
// its way. It is judged anew, as a request that comes then, when nothing does.
type QueuedOperation struct {
	// ID is the GUID by which the caller polls, before the operation starts and after.
	// +kubebuilder:validation:MinLength=1
	ID string `json:"id"`
	// Scope is the name of an agent pool. What is queued in a scope starts in the
	// order in which it came.
	Scope string `json:"scope"`
	// Verb is what was asked for, as far as the request tells.
	Verb Verb `json:"verb"`
	// Method, Action, APIVersion, IgnoreDisruptionBudgets and Body are the request:
	// Action is what follows the pool in its path.
	// +kubebuilder:validation:Enum=PUT;POST;DELETE
	Method string `json:"method"`
	// +optional
	Action     string `json:"action,omitempty"`
	APIVersion string `json:"apiVersion"`
	// +optional
	IgnoreDisruptionBudgets bool `json:"ignoreDisruptionBudgets,omitempty"`
	// +kubebuilder:validation:MaxLength=32768
	// +optional
	Body string `json:"body,omitempty"`
	// RequestTime is when the request was accepted.
	RequestTime metav1.Time `json:"requestTime"`
	// Caller is the object id of the principal that asked.
	Caller string `json:"caller"`
	// CorrelationID ties the operation to the request's log lines.
	// +optional
	CorrelationID string `json:"correlationID,omitempty"`
	// Abort is there once a caller wants the operation not to start.
	// +optional
	Abort *AbortRequest `json:"abort,omitempty"`
}
