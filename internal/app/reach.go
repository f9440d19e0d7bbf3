package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"berth.dev/berth/api/crds"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/frontend"
	"berth.dev/berth/internal/history"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/management"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
)

// operationHistory keeps ended operations.
type operationHistory interface {
	frontend.History
	Put(record history.Record) error
	Prune(before time.Time) (pruned int, err error)
}

// prepare makes what this process needs of its host before it reaches out.
func (d *daemon) prepare(ctx context.Context) error {
	if d.options.shared() {
		if _, err := management.New(d.home, "", nil).Config(); !errors.Is(err, management.ErrNotStarted) {
			return errors.Join(errOwnManagement, err)
		}
	}
	var err error
	if d.hosts() {
		if d.supervisor, err = installSupervisor(d.home); err != nil {
			return err
		}
		prober, err := installBeside(d.home, proberName)
		if err != nil {
			return err
		}
		if d.drivers, err = newDrivers(d.home, d.supervisor, prober); err != nil {
			return err
		}
	}
	if !d.controls() {
		return nil
	}
	artifacts, err := d.ensureRelease(ctx)
	d.binaries = artifacts.Binaries
	return err
}

// reachManagement starts or adopts the install's own management API, or reaches
// the one that was named, and brings its definitions up to date.
func (d *daemon) reachManagement(ctx context.Context) (*rest.Config, error) {
	if !d.options.shared() {
		d.management = management.New(d.home, d.supervisor, d.binaries)
		return d.ensureManagement(ctx, d.management)
	}
	config, err := management.External(d.options.ManagementKubeconfig)
	if err != nil || !d.controls() {
		return config, err
	}
	d.record.Report("applying the definitions of Berth's kinds")
	return config, management.ApplySharedDefinitions(ctx, config, crds.Files)
}

// managementShares puts the management API ahead of the control planes (cpuShares of package
// process): while some start, what all others ask of the service is answered.
const managementShares = 64 * 1024

// ensureManagement starts or adopts the management API and brings its
// definitions up to date.
func (d *daemon) ensureManagement(ctx context.Context, server *management.Server) (*rest.Config, error) {
	d.record.Report("starting the management API")
	if err := d.drivers.cgroups.Create(server.CgroupPath(), cgroup.Limits{CPUShares: managementShares}); err != nil {
		return nil, fmt.Errorf("making the cgroup of the management API: %w", err)
	}
	config, err := server.Ensure(ctx)
	if err != nil {
		return nil, err
	}
	d.record.Report("applying the definitions of Berth's kinds")
	return config, management.ApplyDefinitions(ctx, config, crds.Files)
}

// managementConfig is how to reach the management API of a home, its own or
// the one that it was last started with.
func managementConfig(h home.Home) (*rest.Config, error) {
	stored, err := (&Options{Home: h.Dir}).stored()
	if err != nil {
		return nil, err
	}
	if file := stored["management-kubeconfig"]; file != "" {
		return management.External(file)
	}
	return management.New(h, "", nil).Config()
}

// openHistory opens the history: a file of the install's own, or what all
// processes of a shared management API have in common.
func (d *daemon) openHistory(live client.Client) (closeHistory func(), err error) {
	if d.options.shared() {
		d.history = history.NewShared(live)
		return func() {}, nil
	}
	file, err := history.Open(d.home.HistoryFile())
	if err != nil {
		return nil, err
	}
	d.history = file
	return func() { file.Close() }, nil
}

// bootstrap makes the objects that everything else starts from, the edge, and
// the listener on it, as far as they are this process's to make.
func (d *daemon) bootstrap(ctx context.Context, live client.Client, l *listening) error {
	if d.options.shared() {
		if err := d.join(ctx, live, l); err != nil {
			return err
		}
	}
	group, groupCtx := errgroup.WithContext(ctx)
	if d.controls() {
		group.Go(func() error { return ensurePrincipal(groupCtx, live, l.identity) })
		group.Go(func() error { return ensureBackupKeys(groupCtx, live) })
	}
	group.Go(func() (err error) {
		if !d.hosts() {
			l.plan, err = knownPlan(groupCtx, live)
			return err
		}
		d.record.Report("making the edge")
		l.plan, err = ensureHost(groupCtx, live, d.options, d.home.Instance, d.drivers.fabric)
		return err
	})
	if err := group.Wait(); err != nil || !d.hosts() {
		return err
	}
	var err error
	if l.edge, err = listenIn(d.drivers.fabric.EdgeNamespace(), netip.AddrPortFrom(l.plan.FrontEnd, 443).String()); err != nil {
		return fmt.Errorf("listening for ARM on the edge: %w", err)
	}
	return nil
}

// knownPlan is the address plan of the host that another process looks after.
func knownPlan(ctx context.Context, live client.Client) (network.PublicPlan, error) {
	var host hostapi.Host
	err := live.Get(ctx, client.ObjectKey{Name: naming.LocalHost}, &host)
	if apierrors.IsNotFound(err) {
		return network.PublicPlan{}, fmt.Errorf("no host has joined this management API yet: start the process of the role %s first", roleAll)
	}
	if err != nil {
		return network.PublicPlan{}, fmt.Errorf("reading the host: %w", err)
	}
	prefix, err := netip.ParsePrefix(host.Spec.PublicRange)
	if err != nil {
		return network.PublicPlan{}, fmt.Errorf("reading the host's public range: %w", err)
	}
	return network.PlanPublicRange(prefix), nil
}
