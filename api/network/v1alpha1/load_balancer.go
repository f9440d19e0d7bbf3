package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// LoadBalancer spreads connections to the addresses of a cluster's services over
// its nodes. It is programmed in the router of their virtual network.
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

// Frontend is one address of a service with its rules.
type Frontend struct {
	// Service is namespace/name of the Kubernetes service.
	Service string `json:"service"`
	// Address is the address, public or, of an internal frontend, out of a subnet.
	Address string `json:"address"`
	// Internal frontends are answered inside the virtual network only.
	// +optional
	Internal bool `json:"internal,omitempty"`
	// Subnet is the name of the subnet that an internal frontend's address is of.
	// +optional
	Subnet string `json:"subnet,omitempty"`
	// Rules are the ports.
	// +listType=atomic
	Rules []Rule `json:"rules"`
	// Backends are the addresses of the nodes in rotation. Those whose probes
	// fail are taken out on the host.
	// +listType=atomic
	// +optional
	Backends []string `json:"backends,omitempty"`
	// SourceRanges are the ranges that may connect; empty: all.
	// +listType=atomic
	// +optional
	SourceRanges []string `json:"sourceRanges,omitempty"`
	// IdleTimeoutSeconds is after how long without a packet a TCP connection is
	// forgotten; 0: 240, as Azure's rules have it.
	// +kubebuilder:validation:Minimum=0
	// +optional
	IdleTimeoutSeconds int32 `json:"idleTimeoutSeconds,omitempty"`
	// SilentOnIdle answers nothing to what comes over a forgotten connection,
	// where otherwise a reset is sent.
	// +optional
	SilentOnIdle bool `json:"silentOnIdle,omitempty"`
	// AffinitySeconds is how long a client keeps its backend after its last
	// connection; 0: every connection draws one.
	// +kubebuilder:validation:Minimum=0
	// +optional
	AffinitySeconds int32 `json:"affinitySeconds,omitempty"`
	// HealthCheckNodePort is the port of the backends whose /healthz says whether
	// one has an endpoint of this service; 0: they are asked as nodes only.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=65535
	// +optional
	HealthCheckNodePort int32 `json:"healthCheckNodePort,omitempty"`
}

// Programmed is what the status says of the frontends once they are programmed.
func (s LoadBalancerSpec) Programmed() []ProgrammedFrontend {
	programmed := make([]ProgrammedFrontend, 0, len(s.Frontends))
	for _, frontend := range s.Frontends {
		programmed = append(programmed, ProgrammedFrontend{Service: frontend.Service, Address: frontend.Address})
	}
	return programmed
}

// Rule forwards one port of a frontend.
type Rule struct {
	// Protocol is TCP or UDP.
	// +kubebuilder:validation:Enum=TCP;UDP
	Protocol string `json:"protocol"`
	// Port is the port of the frontend's address.
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
	// Frontends are those that are programmed: of what was written since, they tell
	// which services are served already, and which are still. Empty is not known.
	// +listType=atomic
	// +optional
	Frontends []ProgrammedFrontend `json:"frontends,omitempty"`
	// Conditions: Ready.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ProgrammedFrontend is a frontend that the host serves.
type ProgrammedFrontend struct {
	// Service is that of the frontend.
	Service string `json:"service"`
	// Address is the one that it is served on.
	Address string `json:"address"`
}

// LoadBalancerList is a list of load balancers.
//
// +kubebuilder:object:root=true
type LoadBalancerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []LoadBalancer `json:"items"`
}
