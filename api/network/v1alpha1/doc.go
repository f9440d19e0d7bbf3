// Package v1alpha1 is the hub of the provider Microsoft.Network: virtual networks,
// load balancers and the public IP addresses of the edge.
//
// +kubebuilder:object:generate=true
// +groupName=network.berth.dev
package v1alpha1
