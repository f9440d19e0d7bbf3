package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Subscription is the billing and access boundary that resource groups lie in.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=sub
// +kubebuilder:printcolumn:name="Display Name",type=string,JSONPath=`.spec.displayName`
// +kubebuilder:printcolumn:name="Tenant",type=string,JSONPath=`.spec.tenantID`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.spec.state`
type Subscription struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec SubscriptionSpec `json:"spec"`
}

// SubscriptionSpec is what a subscription is. The object's name is its GUID.
type SubscriptionSpec struct {
	// TenantID is the GUID of the tenant that the subscription trusts.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="tenantID is immutable"
	TenantID string `json:"tenantID"`
	// DisplayName is the name shown to people.
	// +kubebuilder:validation:MinLength=1
	DisplayName string `json:"displayName"`
	// State is Enabled, or Disabled when only reads are allowed.
	// +kubebuilder:validation:Enum=Enabled;Disabled
	State string `json:"state"`
	// Tags are the tags of the subscription itself.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
	// Unregistered are the namespaces, in lower case, of the resource providers
	// that the subscription gave up. Every other one is registered.
	// +optional
	// +listType=set
	Unregistered []string `json:"unregistered,omitempty"`
}

// SubscriptionList is a list of subscriptions.
//
// +kubebuilder:object:root=true
type SubscriptionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Subscription `json:"items"`
}
