package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ServicePrincipal is an application that may ask for tokens. The object's
// name is its appId (client id), a GUID.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=sp
// +kubebuilder:printcolumn:name="Display Name",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Object ID",type=string,JSONPath=`.spec.objectID`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ServicePrincipal struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec ServicePrincipalSpec `json:"spec"`
}

// ServicePrincipalSpec is what a service principal is.
type ServicePrincipalSpec struct {
	// TenantID is the GUID of the tenant it belongs to.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="tenantID is immutable"
	TenantID string `json:"tenantID"`
	// ObjectID is the GUID that role assignments and the claim oid name.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="objectID is immutable"
	ObjectID string `json:"objectID"`
	// DisplayName is the name shown to people.
	DisplayName string `json:"displayName"`
	// Passwords are its client secrets, as hashes.
	// +listType=map
	// +listMapKey=keyID
	// +optional
	Passwords []PasswordCredential `json:"passwords,omitempty"`
	// Keys are the certificates that it may sign assertions with.
	// +listType=map
	// +listMapKey=keyID
	// +optional
	Keys []KeyCredential `json:"keys,omitempty"`
}

// PasswordCredential is one client secret; the secret itself is nowhere stored.
type PasswordCredential struct {
	// KeyID is the GUID that names the secret.
	KeyID string `json:"keyID"`
	// Hash is HMAC-SHA-256 over the secret, under a key that lies in a Secret.
	Hash string `json:"hash"`
	// Hint is the secret's first characters, so that people can tell which it is.
	// +optional
	Hint string `json:"hint,omitempty"`
	// DisplayName is the name shown to people.
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// StartDateTime is when it was made.
	// +optional
	StartDateTime *metav1.Time `json:"startDateTime,omitempty"`
	// EndDateTime is when the secret stops working; unset means never.
	// +optional
	EndDateTime *metav1.Time `json:"endDateTime,omitempty"`
}

// KeyCredential is one certificate; its private key never leaves its owner.
type KeyCredential struct {
	// KeyID is the GUID that names the certificate.
	KeyID string `json:"keyID"`
	// Certificate is the X.509 certificate in DER.
	Certificate []byte `json:"certificate"`
	// DisplayName is the name shown to people.
	// +optional
	DisplayName string `json:"displayName,omitempty"`
	// StartDateTime and EndDateTime are when the certificate is valid.
	StartDateTime metav1.Time `json:"startDateTime"`
	EndDateTime   metav1.Time `json:"endDateTime"`
}

// ServicePrincipalList is a list of service principals.
//
// +kubebuilder:object:root=true
type ServicePrincipalList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ServicePrincipal `json:"items"`
}
