package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// NetworkSecurityGroup is a list of stateful rules that subnets refer to. The
// host agent programs it with each of their networks; Azure's default rules
// follow behind those here.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=nsg
// +kubebuilder:printcolumn:name="ID",type=string,JSONPath=`.spec.resourceID`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type NetworkSecurityGroup struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec NetworkSecurityGroupSpec `json:"spec"`
}

// NetworkSecurityGroupSpec is the whole desired group.
type NetworkSecurityGroupSpec struct {
	Resource `json:",inline"`
	// Rules are the caller's; two of one direction never have one priority.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=1000
	// +optional
	Rules []SecurityRule `json:"rules,omitempty"`
}

// SecurityRule lets connections of one kind through, or does not.
type SecurityRule struct {
	// Name is in the casing of the caller who made it; the key regardless of case.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Name string `json:"name"`
	// Description is the caller's own text.
	// +kubebuilder:validation:MaxLength=140
	// +optional
	Description string `json:"description,omitempty"`
	// Priority orders the rules of a direction: the first that matches decides.
	// +kubebuilder:validation:Minimum=100
	// +kubebuilder:validation:Maximum=4096
	Priority int32 `json:"priority"`
	// Direction is seen from the subnet.
	// +kubebuilder:validation:Enum=Inbound;Outbound
	Direction string `json:"direction"`
	// Access is what the rule does.
	// +kubebuilder:validation:Enum=Allow;Deny
	Access string `json:"access"`
	// Protocol is what it matches.
	// +kubebuilder:validation:Enum=Tcp;Udp;Icmp;*
	Protocol string `json:"protocol"`
	// SourcePrefixes and DestinationPrefixes are ranges, single addresses, *,
	// or one of the tags VirtualNetwork, AzureLoadBalancer and Internet.
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	SourcePrefixes []string `json:"sourcePrefixes"`
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	DestinationPrefixes []string `json:"destinationPrefixes"`
	// SourcePorts and DestinationPorts are "*", "80" or "8000-8999".
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	SourcePorts []string `json:"sourcePorts"`
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	DestinationPorts []string `json:"destinationPorts"`
}

// NetworkSecurityGroupList is a list of security groups.
//
// +kubebuilder:object:root=true
type NetworkSecurityGroupList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []NetworkSecurityGroup `json:"items"`
}
