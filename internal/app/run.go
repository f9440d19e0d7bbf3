package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	hostapi "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/cloud"
	"berth.dev/berth/internal/history"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/host/agent"
	"berth.dev/berth/internal/management"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/preflight"
	"berth.dev/berth/internal/release"
	"berth.dev/berth/internal/serviceca"
)

// ErrPreflight says that the host lacks something; the message names it all.
var ErrPreflight = errors.New("this host cannot run Berth as it is")

// daemon is one run of the service.
type daemon struct {
	options  Options
	home     home.Home
	log      *slog.Logger
	record   *record
	releases *release.Store
	drivers  drivers
	history  operationHistory
	// supervisor is the program that outlives the daemon.
	supervisor string
	// management is the install's own management API, nil if it has none.
	management *management.Server
	// binaries are those of the default release, by name.
	binaries map[string]string
	// admission is held by whoever gives out room of the hosts.
	admission sync.Mutex
}

// Run is the daemon: it starts everything, serves until the context ends, and
// leaves what runs clusters running.
func Run(ctx context.Context, o Options, output io.Writer) error {
	log := newLogger(o.LogFormat, output)
	if err := awaitRemains(ctx, o.Home); err != nil {
		return err
	}
	if err := checkHost(o, log); err != nil {
		return err
	}
	h, err := home.Create(o.Home, instanceInUse)
	if err != nil {
		return err
	}
	lock, err := h.Lock()
	if err != nil {
		return err
	}
	defer func() { _ = lock.Release() }() // it ends with the process at the latest
	log = log.With("instance", h.Instance)
	record, err := newRecord(h, log)
	if err != nil {
		return err
	}
	d := &daemon{options: o, home: h, log: log, record: record}
	err = d.run(ctx)
	record.update(func(r *home.Daemon) {
		r.Phase, r.Message = home.PhaseStopped, ""
		if err != nil {
			r.Phase, r.Message = home.PhaseFailed, err.Error()
		}
	})
	log.Info("stopped", "error", err)
	return err
}

// checkHost refuses a host that lacks what Berth cannot do without.
func checkHost(o Options, log *slog.Logger) error {
	if role(o.Role) != roleAll {
		return nil // it does nothing to its host
	}
	findings := preflight.Check(o.preflight())
	if !preflight.Failed(findings) {
		for _, f := range preflight.Unmet(findings) {
			log.Warn("preflight: "+f.Message, "check", f.Name, "mend", f.Mend)
		}
		return nil
	}
	var screen strings.Builder
	if err := preflight.Render(&screen, preflight.Unmet(findings)); err != nil {
		return err
	}
	return fmt.Errorf("%w:\n%s", ErrPreflight, screen.String())
}

// run starts the parts in order and serves.
func (d *daemon) run(ctx context.Context) error {
	if err := d.prepare(ctx); err != nil {
		return err
	}
	l, err := d.listen()
	if err != nil {
		return err
	}
	defer l.close()
	config, err := d.reachManagement(ctx)
	if err != nil {
		return err
	}
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	// Uncached: a GET after an acknowledged write has to return that write.
	live, err := client.New(config, client.Options{Scheme: scheme, Mapper: newMapper(scheme)})
	if err != nil {
		return fmt.Errorf("reaching the management API: %w", err)
	}
	closeHistory, err := d.openHistory(live)
	if err != nil {
		return err
	}
	defer closeHistory()
	if err := d.bootstrap(ctx, live, l); err != nil {
		return err
	}
	if !d.controls() {
		return d.serve(ctx, nil, live, l)
	}
	m, err := d.newManager(config, scheme, l)
	if err != nil {
		return err
	}
	return d.serve(ctx, m, live, l)
}

// ensureRelease makes sure that the default release is built: the management
// API runs the same binaries that clusters get.
func (d *daemon) ensureRelease(ctx context.Context) (release.Artifacts, error) {
	var err error
	if d.releases, err = release.Open(release.Options{Dir: d.options.CacheDir, InstallPackages: true}); err != nil {
		return release.Artifacts{}, err
	}
	version, ok := release.Resolve("")
	if !ok {
		return release.Artifacts{}, errors.New("the catalog of releases has no default")
	}
	if artifacts, built := d.releases.Lookup(version.Version); built {
		return artifacts, nil
	}
	d.log.Info("building the default release", "version", version.Version, "cache", d.options.CacheDir)
	artifacts, err := d.releases.Build(ctx, version.Version, func(p release.Progress) { d.record.Report(agent.Describe(p)) })
	if err != nil {
		return artifacts, fmt.Errorf("building Kubernetes %s: %w", version.Version, err)
	}
	return artifacts, nil
}

// listening is what the daemon answers on and as whom.
type listening struct {
	front, edge, metrics net.Listener
	plan                 network.PublicPlan
	identity             cloud.Cloud
}

func (l *listening) close() {
	for _, listener := range []net.Listener{l.front, l.edge, l.metrics} {
		if listener != nil {
			listener.Close()
		}
	}
}

// listen opens the listeners on the host, stores which they are, and names
// the install's identity after them.
func (d *daemon) listen() (*listening, error) {
	l := &listening{}
	err := func() (err error) {
		if l.front, err = listenFront(d.options.Listen); err != nil {
			return err
		}
		if l.metrics, err = listenMetrics(d.options.MetricsListen); err != nil {
			return err
		}
		d.options.Listen, d.options.MetricsListen = l.front.Addr().String(), l.metrics.Addr().String()
		if err := d.options.store(d.home); err != nil {
			return err
		}
		l.identity, err = ensureIdentity(d.home, d.options, d.publicURL())
		return err
	}()
	if err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// serve runs everything that goes on until the context ends.
func (d *daemon) serve(ctx context.Context, m manager.Manager, live client.Client, l *listening) error {
	reader, err := d.reader(ctx, m, live)
	if err != nil {
		return err
	}
	handler, err := d.newFrontEnd(ctx, reader, l)
	if err != nil {
		return err
	}
	if err := d.addAutoUpgrades(m, reader); err != nil {
		return err
	}
	if err := d.addPowerSchedules(m, reader); err != nil {
		return err
	}
	if err := d.addBackupSchedules(m, reader); err != nil {
		return err
	}
	if err := d.addQueue(m, reader); err != nil {
		return err
	}
	if err := d.addPrestarted(m, l); err != nil {
		return err
	}
	authority, err := ensureAuthority(d.home)
	if err != nil {
		return err
	}
	server := newServer(handler, d.log)
	certificates := newCertificates(authority, d.options, l.plan.FrontEnd)
	certificates.keeper = serviceca.New(d.home)
	server.TLSConfig = tlsConfig(certificates)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return serve(groupCtx, server, limited(l.fronts(), d.options.MaxConnections)...) })
	group.Go(func() error { return serve(groupCtx, newServer(d.newMetrics(m, live), d.log), l.metrics) })
	group.Go(func() error { return d.control(groupCtx, m) })
	group.Go(func() error { return d.keepManagement(groupCtx) })
	group.Go(func() error { return d.tidy(groupCtx) })
	group.Go(func() error {
		if err := d.waitForHost(groupCtx, m); err != nil {
			return err
		}
		d.ready(l)
		return nil
	})
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// waitForHost waits until the host agent has reported what this host has:
// before that nothing can be admitted. It ends with the
// context's error when the daemon is stopped before.
func (d *daemon) waitForHost(ctx context.Context, m manager.Manager) error {
	if !d.hosts() {
		return nil
	}
	if !m.GetCache().WaitForCacheSync(ctx) {
		return ctx.Err()
	}
	tick := time.NewTicker(hostInterval)
	defer tick.Stop()
	for {
		var host hostapi.Host
		err := m.GetClient().Get(ctx, client.ObjectKey{Name: naming.LocalHost}, &host)
		if err == nil && host.Status.CPUs > 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// hostInterval is how often the host's report is looked for.
const hostInterval = 10 * time.Millisecond

// ready tells whoever waits.
func (d *daemon) ready(l *listening) {
	d.record.update(func(r *home.Daemon) {
		r.Phase, r.Message, r.Ready = home.PhaseReady, "", time.Now().UTC()
		r.ARMEndpoint = d.localURL()
		r.EdgeEndpoint = l.edgeURL()
		r.MetricsEndpoint = "http://" + l.metrics.Addr().String()
	})
	d.log.Info("ready", "arm", d.localURL(), "edge", l.edgeURL(), "metrics", "http://"+l.metrics.Addr().String())
}

// localURL is the front end's address on this host.
func (d *daemon) localURL() string {
	address, err := netip.ParseAddrPort(d.options.Listen)
	if err != nil || address.Addr().IsUnspecified() {
		_, port, _ := net.SplitHostPort(d.options.Listen)
		return "https://127.0.0.1:" + port
	}
	return "https://" + address.String()
}

// publicURL is the address that clients are told.
func (d *daemon) publicURL() string {
	if d.options.PublicURL != "" {
		return strings.TrimRight(d.options.PublicURL, "/")
	}
	return d.localURL()
}

// tidy drops operations that are past their retention and keeps the log within
// limits, at the start and every so often.
func (d *daemon) tidy(ctx context.Context) error {
	tick := time.NewTicker(tidyInterval)
	defer tick.Stop()
	for {
		d.prune()
		if err := rotateLog(d.home); err != nil {
			d.log.Warn("cannot rotate the log", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// prune drops old operations; a front end leaves that to who has controllers.
func (d *daemon) prune() {
	if !d.controls() {
		return
	}
	if _, err := d.history.Prune(time.Now().Add(-history.Retention)); err != nil {
		d.log.Warn("cannot prune the operation history", "error", err)
	}
}

// tidyInterval is how often the history and the log are looked at.
const tidyInterval = 5 * time.Minute

// newLogger is the daemon's log, which the libraries write to as well.
func newLogger(format string, output io.Writer) *slog.Logger {
	if output == nil {
		output = os.Stderr
	}
	var handler slog.Handler = slog.NewTextHandler(output, nil)
	if format == "json" {
		handler = slog.NewJSONHandler(output, nil)
	}
	sink := logr.FromSlogHandler(handler)
	ctrl.SetLogger(sink)
	klog.SetLogger(sink)
	return slog.New(handler)
}

// health answers ok, or why not.
func health(check func(*http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := check(r); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	}
}
