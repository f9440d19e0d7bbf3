package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// IDRange is a range of 65536 host uids and gids that is taken: by the user
// namespace of a machine, or by the components of a control plane, which use
// its first id. The object's name is made from the range's number
// ("idrange-17"), so creating it is the allocation.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster
// +kubebuilder:printcolumn:name="Start",type=integer,JSONPath=`.spec.start`
// +kubebuilder:printcolumn:name="Owner",type=string,JSONPath=`.spec.ownerName`
type IDRange struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec IDRangeSpec `json:"spec"`
}

// IDRangeSpec says whose the range is.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an id range is immutable"
type IDRangeSpec struct {
	// Start is the first id.
	// +kubebuilder:validation:Minimum=65536
	Start int64 `json:"start"`
	// OwnerName is the Machine or ManagedCluster that holds it.
	OwnerName string `json:"ownerName"`
	// OwnerIncarnation is the owner's incarnation.
	OwnerIncarnation string `json:"ownerIncarnation"`
}

// IDRangeList is a list of id ranges.
//
// +kubebuilder:object:root=true
type IDRangeList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []IDRange `json:"items"`
}
