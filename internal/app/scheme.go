package app

import (
	"errors"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"

	authorization "berth.dev/berth/api/authorization/v1alpha1"
	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	managedidentity "berth.dev/berth/api/managedidentity/v1alpha1"
	networkapi "berth.dev/berth/api/network/v1alpha1"
	resources "berth.dev/berth/api/resources/v1alpha1"
)

// newScheme knows the kinds of the management API.
func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(
		corev1.AddToScheme(scheme),
		authorization.AddToScheme(scheme),
		containerservice.AddToScheme(scheme),
		hostapi.AddToScheme(scheme),
		managedidentity.AddToScheme(scheme),
		networkapi.AddToScheme(scheme),
		resources.AddToScheme(scheme),
	)
}

// newMapper maps the kinds of a scheme to resources. Asking the API server for
// them would cost a start a dozen requests, and they are known.
func newMapper(scheme *runtime.Scheme) apimeta.RESTMapper {
	mapper := apimeta.NewDefaultRESTMapper(scheme.PrioritizedVersionsAllGroups())
	for kind := range scheme.AllKnownTypes() {
		switch {
		case strings.HasSuffix(kind.Group, ".berth.dev"):
			mapper.Add(kind, apimeta.RESTScopeRoot)
		case kind.Group == "" && kind.Kind == "Namespace":
			mapper.Add(kind, apimeta.RESTScopeRoot)
		case kind.Group == "":
			mapper.Add(kind, apimeta.RESTScopeNamespace)
		}
	}
	return mapper
}
