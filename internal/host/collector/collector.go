// Package collector removes what nobody owns: machines, control planes,
// endpoints and networks on this host, and claims and Secrets in the management
// API, whose owners are gone. In the ordinary course there is none, since every
// object removes what it made before it goes; what a fault or a hand left over
// is found here.
//
// It must not remove what is being made: the host is looked at before the
// objects are, everything that is made has its object first, and what looks
// unowned is removed only if it still does after a grace period. It sees what
// carries this instance's name alone, because the drivers list nothing else.
package collector

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/network"
)

// The times of the collector.
const (
	// Grace is how long something has to look unowned before it is removed.
	Grace = 5 * time.Minute
	// every is the time between two looks.
	every = 2 * time.Minute
	// again is the time to the next look while a removal is under way.
	again = 2 * time.Second
)

// Config is what a Collector works with.
type Config struct {
	// Client deletes; Reader reads the API server itself, never a cache.
	Client client.Client
	Reader client.Reader
	// The drivers of this host.
	Runtime  controlplane.Runtime
	Provider machine.Provider
	Fabric   network.Fabric
	Backups  Backups
	Disks    machine.Disks

	Clock      clock.Clock
	Registerer prometheus.Registerer
}

// Backups keeps the files of backups.
type Backups interface {
	// List names every backup of which anything is left.
	List() ([]string, error)
	// Remove removes all of one.
	Remove(ctx context.Context, id string) error
}

// Collector looks from time to time and remembers what looked unowned.
type Collector struct {
	config  Config
	removed *prometheus.CounterVec
	// since is when a thing was first seen without an owner.
	since map[thing]time.Time
}

// thing is something that may have lost its owner.
type thing struct {
	// Kind is what it is, in words; Name is its id or the object's name.
	kind, name string
}

// found is a thing with what it takes to judge and remove it.
type found struct {
	thing
	owned  func(*owners) bool
	remove func(context.Context) error
}

// New makes a Collector; its metric is registered at once.
func New(config Config) (*Collector, error) {
	c := &Collector{config: config, since: map[thing]time.Time{}, removed: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "berth_collected_total", Help: "Things without an owner that the collector removed, by kind.",
	}, []string{"kind"})}
	if err := config.Registerer.Register(c.removed); err != nil {
		return nil, fmt.Errorf("registering the collector's metric: %w", err)
	}
	return c, nil
}

// Start looks at once and then from time to time until the context ends.
func (c *Collector) Start(ctx context.Context) error {
	for {
		next, err := c.look(ctx)
		if err != nil && ctx.Err() == nil {
			log.FromContext(ctx).Error(err, "collecting what nobody owns")
		}
		timer := c.config.Clock.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C():
		}
	}
}

// look looks once, removes what has had no owner for the grace period, and says
// when to look again.
func (c *Collector) look(ctx context.Context) (next time.Duration, err error) {
	all, err := c.find(ctx) // before the owners: whatever is found had its object first
	if err != nil {
		return every, err
	}
	owners, err := readOwners(ctx, c.config.Reader)
	if err != nil {
		return every, err
	}
	now, unowned, errs := c.config.Clock.Now(), map[thing]time.Time{}, []error(nil)
	next = every
	for _, f := range all {
		if f.owned(owners) {
			continue
		}
		first, known := c.since[f.thing]
		if !known {
			first = now
			log.FromContext(ctx).Info("nobody owns this", "kind", f.kind, "name", f.name, "removedAfter", Grace.String())
		}
		unowned[f.thing] = first
		if now.Sub(first) < Grace {
			continue
		}
		gone, err := c.collect(ctx, f)
		errs = append(errs, err)
		if !gone && err == nil {
			next = again
		}
	}
	c.since = unowned
	return next, errors.Join(errs...)
}

// collect removes a thing after a last look at the owners; false if it is still there.
func (c *Collector) collect(ctx context.Context, f found) (gone bool, err error) {
	owners, err := readOwners(ctx, c.config.Reader)
	if err != nil || f.owned(owners) {
		return false, err
	}
	err = f.remove(ctx)
	if errors.Is(err, machine.ErrInProgress) || errors.Is(err, controlplane.ErrInProgress) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("removing the %s %s, which nobody owns: %w", f.kind, f.name, err)
	}
	c.removed.WithLabelValues(f.kind).Inc()
	log.FromContext(ctx).Info("removed what nobody owned", "kind", f.kind, "name", f.name)
	return true, nil
}
