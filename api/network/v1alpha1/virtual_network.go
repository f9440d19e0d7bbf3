package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VirtualNetworkFinalizer holds a virtual network until its host has removed it.
const VirtualNetworkFinalizer = "network.berth.dev/virtual-network"

// VirtualNetwork is an isolated network with a router of its own. Its ranges
// may overlap those of every other virtual network.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=vnet
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.hostName`
// +kubebuilder:printcolumn:name="Nodes",type=string,JSONPath=`.spec.nodeCIDR`
// +kubebuilder:printcolumn:name="Outbound",type=string,JSONPath=`.spec.outboundAddress`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type VirtualNetwork struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   VirtualNetworkSpec   `json:"spec"`
	Status VirtualNetworkStatus `json:"status,omitempty"`
}

// VirtualNetworkSpec is the whole desired network.
type VirtualNetworkSpec struct {
	// ClusterName is the ManagedCluster that it was made for.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName is immutable"
	ClusterName string `json:"clusterName"`
	// HostName is the Host that its router is bound to.
	HostName string `json:"hostName"`
	// Incarnation names its router.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="incarnation is immutable"
	Incarnation string `json:"incarnation"`
	// NodeCIDR is the subnet of the nodes; its first address is the gateway.
	NodeCIDR string `json:"nodeCIDR"`
	// PodCIDR is the range of the pods.
	PodCIDR string `json:"podCIDR"`
	// OutboundAddress is the public address that traffic leaves with.
	OutboundAddress string `json:"outboundAddress"`
	// Ports are the machines' attachments; an address and a pod range are
	// allocated by being written here, under the object's resourceVersion.
	// +listType=map
	// +listMapKey=machineName
	// +optional
	Ports []Port `json:"ports,omitempty"`
}

// Port is the place of one machine in a virtual network.
type Port struct {
	// MachineName is the name of the Machine object.
	MachineName string `json:"machineName"`
	// Incarnation is that of the machine.
	Incarnation string `json:"incarnation"`
	// Address is the machine's address, out of NodeCIDR.
	Address string `json:"address"`
	// PodCIDR is the range routed to the machine, out of the network's PodCIDR.
	PodCIDR string `json:"podCIDR"`
}

// VirtualNetworkStatus is what the host agent observed.
type VirtualNetworkStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Conditions: Ready, Deleting.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// VirtualNetworkList is a list of virtual networks.
//
// +kubebuilder:object:root=true
type VirtualNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VirtualNetwork `json:"items"`
}
