package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ClusterCommand is a command that a caller runs in a pod of a managed
// cluster. Its name is the id by which the caller asks for the result: 32
// hexadecimal digits. The front end writes it, the controller of commands
// observes it and removes it when it expires or its cluster is gone.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="ExitCode",type=integer,JSONPath=`.status.exitCode`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ClusterCommand struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ClusterCommandSpec   `json:"spec"`
	Status ClusterCommandStatus `json:"status,omitempty"`
}

// ClusterCommandSpec says what to run and until when.
type ClusterCommandSpec struct {
	// ClusterName is the name of the ManagedCluster object.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a command is immutable"
	ClusterName string `json:"clusterName"`
	// Incarnation is that of the cluster: one made anew under the same name is
	// not asked to run it.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a command is immutable"
	Incarnation string `json:"incarnation"`
	// Payload is what to run. It may hold secrets: it goes when it is no longer needed.
	// +optional
	Payload *CommandPayload `json:"payload,omitempty"`
	// Caller is the object id of the principal that asked.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a command is immutable"
	Caller string `json:"caller"`
	// StartTime is when the request was accepted, Deadline when the command is ended.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a command is immutable"
	StartTime metav1.Time `json:"startTime"`
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a command is immutable"
	Deadline metav1.Time `json:"deadline"`
}

// CommandPayload is the command itself.
type CommandPayload struct {
	// Command is a line for a shell.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	Command string `json:"command"`
	// Files is a gzipped tar of what the caller attached, unpacked where the command starts.
	// +optional
	Files []byte `json:"files,omitempty"`
}

// CommandPhase is how far a command is.
type CommandPhase string

// The phases. An empty one is Pending: nothing was made in the cluster yet.
const (
	// CommandPending waits for the cluster.
	CommandPending CommandPhase = "Pending"
	// CommandStarted has, or is about to have, its pod.
	CommandStarted CommandPhase = "Started"
	// CommandEnded has its result; what is left in the cluster is being removed.
	CommandEnded CommandPhase = "Ended"
	// CommandRemoved has nothing left in the cluster.
	CommandRemoved CommandPhase = "Removed"
)

// Finished says that the command has its result.
func (c *ClusterCommand) Finished() bool {
	return c.Status.Phase == CommandEnded || c.Status.Phase == CommandRemoved
}

// ClusterCommandStatus is what was observed of a command.
type ClusterCommandStatus struct {
	// Phase is how far it is.
	// +optional
	Phase CommandPhase `json:"phase,omitempty"`
	// PodUID is the metadata.uid of the pod once it was seen: a pod that is gone
	// after that is never made again, so that a command runs at most once.
	// +optional
	PodUID string `json:"podUID,omitempty"`
	// StartedAt and FinishedAt are when the command itself ran.
	// +optional
	StartedAt *metav1.Time `json:"startedAt,omitempty"`
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
	// ExitCode is the command's own; absent if it never ended by itself.
	// +optional
	ExitCode *int32 `json:"exitCode,omitempty"`
	// Output is what it printed, compressed by gzip.
	// +optional
	Output []byte `json:"output,omitempty"`
	// Reason says why there is no exit code; empty for a command that ended by itself.
	// +optional
	Reason string `json:"reason,omitempty"`
	// Message says what a command that has not ended waits for.
	// +optional
	Message string `json:"message,omitempty"`
	// EndTime is when the result was stored; the result expires some time after.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`
}

// ClusterCommandList is a list of commands.
//
// +kubebuilder:object:root=true
type ClusterCommandList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ClusterCommand `json:"items"`
}

// CommandClusterLabel is on every ClusterCommand: the name of its ManagedCluster object.
const CommandClusterLabel = "containerservice.berth.dev/cluster"
