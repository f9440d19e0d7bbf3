package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VirtualNetworkFinalizer holds a virtual network until its host has removed it.
const VirtualNetworkFinalizer = "network.berth.dev/virtual-network"

// VirtualNetwork is an isolated network with a router of its own. Its ranges
// may overlap those of every other virtual network. A caller makes it over ARM,
// or a cluster's controller for a cluster that brought none.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=vnet
// +kubebuilder:subresource:status
// +kubebuilder:printcolumn:name="ID",type=string,JSONPath=`.spec.resourceID`,priority=1
// +kubebuilder:printcolumn:name="Cluster",type=string,JSONPath=`.spec.clusterName`
// +kubebuilder:printcolumn:name="Host",type=string,JSONPath=`.spec.hostName`
// +kubebuilder:printcolumn:name="Ranges",type=string,JSONPath=`.spec.addressSpace`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
type VirtualNetwork struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   VirtualNetworkSpec   `json:"spec"`
	Status VirtualNetworkStatus `json:"status,omitempty"`
}

// VirtualNetworkSpec is the whole desired network. Read it through Current,
// which knows what earlier versions wrote.
type VirtualNetworkSpec struct {
	Resource `json:",inline"`
	// ClusterName is the ManagedCluster that it was made for, "" of one that a caller made.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="clusterName is immutable"
	// +optional
	ClusterName string `json:"clusterName,omitempty"`
	// HostName is the Host that its router is bound to.
	HostName string `json:"hostName"`
	// Incarnation names its router.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="incarnation is immutable"
	Incarnation string `json:"incarnation"`
	// AddressSpace are the ranges that subnets lie in, canonical and disjoint.
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=64
	// +optional
	AddressSpace []string `json:"addressSpace,omitempty"`
	// Subnets are disjoint parts of the address space.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=256
	// +optional
	Subnets []Subnet `json:"subnets,omitempty"`
	// PodCIDRs are the ranges outside of the address space that pods of the
	// clusters in it have their addresses from (kubenet and overlay).
	// +listType=map
	// +listMapKey=clusterIncarnation
	// +optional
	PodCIDRs []PodCIDR `json:"podCIDRs,omitempty"`
	// Outbounds are how the clusters in it reach what lies outside of it.
	// +listType=map
	// +listMapKey=clusterIncarnation
	// +optional
	Outbounds []Outbound `json:"outbounds,omitempty"`
	// Ports are the machines' attachments; an address and a pod range are
	// allocated by being written here, under the object's resourceVersion.
	// +listType=map
	// +listMapKey=machineName
	// +optional
	Ports []Port `json:"ports,omitempty"`
	// InternalAddresses are the addresses of subnets that balancers answer on,
	// allocated by being written here as ports are.
	// +listType=map
	// +listMapKey=address
	// +optional
	InternalAddresses []InternalAddress `json:"internalAddresses,omitempty"`

	// NodeCIDR was the one subnet, of the nodes.
	//
	// Deprecated: earlier versions wrote it; see Current.
	// +optional
	NodeCIDR string `json:"nodeCIDR,omitempty"`
	// PodCIDR was the range of the pods.
	//
	// Deprecated: earlier versions wrote it; see Current.
	// +optional
	PodCIDR string `json:"podCIDR,omitempty"`
	// OutboundAddress was the public address that traffic leaves with.
	//
	// Deprecated: earlier versions wrote it; see Current.
	// +optional
	OutboundAddress string `json:"outboundAddress,omitempty"`
}

// Subnet is a part of a virtual network whose first address is its gateway.
type Subnet struct {
	// Name is in the casing of the caller who made it; the key regardless of case.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Name string `json:"name"`
	// CIDR is its range.
	CIDR string `json:"cidr"`
	// NetworkSecurityGroupName is the NetworkSecurityGroup object that filters its traffic, "" for none.
	// +optional
	NetworkSecurityGroupName string `json:"networkSecurityGroupName,omitempty"`
	// RouteTableName is the RouteTable object that its traffic follows, "" for none.
	// +optional
	RouteTableName string `json:"routeTableName,omitempty"`
	// Kept are the values of properties without effect, as JSON by the name of
	// the property, to be given back.
	// +kubebuilder:validation:MaxProperties=16
	// +optional
	Kept map[string]string `json:"kept,omitempty"`
}

// PodCIDR is the pod range of one cluster.
type PodCIDR struct {
	// ClusterIncarnation is the incarnation of the cluster.
	ClusterIncarnation string `json:"clusterIncarnation"`
	// CIDR is the range; those of two clusters in one network are disjoint.
	CIDR string `json:"cidr"`
}

// Outbound is how the nodes and pods of one cluster reach what lies outside.
type Outbound struct {
	// ClusterIncarnation is the incarnation of the cluster.
	ClusterIncarnation string `json:"clusterIncarnation"`
	// Addresses are the public addresses that traffic leaves with.
	// +listType=atomic
	// +optional
	Addresses []string `json:"addresses,omitempty"`
	// PortsPerNode is how many source ports of an address a node has, 0 for as
	// many as there are.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=64000
	// +optional
	PortsPerNode int32 `json:"portsPerNode,omitempty"`
	// Disabled says that nothing leaves (outboundType none) but to the cluster's own API server.
	// +optional
	Disabled bool `json:"disabled,omitempty"`
}

// Port is the place of one machine in a virtual network.
type Port struct {
	// MachineName is the name of the Machine object.
	MachineName string `json:"machineName"`
	// Incarnation is that of the machine.
	Incarnation string `json:"incarnation"`
	// ClusterIncarnation is that of the machine's cluster, "" for that of the network.
	// +optional
	ClusterIncarnation string `json:"clusterIncarnation,omitempty"`
	// Subnet is the name of the subnet that Address is out of, "" for the first.
	// +optional
	Subnet string `json:"subnet,omitempty"`
	// Address is the machine's address.
	Address string `json:"address"`
	// PodCIDR is the range routed to the machine, out of its cluster's PodCIDRs
	// (kubenet and overlay).
	// +optional
	PodCIDR string `json:"podCIDR,omitempty"`
	// PodAddresses are the addresses out of a subnet that the machine's pods
	// have (azure), as single addresses.
	// +listType=atomic
	// +optional
	PodAddresses []string `json:"podAddresses,omitempty"`
	// PodSubnet is the name of the subnet that PodAddresses are out of, "" for Subnet.
	// +optional
	PodSubnet string `json:"podSubnet,omitempty"`
}

// InternalAddress is an address of a subnet that a cluster's balancer answers on.
type InternalAddress struct {
	// Address is the address.
	Address string `json:"address"`
	// Subnet is the name of the subnet that it is out of.
	Subnet string `json:"subnet"`
	// ClusterIncarnation is that of the cluster that has it.
	ClusterIncarnation string `json:"clusterIncarnation"`
	// Service is namespace/name of the service that it was taken for. Others of
	// the cluster may ask for it, too, with other ports.
	Service string `json:"service"`
}

// VirtualNetworkStatus is what the host agent observed.
type VirtualNetworkStatus struct {
	// ObservedGeneration is the generation that the conditions speak of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`
	// Applied are the security groups and route tables that are programmed.
	// +listType=atomic
	// +optional
	Applied []AppliedObject `json:"applied,omitempty"`
	// Conditions: Ready, Deleting.
	// +listType=map
	// +listMapKey=type
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// AppliedObject is another object that was programmed together with a network.
type AppliedObject struct {
	// Kind is NetworkSecurityGroup or RouteTable.
	Kind string `json:"kind"`
	// Name is the object's name.
	Name string `json:"name"`
	// UID tells it from an earlier object of the name.
	UID string `json:"uid"`
	// Generation is the generation that is programmed.
	Generation int64 `json:"generation"`
}

// VirtualNetworkList is a list of virtual networks.
//
// +kubebuilder:object:root=true
type VirtualNetworkList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []VirtualNetwork `json:"items"`
}
