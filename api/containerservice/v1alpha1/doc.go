// Package v1alpha1 is the hub of the provider Microsoft.ContainerService: managed
// clusters, and what the controllers make of them: control planes, agent pools
// and machines.
//
// +kubebuilder:object:generate=true
// +groupName=containerservice.berth.dev
package v1alpha1
