package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	meta "berth.dev/berth/api/meta/v1alpha1"
)

// Operation is an asynchronous operation that outlives its resource: a delete.
// It is written before the resource is marked, and its name is the GUID by
// which the caller polls. Operations that end before their resource does lie
// in that resource's spec instead.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=op
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Verb",type=string,JSONPath=`.spec.verb`
// +kubebuilder:printcolumn:name="Resource",type=string,JSONPath=`.spec.resourceID`
// +kubebuilder:printcolumn:name="Status",type=string,JSONPath=`.status.status`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Operation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   OperationSpec  `json:"spec"`
	Status OperationState `json:"status,omitempty"`
}

// OperationSpec says who asked for what.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an operation is immutable"
type OperationSpec struct {
	// ResourceID is the ARM id of the resource, in the caller's casing.
	ResourceID string `json:"resourceID"`
	// Target is the object that is being deleted.
	Target Target `json:"target"`
	// Verb is what was asked for.
	Verb meta.Verb `json:"verb"`
	// StartTime is when the request was accepted.
	StartTime metav1.Time `json:"startTime"`
	// Deadline is when the operation ends Failed; the deletion goes on.
	Deadline metav1.Time `json:"deadline"`
	// Caller is the object id of the principal that asked.
	Caller string `json:"caller"`
	// CorrelationID ties the operation to the request's log lines.
	// +optional
	CorrelationID string `json:"correlationID,omitempty"`
}

// Target names one object of the management API, incarnation included.
type Target struct {
	// Kind is the kind of the object.
	// +kubebuilder:validation:Enum=ManagedCluster;ResourceGroup;VirtualNetwork;NetworkSecurityGroup;RouteTable;AddressReservation
	Kind string `json:"kind"`
	// Name is the object's name.
	Name string `json:"name"`
	// UID is the object's metadata.uid: an object made anew under the same name
	// is not the target.
	UID string `json:"uid"`
}

// OperationState is how the operation stands.
type OperationState struct {
	// Status is InProgress until the target is gone.
	// +optional
	Status meta.OperationStatus `json:"status,omitempty"`
	// Message says what it waits for, or why it failed.
	// +optional
	Message string `json:"message,omitempty"`
	// EndTime is set with a terminal status.
	// +optional
	EndTime *metav1.Time `json:"endTime,omitempty"`
}

// OperationList is a list of operations.
//
// +kubebuilder:object:root=true
type OperationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Operation `json:"items"`
}
