package health

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"sync"
	"time"

	"berth.dev/berth/internal/network"
)

// The times of the prober.
const (
	// lookInterval is how often the stored networks are looked at.
	lookInterval = 250 * time.Millisecond
	// probeInterval is the time between two probes of a node, and timeout how long
	// one waits for its answer.
	probeInterval = time.Second
	timeout       = time.Second
	// servicePace is the least time between two probes of a frontend's health
	// port; more than so many such ports of a network are asked less often.
	servicePace     = 2 * time.Second
	probesPerSecond = 100
)

// Router is the prober's way to a network's router.
type Router interface {
	// Inside runs do on a thread inside the router's network namespace.
	Inside(id string, do func() error) error
	// Rebalance programs the router's balancers from the store.
	Rebalance(ctx context.Context, id string) error
}

// Prober asks the backends of all stored networks.
type Prober struct {
	Store  Store
	Router Router
	Log    *slog.Logger
}

// Run asks until the context ends.
func (p Prober) Run(ctx context.Context) error {
	running := map[string]*round{}
	defer func() {
		for _, r := range running {
			r.stop()
		}
	}()
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		ids, err := p.Store.List()
		if err != nil {
			return err // the supervisor starts it again
		}
		listed := map[string]bool{}
		for _, id := range ids {
			listed[id] = true
			if running[id] == nil {
				running[id] = p.begin(ctx, id)
			}
		}
		for id, r := range running {
			if !listed[id] {
				r.stop()
				delete(running, id)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// round asks the backends of one network.
type round struct {
	Prober
	id     string
	client *http.Client
	stop   func()
	// seen is when the desired network that targets were made of was stored.
	seen time.Time

	mu      sync.Mutex
	targets map[netip.AddrPort]context.CancelFunc
	judged  map[netip.AddrPort]*judgement
	// changed wakes the round that a judgement changed.
	changed chan struct{}
	asking  sync.WaitGroup
}

// begin starts a round; its stop ends it and waits.
func (p Prober) begin(parent context.Context, id string) *round {
	ctx, cancel := context.WithCancel(parent)
	r := &round{Prober: p, id: id, targets: map[netip.AddrPort]context.CancelFunc{}, judged: map[netip.AddrPort]*judgement{}, changed: make(chan struct{}, 1)}
	r.client = &http.Client{
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: r.dial, MaxIdleConnsPerHost: 1, IdleConnTimeout: 10 * timeout, MaxResponseHeaderBytes: 8 << 10, DisableCompression: true,
		},
	}
	down, err := p.Store.Down(id)
	if err != nil {
		p.Log.Error("reading what failed before", "network", id, "error", err)
	}
	for _, target := range down { // what failed before this process began fails until it answers
		r.judged[target] = &judgement{down: true}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.run(ctx)
	}()
	r.stop = func() {
		cancel()
		<-done
	}
	return r
}

func (r *round) run(ctx context.Context) {
	defer r.client.CloseIdleConnections()
	defer r.asking.Wait()
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := r.look(ctx); err != nil {
				r.Log.Error("reading a network", "network", r.id, "error", err)
			}
		case <-r.changed:
			if err := r.publish(ctx); err != nil && ctx.Err() == nil {
				r.Log.Error("programming a balancer", "network", r.id, "error", err)
				time.AfterFunc(probeInterval, r.wake) // what failed is tried again
			}
		}
	}
}

// look starts and stops probes when the stored network changed.
func (r *round) look(ctx context.Context) error {
	info, err := os.Stat(r.Store.path(r.id, networkSuffix))
	if err != nil || info.ModTime().Equal(r.seen) {
		return nil // gone: the prober's next look ends this round
	}
	n, found, err := r.Store.Network(r.id)
	if err != nil || !found {
		return err
	}
	down, err := r.Store.Down(r.id)
	if err != nil {
		return err
	}
	r.seen = info.ModTime()
	wanted := targets(n)
	listed := map[netip.AddrPort]bool{}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, target := range wanted {
		listed[target] = true
		failing := slices.Contains(down, target)
		switch j := r.judged[target]; {
		case j == nil && !failing:
			r.judged[target] = &judgement{}
		case j == nil, failing && !j.down: // new, or gone and back between two looks
			r.judged[target] = unheard()
		}
		if r.targets[target] != nil {
			continue
		}
		asking, cancel := context.WithCancel(ctx)
		r.targets[target] = cancel
		r.asking.Go(func() { r.ask(asking, target) })
	}
	for target := range r.judged {
		if listed[target] {
			continue
		}
		if cancel := r.targets[target]; cancel != nil {
			cancel()
		}
		delete(r.targets, target)
		delete(r.judged, target)
	}
	return nil
}

// ask probes one target until it is no longer wanted.
func (r *round) ask(ctx context.Context, target netip.AddrPort) {
	for {
		begun := time.Now()
		healthy := r.probe(ctx, target)
		if ctx.Err() != nil {
			return
		}
		r.hear(target, healthy)
		select {
		case <-ctx.Done():
			return
		case <-time.After(r.pace(target) - time.Since(begun)):
		}
	}
}

// pace is the time between two probes of a target.
func (r *round) pace(target netip.AddrPort) time.Duration {
	if target.Port() == network.NodeHealthPort {
		return probeInterval
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(servicePace, time.Second*time.Duration(len(r.targets))/probesPerSecond)
}

func (r *round) hear(target netip.AddrPort, healthy bool) {
	r.mu.Lock()
	j := r.judged[target]
	changed := j != nil && j.hear(healthy)
	r.mu.Unlock()
	if changed {
		r.Log.Info("a backend's health changed", "network", r.id, "backend", target.String(), "healthy", healthy)
		r.wake()
	}
}

func (r *round) wake() {
	select {
	case r.changed <- struct{}{}:
	default: // it is woken already
	}
}

// publish stores what fails and programs the router.
func (r *round) publish(ctx context.Context) error {
	if err := r.save(); err != nil {
		return err
	}
	return r.Router.Rebalance(ctx, r.id)
}

// save stores what fails. What the daemon has said since the last look stays.
func (r *round) save() error {
	unlock, err := r.Store.Lock(r.id)
	if err != nil {
		return err
	}
	defer unlock()
	n, _, err := r.Store.Network(r.id)
	if err != nil {
		return err
	}
	down, err := r.Store.Down(r.id)
	if err != nil {
		return err
	}
	wanted := targets(n)
	r.mu.Lock()
	defer r.mu.Unlock()
	down = slices.DeleteFunc(down, func(target netip.AddrPort) bool {
		return r.judged[target] != nil || !slices.Contains(wanted, target)
	})
	for target, j := range r.judged {
		if j.down {
			down = append(down, target)
		}
	}
	return r.Store.SaveDown(r.id, down)
}

// probe says whether a target answers that it is well.
func (r *round) probe(ctx context.Context, target netip.AddrPort) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+target.String()+"/healthz", nil)
	if err != nil {
		return false
	}
	response, err := r.client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	const most = 64 << 10 // what a node answers is the tenant's to write
	if _, err := io.CopyN(io.Discard, response.Body, most); err != nil && !errors.Is(err, io.EOF) {
		return false
	}
	return response.StatusCode == http.StatusOK
}

// dial connects from inside the router.
func (r *round) dial(ctx context.Context, protocol, address string) (connection net.Conn, err error) {
	dialer := net.Dialer{Timeout: timeout}
	err = r.Router.Inside(r.id, func() (err error) {
		connection, err = dialer.DialContext(ctx, protocol, address)
		return err
	})
	return connection, err
}
