package app

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	authorization "berth.dev/berth/api/authorization/v1alpha1"
	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	resources "berth.dev/berth/api/resources/v1alpha1"
	"berth.dev/berth/internal/dns"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/throttle"
)

// mirrored are the kinds that the front end reads for almost every request.
func mirrored() []client.Object {
	return []client.Object{
		&containerservice.ManagedCluster{}, &containerservice.AgentPool{}, &hostapi.Host{},
		&resources.ResourceGroup{}, &resources.Subscription{}, &authorization.ServicePrincipal{},
	}
}

// newFrontEnd makes the ARM front end with its token service.
func (d *daemon) newFrontEnd(ctx context.Context, live client.Client, l *listening) (http.Handler, error) {
	management, login := dns.ServiceNames(d.options.Location, d.options.DNSZone)
	endpoints := []string{d.localURL(), "https://" + l.plan.FrontEnd.String(), "https://" + management, "https://" + login}
	tokens, err := identity.NewService(ctx, identity.Options{
		Client: live, TenantID: l.identity.TenantID, PublicURL: d.publicURL(), Endpoints: endpoints,
	})
	if err != nil {
		return nil, err
	}
	handler, err := frontend.New(frontend.Config{
		Client: live, History: d.history, Tokens: tokens, Backups: d.drivers.backups, TenantID: l.identity.TenantID,
		Location: d.options.Location, DNSZone: d.options.DNSZone, PublicURL: d.publicURL(),
		Shared: d.options.shared(), Admission: &d.admission, AllowNoAgentPools: d.options.AllowNoAgentPools, DNSResolvable: d.options.DNSResolvable,
		RecordUnsupported: d.options.UnsupportedProperties == recordUnsupported,
		UpgradeSoak:       d.options.UpgradeSoak, ControlPlaneSoak: d.options.ControlPlaneSoak,
		Throttle: throttle.Mode(d.options.Throttle), Log: d.log, Registerer: metrics.Registry,
	})
	if err != nil {
		return nil, fmt.Errorf("making the front end: %w", err)
	}
	return handler, nil
}

// tlsConfig is how the front end speaks TLS.
func tlsConfig(c *certificates) *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
}

// healthTimeout is how long a health check may take.
const healthTimeout = 2 * time.Second

// newMetrics serves the metrics and the health of the daemon: /healthz while
// it runs, /readyz while it can also do its work.
func (d *daemon) newMetrics(m manager.Manager, live client.Client) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/metrics", promhttp.HandlerFor(metrics.Registry, promhttp.HandlerOpts{}))
	mux.Handle("/healthz", health(func(*http.Request) error { return nil }))
	mux.Handle("/readyz", health(func(r *http.Request) error {
		ctx, cancel := context.WithTimeout(r.Context(), healthTimeout)
		defer cancel()
		if m != nil && !m.GetCache().WaitForCacheSync(ctx) {
			return fmt.Errorf("the controllers' caches are not filled yet")
		}
		if err := live.Get(ctx, client.ObjectKey{Name: naming.LocalHost}, &hostapi.Host{}); err != nil {
			return fmt.Errorf("the management API does not answer: %w", err)
		}
		return nil
	}))
	return mux
}
