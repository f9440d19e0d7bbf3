package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PurposeReserved is the purpose of the PublicIPAddress objects that are the
// claims of a reservation; their owner is the reservation.
const PurposeReserved = "reserved"

// AddressReservation is what callers make over ARM as publicIPAddresses (one
// address) and publicIPPrefixes (several in a row). It is the name; its
// controller takes the claims, PublicIPAddress objects, under its incarnation.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=reservation
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="ID",type=string,JSONPath=`.spec.resourceID`
// +kubebuilder:printcolumn:name="Range",type=string,JSONPath=`.status.range`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type AddressReservation struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   AddressReservationSpec   `json:"spec"`
	Status AddressReservationStatus `json:"status,omitempty"`
}

// AddressReservationSpec is what shall be reserved.
type AddressReservationSpec struct {
	Resource `json:",inline"`
	// Incarnation is the owner of the claims.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="incarnation is immutable"
	Incarnation string `json:"incarnation"`
	// Bits is the length of the range: 32 of an address, 28 to 31 of a prefix.
	// +kubebuilder:validation:Minimum=28
	// +kubebuilder:validation:Maximum=32
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="bits is immutable"
	Bits int32 `json:"bits"`
	// PrefixName is the AddressReservation of a prefix that an address is out of, "" for none.
	// +optional
	PrefixName string `json:"prefixName,omitempty"`
}

// AddressReservationStatus is what is reserved.
type AddressReservationStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Range is what is reserved: 198.18.0.20/32, 198.18.0.32/30.
	// +optional
	Range string `json:"range,omitempty"`
	// Conditions: Ready.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// AddressReservationList is a list of reservations.
//
// +kubebuilder:object:root=true
type AddressReservationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []AddressReservation `json:"items"`
}
