package v1alpha1

import (
	"strconv"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PublicIPAddress is one address of the edge's pool that is taken. The
// object's name is made from the address ("ip-198-18-0-5"), so creating it is
// the allocation: two creates of one address cannot both succeed.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Cluster,shortName=pip
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.address`
// +kubebuilder:printcolumn:name="Owner",type=string,JSONPath=`.spec.ownerName`
// +kubebuilder:printcolumn:name="Purpose",type=string,JSONPath=`.spec.purpose`
type PublicIPAddress struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec PublicIPAddressSpec `json:"spec"`
}

// PublicIPAddressSpec says whose the address is.
// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a public IP address is immutable"
type PublicIPAddressSpec struct {
	// Address is the IPv4 address.
	Address string `json:"address"`
	// OwnerName is the ManagedCluster that holds it, or "edge" for the service's own.
	OwnerName string `json:"ownerName"`
	// OwnerIncarnation is the owner's incarnation.
	// +optional
	OwnerIncarnation string `json:"ownerIncarnation,omitempty"`
	// Purpose is apiserver, outbound, service/<namespace>/<name>, or host, front-end or dns of the edge.
	Purpose string `json:"purpose"`
}

// PurposeOutbound is the purpose of a cluster's nth address of outbound traffic,
// from 0: outbound, outbound/2, outbound/3.
func PurposeOutbound(n int) string {
	if n == 0 {
		return "outbound"
	}
	return "outbound/" + strconv.Itoa(n+1)
}

// PublicIPAddressList is a list of public IP addresses.
//
// +kubebuilder:object:root=true
type PublicIPAddressList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PublicIPAddress `json:"items"`
}
