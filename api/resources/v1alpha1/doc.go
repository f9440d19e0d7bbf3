// Package v1alpha1 is the hub of the provider Microsoft.Resources: the
// subscriptions and resource groups that every other resource lies in, and the
// operations that outlive their resource.
//
// +kubebuilder:object:generate=true
// +groupName=resources.berth.dev
package v1alpha1
