package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Verb says what an operation was asked to do.
// +kubebuilder:validation:Enum=Create;Update;Scale;Delete;Upgrade;Rollback;UpgradeNodeImage;DeleteMachines;Stop;Start;RotateCertificates;RotateServiceAccountKeys;RotateEncryptionKey;Restore
type Verb string

// The verbs; each has its line in the conflict table of the resource provider.
const (
	VerbCreate                   Verb = "Create"
	VerbUpdate                   Verb = "Update"
	VerbScale                    Verb = "Scale"
	VerbDelete                   Verb = "Delete"
	VerbUpgrade                  Verb = "Upgrade"
	VerbRollback                 Verb = "Rollback"
	VerbUpgradeNodeImage         Verb = "UpgradeNodeImage"
	VerbDeleteMachines           Verb = "DeleteMachines"
	VerbStop                     Verb = "Stop"
	VerbStart                    Verb = "Start"
	VerbRotateCertificates       Verb = "RotateCertificates"
	VerbRotateServiceAccountKeys Verb = "RotateServiceAccountKeys"
	VerbRotateEncryptionKey      Verb = "RotateEncryptionKey"
	VerbRestore                  Verb = "Restore"
)

// VerbAbort is the verb of an abort, which lies in the operation that it ends and,
// once both ended, in the history: it never runs by itself.
const VerbAbort Verb = "Abort"

// ScopeCluster is the scope of an operation on a whole managed cluster; every
// other scope is the name of an agent pool.
const ScopeCluster = "cluster"

// RunningOperation is an operation that a request started and that no
// controller has ended yet. It lives in the spec of the resource that it works
// on, so that one write holds the desired state and the operation that asked
// for it.
type RunningOperation struct {
	// Scope is "cluster" or the name of an agent pool. At most one operation
	// runs in a scope.
	Scope string `json:"scope"`
	// ID is the GUID by which the caller polls.
	// +kubebuilder:validation:MinLength=1
	ID string `json:"id"`
	// Verb is what was asked for.
	Verb Verb `json:"verb"`
	// Generation is the metadata.generation of the write that started the
	// operation: it may only succeed once status has observed that generation.
	Generation int64 `json:"generation"`
	// StartTime is when the request was accepted, or came out of the queue.
	StartTime metav1.Time `json:"startTime"`
	// RequestTime is when a request was accepted that was queued.
	// +optional
	RequestTime *metav1.Time `json:"requestTime,omitempty"`
	// Deadline is when the operation ends Failed with the blocking condition's
	// message; reconciling goes on.
	Deadline metav1.Time `json:"deadline"`
	// Caller is the object id of the principal that asked.
	Caller string `json:"caller"`
	// CorrelationID ties the operation to the request's log lines.
	// +optional
	CorrelationID string `json:"correlationID,omitempty"`
	// IgnoreDisruptionBudgets deletes pods that a PodDisruptionBudget protects.
	// +optional
	IgnoreDisruptionBudgets bool `json:"ignoreDisruptionBudgets,omitempty"`
	// Abort is there once a caller wants the operation to give up: its phases do
	// so at their next safe point, and both operations end.
	// +optional
	Abort *AbortRequest `json:"abort,omitempty"`
}

// Asked is when the request was accepted.
func (o *RunningOperation) Asked() metav1.Time {
	if o.RequestTime != nil {
		return *o.RequestTime
	}
	return o.StartTime
}

// AbortRequest is the wish to end a running operation, an operation of its own.
type AbortRequest struct {
	// ID is the GUID by which the caller polls the abort.
	// +kubebuilder:validation:MinLength=1
	ID string `json:"id"`
	// StartTime is when the request was accepted.
	StartTime metav1.Time `json:"startTime"`
	// Caller is the object id of the principal that asked.
	Caller string `json:"caller"`
	// CorrelationID ties the abort to the request's log lines.
	// +optional
	CorrelationID string `json:"correlationID,omitempty"`
}

// AbortedOperation is an operation that gave up. Its scope stays as it was left,
// and its controllers keep what exists without bringing it nearer to the desired
// state, until the next write of the scope takes the entry away.
type AbortedOperation struct {
	// Scope is "cluster" or the name of an agent pool.
	Scope string `json:"scope"`
	// ID and Verb are those of the operation that gave up.
	ID   string `json:"id"`
	Verb Verb   `json:"verb"`
}

// PowerState says whether something is to run.
// +kubebuilder:validation:Enum=Running;Stopped
type PowerState string

// The power states; an empty one is Running.
const (
	PowerRunning PowerState = "Running"
	PowerStopped PowerState = "Stopped"
)

// OperationStatus is how an operation stands, in ARM's words.
// +kubebuilder:validation:Enum=InProgress;Succeeded;Failed;Canceled
type OperationStatus string

// The statuses of an operation; all but InProgress are terminal.
const (
	OperationInProgress OperationStatus = "InProgress"
	OperationSucceeded  OperationStatus = "Succeeded"
	OperationFailed     OperationStatus = "Failed"
	OperationCanceled   OperationStatus = "Canceled"
)

// Progress says where a running operation is and why it waits.
type Progress struct {
	// Scope is the scope of the operation.
	Scope string `json:"scope"`
	// Phase is the condition type that is not yet true, e.g. "ControlPlaneReady".
	Phase string `json:"phase"`
	// Message is that condition's message, in words for the person who waits.
	// +optional
	Message string `json:"message,omitempty"`
}

// Failure is why an operation failed, in ARM's error shape.
type Failure struct {
	// Code is ARM's error code.
	Code string `json:"code"`
	// Message says what went wrong and what to do.
	Message string `json:"message"`
}
