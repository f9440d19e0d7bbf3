package tenant

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// requestTimeout bounds one request to a tenant, so that a hanging API server
// holds a worker only this long.
const requestTimeout = 10 * time.Second

// Endpoint is where a tenant's API server is and who Berth is there.
type Endpoint struct {
	// Address is the public address of the API server, port 443.
	Address string
	// Server names the process that answers there. A watch goes over to another one
	// in seconds: the new one does not know the version where the former one ended, and
	// who is told so waits before it lists again. A new connection begins at once.
	Server string
	// CA verifies the server; Certificate and Key identify Berth. PEM.
	CA, Certificate, Key []byte
}

// Connection is how a tenant is read and written.
type Connection struct {
	// Client reads and writes the API server itself.
	Client client.Client
	// Cache is started and stopped by the registry; nil where Client is read directly.
	Cache cache.Cache
	// Logs reads what containers printed.
	Logs LogReader
	// Close drops what is left after the cache was stopped.
	Close func()
}

// Dial makes the connection to a tenant. It sends nothing: the API server may
// not be there yet.
func Dial(endpoint Endpoint) (Connection, error) {
	config := &rest.Config{
		Host: "https://" + net.JoinHostPort(endpoint.Address, "443"),
		TLSClientConfig: rest.TLSClientConfig{
			CAData: endpoint.CA, CertData: endpoint.Certificate, KeyData: endpoint.Key,
		},
		QPS: 200, Burst: 400,
		UserAgent: "berth",
		// Tenants are reached directly, whatever proxy the environment names. It
		// also keeps client-go from caching the transport beyond the tenant's life.
		Proxy: func(*http.Request) (*url.URL, error) { return nil, nil },
	}
	scheme, err := Scheme()
	if err != nil {
		return Connection{}, err
	}
	transport, err := rest.HTTPClientFor(config)
	if err != nil {
		return Connection{}, fmt.Errorf("preparing the connection to %s: %w", endpoint.Address, err)
	}
	requests := *transport // the same connections, but no request hangs
	requests.Timeout = requestTimeout
	c, err := client.New(config, client.Options{
		HTTPClient: &requests, Scheme: scheme, Mapper: Mapper(),
	})
	if err != nil {
		return Connection{}, fmt.Errorf("preparing the client of %s: %w", endpoint.Address, err)
	}
	store, err := cache.New(config, cache.Options{
		HTTPClient: transport, Scheme: scheme, Mapper: Mapper(),
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&corev1.Node{}:               {Transform: slimNode},
			&discoveryv1.EndpointSlice{}: {Transform: slimEndpointSlice},
			&corev1.Pod{}:                {Namespaces: map[string]cache.Config{CommandNamespace: {}}},
		},
	})
	if err != nil {
		return Connection{}, fmt.Errorf("preparing the cache of %s: %w", endpoint.Address, err)
	}
	logs, err := newLogReader(config, &requests)
	if err != nil {
		return Connection{}, fmt.Errorf("preparing the client of %s: %w", endpoint.Address, err)
	}
	return Connection{Client: c, Cache: store, Logs: logs, Close: transport.CloseIdleConnections}, nil
}

// Scheme holds the types that Berth reads and writes in a tenant.
func Scheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		corev1.AddToScheme, coordinationv1.AddToScheme, certificatesv1.AddToScheme, discoveryv1.AddToScheme, rbacv1.AddToScheme, appsv1.AddToScheme, policyv1.AddToScheme, storagev1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("making the scheme of tenants: %w", err)
		}
	}
	return scheme, nil
}

// Mapper knows the kinds that Berth touches in a tenant, so that no discovery is needed.
func Mapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	rbac := schema.GroupVersion{Group: "rbac.authorization.k8s.io", Version: "v1"}
	for _, kind := range []string{"ClusterRole", "ClusterRoleBinding"} {
		mapper.Add(rbac.WithKind(kind), meta.RESTScopeRoot)
	}
	for _, kind := range []string{"Role", "RoleBinding"} {
		mapper.Add(rbac.WithKind(kind), meta.RESTScopeNamespace)
	}
	for _, kind := range []string{"Node", "Namespace", "PersistentVolume"} {
		mapper.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	for _, kind := range []string{"Secret", "ConfigMap", "Service", "Endpoints", "ServiceAccount", "Event", "Pod", "PersistentVolumeClaim"} {
		mapper.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	apps := schema.GroupVersion{Group: "apps", Version: "v1"}
	for _, kind := range []string{"Deployment", "DaemonSet"} {
		mapper.Add(apps.WithKind(kind), meta.RESTScopeNamespace)
	}
	for _, kind := range []string{"StorageClass", "CSIDriver", "VolumeAttachment"} {
		mapper.Add(storagev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeRoot)
	}
	mapper.Add(schema.GroupVersionKind{Group: "apiregistration.k8s.io", Version: "v1", Kind: "APIService"}, meta.RESTScopeRoot)
	mapper.Add(certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest"), meta.RESTScopeRoot)
	mapper.Add(coordinationv1.SchemeGroupVersion.WithKind("Lease"), meta.RESTScopeNamespace)
	mapper.Add(discoveryv1.SchemeGroupVersion.WithKind("EndpointSlice"), meta.RESTScopeNamespace)
	mapper.Add(policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"), meta.RESTScopeNamespace)
	return mapper
}

// slimNode drops what no controller reads: a node lists up to fifty images.
func slimNode(object any) (any, error) {
	if node, ok := object.(*corev1.Node); ok {
		node.ManagedFields = nil
		node.Status.Images = nil
	}
	return object, nil
}

// slimEndpointSlice keeps which node has a ready endpoint.
func slimEndpointSlice(object any) (any, error) {
	if slice, ok := object.(*discoveryv1.EndpointSlice); ok {
		slice.ManagedFields = nil
		slice.Ports = nil
		for i, endpoint := range slice.Endpoints {
			slice.Endpoints[i] = discoveryv1.Endpoint{NodeName: endpoint.NodeName, Conditions: endpoint.Conditions}
		}
	}
	return object, nil
}
