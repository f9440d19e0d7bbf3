package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// SchemeGroupVersion is the group and version of the kinds in this package.
func SchemeGroupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: "network.berth.dev", Version: "v1alpha1"}
}

// AddToScheme registers the kinds of this package.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(SchemeGroupVersion(),
		&VirtualNetwork{}, &VirtualNetworkList{},
		&PublicIPAddress{}, &PublicIPAddressList{},
		&LoadBalancer{}, &LoadBalancerList{},
		&NetworkSecurityGroup{}, &NetworkSecurityGroupList{},
		&RouteTable{}, &RouteTableList{},
		&AddressReservation{}, &AddressReservationList{},
	)
	metav1.AddToGroupVersion(scheme, SchemeGroupVersion())
	return nil
}
