package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RoleDefinition is a custom role. The object's name is the role's GUID.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=rd
// +kubebuilder:printcolumn:name="Role",type=string,JSONPath=`.spec.roleName`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RoleDefinition struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec RoleDefinitionSpec `json:"spec"`
}

// RoleDefinitionSpec is what a role lets a principal do, and where it may be assigned.
type RoleDefinitionSpec struct {
	// RoleName is the name for people, unique among all roles regardless of case.
	RoleName string `json:"roleName"`
	// Description says what the role is for.
	// +optional
	Description string `json:"description,omitempty"`
	// Permissions are what it allows: what any of them allows.
	Permissions []RolePermission `json:"permissions"`
	// AssignableScopes are the subscriptions and resource groups in which it may be assigned.
	// +kubebuilder:validation:MinItems=1
	AssignableScopes []string `json:"assignableScopes"`
	// CreatedBy and UpdatedBy are object ids of principals.
	// +optional
	CreatedBy string `json:"createdBy,omitempty"`
	// +optional
	UpdatedBy string `json:"updatedBy,omitempty"`
	// UpdatedOn is the time of the last change.
	// +optional
	UpdatedOn *metav1.Time `json:"updatedOn,omitempty"`
}

// RolePermission allows what matches one of its patterns and none of the
// excluding ones. "*" in a pattern stands for any characters.
type RolePermission struct {
	// Actions and NotActions are about the management of resources.
	// +optional
	Actions []string `json:"actions,omitempty"`
	// +optional
	NotActions []string `json:"notActions,omitempty"`
	// DataActions and NotDataActions are about what lies in resources.
	// +optional
	DataActions []string `json:"dataActions,omitempty"`
	// +optional
	NotDataActions []string `json:"notDataActions,omitempty"`
}

// RoleDefinitionList is a list of custom roles.
//
// +kubebuilder:object:root=true
type RoleDefinitionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RoleDefinition `json:"items"`
}
