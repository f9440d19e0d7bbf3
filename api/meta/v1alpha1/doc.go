// Package v1alpha1 holds what the API groups of the management API share:
// references between objects and the words of asynchronous operations. It has
// no kinds of its own.
//
// +kubebuilder:object:generate=true
package v1alpha1
