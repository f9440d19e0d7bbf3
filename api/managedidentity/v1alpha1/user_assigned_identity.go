package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// UserAssignedIdentityFinalizer holds an identity until the roles that were
// given to it and on it are gone.
const UserAssignedIdentityFinalizer = "managedidentity.berth.dev/user-assigned-identity"

// UserAssignedIdentity is a principal without credentials of its own. Resources
// are given it; role assignments name it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=uai
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.resourceGroup`
// +kubebuilder:printcolumn:name="Identity",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Principal",type=string,JSONPath=`.spec.principalID`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type UserAssignedIdentity struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec UserAssignedIdentitySpec `json:"spec"`
}

// UserAssignedIdentitySpec is what an identity is.
// +kubebuilder:validation:XValidation:rule="self.principalID == oldSelf.principalID && self.clientID == oldSelf.clientID && self.tenantID == oldSelf.tenantID",message="the ids of an identity are immutable"
type UserAssignedIdentitySpec struct {
	// SubscriptionID is the GUID of the subscription that it lies in.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="subscriptionID is immutable"
	SubscriptionID string `json:"subscriptionID"`
	// ResourceGroup and Name are in the casing of the caller who made it.
	// +kubebuilder:validation:MinLength=1
	ResourceGroup string `json:"resourceGroup"`
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`
	// Location is the region's name, lower case without spaces.
	Location string `json:"location"`
	// Tags are the caller's own key and value pairs.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
	// TenantID is the GUID of the tenant that the principal belongs to.
	TenantID string `json:"tenantID"`
	// PrincipalID is the GUID that role assignments name, ClientID the one that
	// who acts under the identity names it by.
	PrincipalID string `json:"principalID"`
	ClientID    string `json:"clientID"`
	// FederatedCredentials are the foreign tokens that shall be as good as a
	// credential of this identity. They are kept here so that they go with it.
	// +optional
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=20
	FederatedCredentials []FederatedCredential `json:"federatedCredentials,omitempty"`
}

// FederatedCredential trusts the tokens of an issuer for a subject.
type FederatedCredential struct {
	// Name is in the casing of the caller who made it.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=120
	Name string `json:"name"`
	// Issuer is the https URL that a token names as its issuer.
	// +kubebuilder:validation:MaxLength=600
	Issuer string `json:"issuer"`
	// Subject is whom a token is about.
	// +kubebuilder:validation:MaxLength=600
	Subject string `json:"subject"`
	// Audience is whom a token is for.
	// +kubebuilder:validation:MaxLength=600
	Audience string `json:"audience"`
}

// UserAssignedIdentityList is a list of identities.
//
// +kubebuilder:object:root=true
type UserAssignedIdentityList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []UserAssignedIdentity `json:"items"`
}
