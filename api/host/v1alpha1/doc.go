// Package v1alpha1 holds the machines that Berth itself runs on and what they give
// out: id ranges for user namespaces.
//
// +kubebuilder:object:generate=true
// +groupName=host.berth.dev
package v1alpha1
