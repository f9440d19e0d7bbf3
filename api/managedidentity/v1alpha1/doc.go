// Package v1alpha1 holds the identities that users make for workloads: principals
// with a life of their own, which resources are given to act under.
//
// +kubebuilder:object:generate=true
// +groupName=managedidentity.berth.dev
package v1alpha1
