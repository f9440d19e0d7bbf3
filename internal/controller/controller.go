// Package controller lists the central controllers that need nothing but the
// management API and the tenants; those that ask a resource provider as a caller
// would, or need the service's options, are added by package app. They decide what
// should exist in the management API. None of them touches a host; that is the host
// agent's business.
package controller

import (
	"context"
	"fmt"
	"time"

	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"berth.dev/berth/internal/controller/agentpool"
	"berth.dev/berth/internal/controller/certificate"
	"berth.dev/berth/internal/controller/cloudnode"
	"berth.dev/berth/internal/controller/command"
	"berth.dev/berth/internal/controller/disk"
	"berth.dev/berth/internal/controller/fleet"
	"berth.dev/berth/internal/controller/machine"
	"berth.dev/berth/internal/controller/managedcluster"
	"berth.dev/berth/internal/controller/managedidentity"
	"berth.dev/berth/internal/controller/network"
	"berth.dev/berth/internal/controller/operation"
	"berth.dev/berth/internal/controller/resourcegroup"
	"berth.dev/berth/internal/controller/service"
	"berth.dev/berth/internal/identity"
	"berth.dev/berth/internal/tenant"
)

// Dependencies are what the controllers need beside the manager.
type Dependencies struct {
	// History keeps ended operations.
	History managedcluster.History
	// Releases finds built releases.
	Releases managedcluster.Releases
	// Zone is the install zone that the clusters' names lie in.
	Zone string
	// TenantID is the directory that the clusters' issuers name.
	TenantID string
	// UpstreamDNS is the address of the DNS that answers the clusters' queries
	// for names outside of them; empty: nothing does.
	UpstreamDNS string
	// NodeReadyTimeout is how long a new node has to become ready; 0 means the default.
	NodeReadyTimeout time.Duration
	// Clock is the time; nil means the real one.
	Clock clock.PassiveClock
	// Dial connects a tenant; nil means tenant.Dial.
	Dial func(tenant.Endpoint) (tenant.Connection, error)
}

// servicesAtOnce is how many services of one cluster are written at a time.
const servicesAtOnce = 8

// Add adds the controllers of this list to a manager.
func Add(manager ctrl.Manager, d Dependencies) error {
	if d.Clock == nil {
		d.Clock = clock.RealClock{}
	}
	if d.Dial == nil {
		d.Dial = tenant.Dial
	}
	if err := fleet.Index(context.Background(), manager.GetFieldIndexer()); err != nil {
		return err
	}
	c, reader := manager.GetClient(), manager.GetAPIReader()
	tenants := tenant.NewRegistry(d.Dial)
	if err := manager.Add(tenants); err != nil {
		return fmt.Errorf("adding the tenants: %w", err)
	}
	withheld, err := service.NewMetrics(metrics.Registry)
	if err != nil {
		return fmt.Errorf("adding the metrics of services: %w", err)
	}
	for name, err := range map[string]error{
		"managedcluster": managedcluster.NewController(managedcluster.Config{
			Client: c, Reader: reader, Clock: d.Clock, Tenants: tenants, History: d.History, Releases: d.Releases,
			Zone: d.Zone, TenantID: d.TenantID, UpstreamDNS: d.UpstreamDNS,
		}).Register(manager),
		"agentpool":   agentpool.NewController(c, reader, d.Clock).NodesReadyWithin(d.NodeReadyTimeout).Register(manager),
		"machine":     machine.NewController(machine.Config{Client: c, Reader: reader, Clock: d.Clock, Tenants: tenants}).Register(manager, tenants),
		"certificate": certificate.NewController(reader, d.Clock, tenants).Register(manager, tenants),
		"service": service.NewController(service.Config{
			Client: c, Reader: reader, Clock: d.Clock, Tenants: tenants, Permissions: identity.Permissions{Reader: c}, Metrics: withheld,
			Parallel: servicesAtOnce,
		}).Register(manager, tenants),
		"cloudnode": cloudnode.NewController(c, reader, tenants).Register(manager, tenants),
		"disk":      disk.NewController(disk.Config{Client: c, Reader: reader, Clock: d.Clock, Tenants: tenants}).Register(manager, tenants),
		"command": command.NewController(command.Config{
			Client: c, Reader: reader, Clock: d.Clock, Tenants: tenants, Releases: d.Releases,
		}).Register(manager, tenants),
		"network":         network.NewController(c, reader, d.Clock).Register(manager),
		"managedidentity": managedidentity.NewController(c, reader).Register(manager),
		"resourcegroup":   resourcegroup.NewController(c, reader, d.Clock).Register(manager),
		"operation":       operation.NewController(c, reader, d.Clock, d.History).Register(manager),
	} {
		if err != nil {
			return fmt.Errorf("adding the controller %s: %w", name, err)
		}
	}
	return nil
}
