package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LoadBalancer spreads connections to public addresses over the nodes of one
// virtual network. It is programmed in that network's router.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=lb
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Network",type=string,JSONPath=`.spec.virtualNetworkName`
// +kubebuilder:printcolumn:name="Addresses",type=string,JSONPath=`.spec.frontends[*].address`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type LoadBalancer struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   LoadBalancerSpec   `json:"spec"`
	Status LoadBalancerStatus `json:"status,omitempty"`
}

// LoadBalancerSpec is the whole desired balancer.
type LoadBalancerSpec struct {
	// VirtualNetworkName is the VirtualNetwork whose router balances.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="virtualNetworkName is immutable"
	VirtualNetworkName string `json:"virtualNetworkName"`
	// Frontends are keyed by the Kubernetes service's namespace/name.
	// +listType=map
	// +listMapKey=service
	// +optional
	Frontends []Frontend `json:"frontends,omitempty"`
}

// Frontend is one public address with its rules.
type Frontend struct {
	// Service is namespace/name of the Kubernetes service.
	Service string `json:"service"`
	// Address is the public address.
	Address string `json:"address"`
	// Rules are the ports.
	// +listType=atomic
	Rules []Rule `json:"rules"`
	// Backends are the addresses of the nodes in rotation.
	// +listType=atomic
	// +optional
	Backends []string `json:"backends,omitempty"`
}

// Rule forwards one port of a frontend.
type Rule struct {
	// Protocol is TCP or UDP.
	// +kubebuilder:validation:Enum=TCP;UDP
	Protocol string `json:"protocol"`
	// Port is the port of the public address.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Port int32 `json:"port"`
	// NodePort is the port on every backend.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	NodePort int32 `json:"nodePort"`
}

// LoadBalancerStatus is what the host agent observed.
type LoadBalancerStatus struct {
	// ObservedGeneration is the generation that is programmed.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// LoadBalancerList is a list of load balancers.
//
// +kubebuilder:object:root=true
type LoadBalancerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LoadBalancer `json:"items"`
}
