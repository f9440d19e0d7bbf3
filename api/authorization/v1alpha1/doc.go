// Package v1alpha1 holds who may call the service: the service principals of the
// tenant and the role assignments that allow them anything.
//
// +kubebuilder:object:generate=true
// +groupName=authorization.berth.dev
package v1alpha1
