package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RoleAssignment gives a principal a role at a scope and all below it. The
// object's name is the assignment's GUID.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=ra
// +kubebuilder:printcolumn:name="Principal",type=string,JSONPath=`.spec.principalID`
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.roleDefinitionID`
// +kubebuilder:printcolumn:name="Scope",type=string,JSONPath=`.spec.scope`
type RoleAssignment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec RoleAssignmentSpec `json:"spec"`
}

// RoleAssignmentSpec is who may do what where.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a role assignment is immutable"
type RoleAssignmentSpec struct {
	// PrincipalID is the object id of the principal.
	PrincipalID string `json:"principalID"`
	// RoleDefinitionID is the GUID of the role, e.g. that of Owner.
	RoleDefinitionID string `json:"roleDefinitionID"`
	// Scope is an ARM id: a subscription, a resource group or a resource.
	// +kubebuilder:validation:Pattern=`^/`
	Scope string `json:"scope"`
	// PrincipalType is ServicePrincipal, User or Group; empty means ServicePrincipal.
	// +optional
	PrincipalType string `json:"principalType,omitempty"`
	// Description says what the assignment is for.
	// +optional
	Description string `json:"description,omitempty"`
	// CreatedBy is the object id of the principal that made it; empty for the service itself.
	// +optional
	CreatedBy string `json:"createdBy,omitempty"`
}

// RoleAssignmentList is a list of role assignments.
//
// +kubebuilder:object:root=true
type RoleAssignmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RoleAssignment `json:"items"`
}
