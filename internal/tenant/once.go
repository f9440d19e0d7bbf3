package tenant

import (
	"fmt"
	"net"
	"net/http"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// DialOnce connects an API server for a few reads, without a cache and outside
// the registry: of nodes, pods and disruption budgets. It sends nothing; the
// function that it returns hangs up.
func DialOnce(endpoint Endpoint) (client.Reader, func(), error) {
	config := &rest.Config{
		Host:            "https://" + net.JoinHostPort(endpoint.Address, "443"),
		TLSClientConfig: rest.TLSClientConfig{CAData: endpoint.CA, CertData: endpoint.Certificate, KeyData: endpoint.Key},
		Timeout:         requestTimeout,
		UserAgent:       "berth",
		Proxy:           func(*http.Request) (*url.URL, error) { return nil, nil }, // directly, and no transport is kept
	}
	scheme := runtime.NewScheme()
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, policyv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, nil, fmt.Errorf("making the scheme of tenants: %w", err)
		}
	}
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Node"), meta.RESTScopeRoot)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Pod"), meta.RESTScopeNamespace)
	mapper.Add(policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"), meta.RESTScopeNamespace)
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, nil, fmt.Errorf("preparing the connection to %s: %w", endpoint.Address, err)
	}
	reader, err := client.New(config, client.Options{HTTPClient: transport, Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, nil, fmt.Errorf("preparing the client of %s: %w", endpoint.Address, err)
	}
	return reader, transport.CloseIdleConnections, nil
}
