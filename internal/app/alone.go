package app

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/netip"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	hostapi "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/network"
)

// FrontEndAlone runs the front end of an install as Run does, over a management
// API and caches of its own, with nothing behind it: no controllers, no host
// agent, no edge. Its clusters are objects that no host has to hold, and its
// host gives out all that is asked for. It is there to be measured (bench/): no
// command starts it. supervisor is the path of the berth-supervisor program.
func FrontEndAlone(ctx context.Context, o Options, supervisor string, output io.Writer) error {
	log := newLogger(o.LogFormat, output)
	h, err := home.Create(o.Home, instanceInUse)
	if err != nil {
		return err
	}
	lock, err := h.Lock()
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // it ends with the process at the latest
	record, err := newRecord(h, log)
	if err != nil {
		return err
	}
	d := &daemon{options: o, home: h, log: log, record: record}
	if d.supervisor, err = h.InstallProgram(supervisor); err != nil {
		return err
	}
	if d.drivers, err = newDrivers(h, d.supervisor, ""); err != nil {
		return err
	}
	artifacts, err := d.ensureRelease(ctx)
	if err != nil {
		return err
	}
	d.binaries = artifacts.Binaries
	l, err := d.listen()
	if err != nil {
		return err
	}
	defer l.close()
	config, err := d.reachManagement(ctx)
	if err != nil {
		return err
	}
	return d.serveAlone(ctx, config, l)
}

// serveAlone makes the objects that the front end needs, and serves.
func (d *daemon) serveAlone(ctx context.Context, config *rest.Config, l *listening) error {
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	live, err := client.New(config, client.Options{Scheme: scheme, Mapper: newMapper(scheme)})
	if err != nil {
		return fmt.Errorf("reaching the management API: %w", err)
	}
	closeHistory, err := d.openHistory(live)
	if err != nil {
		return err
	}
	defer closeHistory()
	if err := ensurePrincipal(ctx, live, l.identity); err != nil {
		return err
	}
	host, err := storeHost(ctx, live, d.options, d.home.Instance)
	if err != nil {
		return err
	}
	host.Status = hostapi.HostStatus{CPUs: math.MaxInt16, MemoryMiB: math.MaxInt32}
	if err := live.Status().Update(ctx, host); err != nil {
		return fmt.Errorf("saying what the host has: %w", err)
	}
	prefix, err := netip.ParsePrefix(host.Spec.PublicRange)
	if err != nil {
		return fmt.Errorf("reading the host's public range: %w", err)
	}
	l.plan = network.PlanPublicRange(prefix)
	m, err := ctrl.NewManager(config, ctrl.Options{ // for its caches
		Scheme:         scheme,
		MapperProvider: func(*rest.Config, *http.Client) (apimeta.RESTMapper, error) { return newMapper(scheme), nil },
		Metrics:        metricsserver.Options{BindAddress: "0"}, HealthProbeBindAddress: "0",
	})
	if err != nil {
		return fmt.Errorf("making the caches: %w", err)
	}
	return d.serve(ctx, m, live, l)
}
