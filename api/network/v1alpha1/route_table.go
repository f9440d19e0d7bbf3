package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// RouteTable is a list of routes that subnets refer to: where their traffic goes
// instead of where the network would send it.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=rt
// +kubebuilder:printcolumn:name="ID",type=string,JSONPath=`.spec.resourceID`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type RouteTable struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec RouteTableSpec `json:"spec"`
}

// RouteTableSpec is the whole desired table.
type RouteTableSpec struct {
	Resource `json:",inline"`
	// Routes are the caller's; two never have one prefix.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=400
	// +optional
	Routes []Route `json:"routes,omitempty"`
}

// Route says where the traffic to a range goes.
type Route struct {
	// Name is in the casing of the caller who made it; the key regardless of case.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=80
	Name string `json:"name"`
	// Prefix is the range.
	Prefix string `json:"prefix"`
	// NextHopType is where it goes: to an address of the network, as the network
	// itself would send it, outside, or nowhere.
	// +kubebuilder:validation:Enum=VirtualAppliance;VnetLocal;Internet;None
	NextHopType string `json:"nextHopType"`
	// NextHopIP is the address of a VirtualAppliance.
	// +optional
	NextHopIP string `json:"nextHopIP,omitempty"`
}

// RouteTableList is a list of route tables.
//
// +kubebuilder:object:root=true
type RouteTableList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []RouteTable `json:"items"`
}
