package app

import (
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"berth.dev/berth/internal/controller"
	"berth.dev/berth/internal/dns"
	"berth.dev/berth/internal/host/agent"
	"berth.dev/berth/internal/management/sieve"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/release"
)

// The terms of the leadership among the processes of a shared management API:
// another takes over at most so long after the leader died.
const (
	leaseName     = "berth-controllers"
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// newManager makes the manager with every controller and, where there is one,
// the host agent. With a management API of its own one daemon holds the home,
// so there is no leader to elect; where several share one, a Lease says whose
// controllers work.
func (d *daemon) newManager(config *rest.Config, scheme *runtime.Scheme, l *listening) (manager.Manager, error) {
	sifted, err := sieve.New(config, scheme, newMapper(scheme), d.log)
	if err != nil {
		return nil, err
	}
	metrics.Registry.Unregister(sifted.Collector()) // that of a service which this process ran before
	if err := metrics.Registry.Register(sifted.Collector()); err != nil {
		return nil, fmt.Errorf("counting damaged objects: %w", err)
	}
	timeout, lease, renew, retry := shutdownTimeout, leaseDuration, renewDeadline, retryPeriod
	m, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		MapperProvider: func(*rest.Config, *http.Client) (apimeta.RESTMapper, error) {
			return newMapper(scheme), nil
		},
		// One object that cannot be read stops nobody else's controllers.
		NewCache: func(config *rest.Config, options cache.Options) (cache.Cache, error) {
			options.NewInformer = sifted.Informer
			filled, err := cache.New(config, options)
			return sifted.Cache(filled), err
		},
		// Secrets lie in one namespace; nothing else of the API server's own is watched.
		Cache: cache.Options{ByObject: map[client.Object]cache.ByObject{
			&corev1.Secret{}: {Namespaces: map[string]cache.Config{naming.SystemNamespace: {}}},
		}},
		Metrics:                 metricsserver.Options{BindAddress: "0"}, // served with the daemon's own
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: &timeout,
		LeaderElection:          d.options.shared(), LeaderElectionID: leaseName, LeaderElectionNamespace: naming.SystemNamespace,
		LeaderElectionReleaseOnCancel: true, // the process ends when its controllers have
		LeaseDuration:                 &lease, RenewDeadline: &renew, RetryPeriod: &retry,
	})
	if err != nil {
		return nil, fmt.Errorf("making the controller manager: %w", err)
	}
	m = sound{Manager: m, reader: sifted.Reader(m.GetAPIReader())}
	if err := controller.Add(m, controller.Dependencies{
		History: d.history, Releases: d.releases, Zone: d.options.DNSZone, TenantID: l.identity.TenantID,
		UpstreamDNS: l.plan.DNS.String(), NodeReadyTimeout: d.options.NodeReadyTimeout, Clock: clock.RealClock{},
	}); err != nil {
		return nil, fmt.Errorf("adding the controllers: %w", err)
	}
	if !d.hosts() {
		return m, nil
	}
	var versions []string
	for _, v := range release.Versions() {
		versions = append(versions, v.Version)
	}
	return m, agent.Add(resident{m}, agent.Dependencies{
		Home: d.home, HostName: naming.LocalHost, Clock: clock.RealClock{},
		Runtime: d.drivers.runtime, Provider: d.drivers.provider, Fabric: d.drivers.fabric, Prober: d.drivers.prober,
		Backups: d.drivers.backups, Disks: d.drivers.disks, TenantID: l.identity.TenantID,
		Releases: d.releases, Versions: versions, Names: d.drivers.names, DNS: d.zone(l.plan),
	})
}

// sound is a manager whose reader of the API itself tells damaged objects from
// the others.
type sound struct {
	manager.Manager
	reader client.Reader
}

// GetAPIReader implements manager.Manager.
func (s sound) GetAPIReader() client.Reader { return s.reader }

// zone is the install's DNS as it is without clusters.
func (d *daemon) zone(plan network.PublicPlan) dns.Desired {
	management, login := dns.ServiceNames(d.options.Location, d.options.DNSZone)
	return dns.Desired{
		Zone: dns.Zone{Name: d.options.DNSZone, Server: plan.DNS, Records: []dns.Record{
			{Name: management, Address: plan.FrontEnd}, {Name: login, Address: plan.FrontEnd},
		}},
		Program: d.binaries["coredns"], NetworkNamespace: d.drivers.fabric.EdgeNamespace(),
	}
}
