// Package frontend is the service's one HTTP handler: the token service and the
// resource providers behind authentication, authorization, access log and
// metrics. It holds no state, so several may answer side by side.
package frontend

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"sort"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservicev1alpha1 "berth.dev/berth/api/containerservice/v1alpha1"
	"berth.dev/berth/internal/arm"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/rp/activity"
	"berth.dev/berth/internal/rp/authorization"
	"berth.dev/berth/internal/rp/backup"
	"berth.dev/berth/internal/rp/containerservice"
	"berth.dev/berth/internal/rp/managedidentity"
	"berth.dev/berth/internal/rp/network"
	"berth.dev/berth/internal/rp/nodegroup"
	"berth.dev/berth/internal/rp/operation"
	"berth.dev/berth/internal/rp/principal"
	"berth.dev/berth/internal/rp/resources"
	"berth.dev/berth/internal/throttle"
)

// History has the ended operations.
type History interface {
	operation.History
	activity.History
}

// Config is what the front end needs.
type Config struct {
	// Client reaches the management API. A GET after an acknowledged write has to
	// return that write: it must not cache, but for what only this process writes.
	Client client.Client
	// History has the ended operations.
	History History
	// Shared says that other front ends write to the same management API.
	Shared bool
	// Admission is held by whoever gives out room of the hosts in this process;
	// nil: only this front end does.
	Admission *sync.Mutex
	// Tokens is the token service.
	Tokens *identity.Service
	// Backups is where the files of backups lie.
	Backups backup.Files
	// TenantID is the only tenant, Location the only region.
	TenantID, Location string
	// DNSZone is the install zone. DNSResolvable says that the operator has
	// declared it resolvable, so that kubeconfigs name FQDNs.
	DNSZone       string
	DNSResolvable bool
	// PublicURL is the base URL of the service; answers use the caller's own.
	PublicURL string
	// AllowNoAgentPools accepts clusters without agent pools.
	AllowNoAgentPools bool
	// RecordUnsupported keeps and lists the values of properties that nothing
	// acts on, instead of refusing them.
	RecordUnsupported bool
	// UpgradeSoak and ControlPlaneSoak are the soaks of upgrades; 0 means the defaults.
	UpgradeSoak, ControlPlaneSoak time.Duration
	// DialTenant connects the API server of a cluster for a few reads; nil: the real one.
	DialTenant func(context.Context, *containerservicev1alpha1.ManagedCluster) (client.Reader, func(), error)
	// Throttle limits how often callers may call; nothing is limited if it is empty.
	Throttle throttle.Mode
	// Log takes the access log and errors.
	Log *slog.Logger
	// Registerer takes the metrics; none if nil.
	Registerer prometheus.Registerer
	// Now is the clock; time.Now if nil.
	Now func() time.Time
}

// frontend is the handler.
type frontend struct {
	config     Config
	router     *arm.Router
	resources  *resources.Provider
	roles      *authorization.Provider
	clients    *principal.Provider
	backups    *backup.Provider
	identities *managedidentity.Provider
	networks   *network.Provider
	nodes      *nodegroup.Provider
	activity   *activity.Provider
	metrics    *metrics
	throttle   *throttle.Throttle
}

// New makes the handler.
func New(config Config) (http.Handler, error) {
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	store := operation.Store{Client: config.Client, History: config.History, Now: config.Now, ClusterID: containerservice.IDOf}
	clusters, err := containerservice.NewProvider(containerservice.Options{
		Client: config.Client, Tokens: config.Tokens, Operations: store, Location: config.Location, TenantID: config.TenantID,
		UpgradeSoak: config.UpgradeSoak, ControlPlaneSoak: config.ControlPlaneSoak, DialTenant: config.DialTenant,
		DNSResolvable: config.DNSResolvable, AllowNoAgentPools: config.AllowNoAgentPools, Shared: config.Shared, Admission: config.Admission, RecordUnsupported: config.RecordUnsupported, Now: config.Now,
	})
	if err != nil {
		return nil, fmt.Errorf("wiring Microsoft.ContainerService: %w", err)
	}
	f := &frontend{config: config, resources: &resources.Provider{
		Client: config.Client, Tokens: config.Tokens, Operations: store, Location: config.Location,
		Namespaces: []resources.Namespace{
			{Name: containerservice.Namespace, Types: resourceTypes(clusters.ResourceTypes()), List: clusters.ListResources, HasNested: clusters.HasNested},
			{Name: "Microsoft.Resources", Types: []resources.ResourceType{
				{Name: "subscriptions", Versions: resources.Versions()}, {Name: "resourceGroups", Versions: resources.Versions()},
				{Name: "tenants", Versions: resources.Versions()}, {Name: "providers", Versions: resources.Versions()},
			}},
		},
	}}
	f.resources.Forward = f.forward
	f.throttle = throttle.New(config.Throttle, config.Now)
	f.roles = &authorization.Provider{
		Client: config.Client, Tokens: config.Tokens, TenantID: config.TenantID, Location: config.Location, Exists: f.resources.Exists, Now: config.Now,
	}
	f.backups = &backup.Provider{
		Client: config.Client, Tokens: config.Tokens, Clusters: clusters, Files: config.Backups,
		Location: config.Location, TenantID: config.TenantID, Now: config.Now,
	}
	clusters.Backups = f.backups
	f.clients = &principal.Provider{Client: config.Client, Tokens: config.Tokens, Location: config.Location, Now: config.Now}
	f.identities = &managedidentity.Provider{Client: config.Client, TenantID: config.TenantID, Location: config.Location}
	f.networks = &network.Provider{Client: config.Client, Tokens: config.Tokens, Operations: store, Location: config.Location, Now: config.Now}
	f.nodes = &nodegroup.Provider{Client: config.Client, Location: config.Location, NetworkVersions: network.Versions()}
	f.activity = &activity.Provider{History: config.History, Operations: store, Tokens: config.Tokens, Location: config.Location, TenantID: config.TenantID}
	f.resources.Namespaces = append(f.resources.Namespaces,
		resources.Namespace{Name: activity.Namespace, Types: resourceTypes(f.activity.ResourceTypes())},
		resources.Namespace{Name: managedidentity.Namespace, Types: resourceTypes(f.identities.ResourceTypes()), List: f.identities.ListResources, Holds: f.identities.Holds},
		resources.Namespace{Name: network.Namespace, Types: append(resourceTypes(f.networks.ResourceTypes()), resourceTypes(f.nodes.ResourceTypes(network.Namespace))...), List: both(f.networks.ListResources, f.nodes.ListResources(network.Namespace)), HasNested: f.networks.HasNested, Holds: f.networks.Holds},
		resources.Namespace{Name: nodegroup.Compute, Types: resourceTypes(f.nodes.ResourceTypes(nodegroup.Compute)), List: f.nodes.ListResources(nodegroup.Compute)},
		resources.Namespace{Name: authorization.Namespace, Types: resourceTypes(f.roles.ResourceTypes())},
		resources.Namespace{Name: containerservice.BerthNamespace, Types: append(resourceTypes(clusters.BerthResourceTypes()), resourceTypes(f.backups.ResourceTypes())...)},
		resources.Namespace{Name: principal.Namespace, Types: resourceTypes(f.clients.ResourceTypes())})
	if f.metrics, err = newMetrics(config.Registerer); err != nil {
		return nil, fmt.Errorf("registering the front end's metrics: %w", err)
	}
	if f.router, err = arm.NewRouter(f.routes(clusters)); err != nil {
		return nil, fmt.Errorf("wiring routes: %w", err)
	}
	return f, nil
}

// routes is every route of the service, in the order in which they are tried.
func (f *frontend) routes(clusters *containerservice.Provider) []arm.Route {
	var routes []arm.Route
	routes = append(routes, arm.Route{Method: http.MethodGet, Pattern: "/metadata/endpoints", Public: true, Handle: f.metadata})
	routes = append(routes, clusters.Routes()...)
	routes = append(routes, f.backups.Routes()...)
	routes = append(routes, f.roles.Routes()...)
	routes = append(routes, f.clients.Routes()...)
	routes = append(routes, f.identities.Routes()...)
	routes = append(routes, f.networks.Routes()...)
	routes = append(routes, f.nodes.Routes()...)
	routes = append(routes, f.activity.Routes()...)
	routes = append(routes, f.resources.Routes()...)
	routes = append(routes, operationLists(routes, f.config.Location)...)
	routes = append(routes, f.config.Tokens.Routes()...)
	return routes
}

// lister lists resources as resources.Namespace has it.
type lister = func(ctx context.Context, subscriptionID, group string) ([]resources.Resource, error)

// both lists what two list.
func both(one, other lister) lister {
	return func(ctx context.Context, subscriptionID, group string) ([]resources.Resource, error) {
		all, err := one(ctx, subscriptionID, group)
		if err != nil {
			return nil, err
		}
		more, err := other(ctx, subscriptionID, group)
		return append(all, more...), err
	}
}

func resourceTypes(versions map[string][]string) []resources.ResourceType {
	var types []resources.ResourceType
	for name, list := range versions {
		types = append(types, resources.ResourceType{Name: name, Versions: list})
	}
	sort.Slice(types, func(i, j int) bool { return types[i].Name < types[j].Name })
	return types
}

// Server is an http.Server with the limits that cut off slow and oversized
// clients. Its address and TLS configuration are the caller's to set.
func Server(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       60 * time.Second,
		WriteTimeout:      90 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		// A stream that is reset counts until its handler has ended, so that opening
		// and resetting streams keeps no more handlers busy than asking properly.
		HTTP2: &http.HTTP2Config{MaxConcurrentStreams: maxStreams, SendPingTimeout: time.Minute, PingTimeout: 15 * time.Second},
	}
}

// maxStreams is how many requests one connection may have in hand at once; the
// least that RFC 9113 recommends.
const maxStreams = 100

// requestTimeout is how long one request may take; ARM's own front door gives up then too.
const requestTimeout = 60 * time.Second

// withTimeout bounds a request, so that a management API that hangs is
// answered with an error and not with silence.
func withTimeout(r *http.Request) (*http.Request, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	return r.WithContext(ctx), cancel
}
