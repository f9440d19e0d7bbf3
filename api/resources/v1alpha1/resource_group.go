package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// ResourceGroupFinalizer holds a resource group until all that lies in it is gone.
const ResourceGroupFinalizer = "resources.berth.dev/resource-group"

// SubscriptionLabel is on every object that lies in a subscription, its GUID in
// lower case, so that a list reads no others.
const SubscriptionLabel = "resources.berth.dev/subscription"

// ResourceGroup is a folder of resources that are deleted together.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=rg
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Group",type=string,JSONPath=`.spec.name`
// +kubebuilder:printcolumn:name="Subscription",type=string,JSONPath=`.spec.subscriptionID`
// +kubebuilder:printcolumn:name="Location",type=string,JSONPath=`.spec.location`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ResourceGroup struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   ResourceGroupSpec   `json:"spec"`
	Status ResourceGroupStatus `json:"status,omitempty"`
}

// ResourceGroupSpec is what the caller asked for.
type ResourceGroupSpec struct {
	// SubscriptionID is the GUID of the subscription that the group lies in.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="subscriptionID is immutable"
	SubscriptionID string `json:"subscriptionID"`
	// Name is the group's name in the casing of the last caller who wrote it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=90
	Name string `json:"name"`
	// Location is the region's name, lower case without spaces.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="location is immutable"
	Location string `json:"location"`
	// Tags are the caller's own key and value pairs.
	// +optional
	Tags map[string]string `json:"tags,omitempty"`
	// ManagedBy is the ARM id of the cluster whose node resource group it is. As
	// long as that lives, nobody deletes the group or what lies in it by hand.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="managedBy is immutable"
	// +optional
	ManagedBy string `json:"managedBy,omitempty"`
}

// ResourceGroupStatus is what a deletion still waits for.
type ResourceGroupStatus struct {
	// Conditions: Deleting, while a deletion is under way.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ResourceGroupList is a list of resource groups.
//
// +kubebuilder:object:root=true
type ResourceGroupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []ResourceGroup `json:"items"`
}
