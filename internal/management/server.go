// Package management runs the management API: a kube-apiserver and an etcd of
// Berth's own, on the host's loopback, that hold what Berth's controllers work
// on. It owns their ports, keys and flags and the definitions of Berth's kinds.
// It must not know what the objects mean.
//
// Both run under a supervisor and an unprivileged id of their own, and go on
// when the daemon ends: the next one adopts them.
//
//	<home>/management/state.json   ports and id, stored before use
//	<home>/management/pki/         keys and certificates
//	<home>/management/run/         the supervisor's directory
//	<home>/management/etcd/        etcd's data
package management

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"k8s.io/client-go/rest"

	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/supervise"
)

// ErrNotStarted says that the management API was never started in this home.
var ErrNotStarted = errors.New("the management API was never started")

// startTimeout is how long the API may take to answer if one of its processes
// died meanwhile, and slowTimeout if none did: a cold page cache makes tens of
// seconds of what is three, and an emulated processor minutes.
const (
	startTimeout = 90 * time.Second
	slowTimeout  = 10 * time.Minute
)

var errNotReady = errors.New("it did not become ready in time")

// readyInterval is how often the API is asked whether it is ready.
const readyInterval = 20 * time.Millisecond

// Server is the management API of one home.
type Server struct {
	home home.Home
	// supervisor is the path of the berth-supervisor program.
	supervisor string
	// binaries maps etcd and kube-apiserver to their paths.
	binaries map[string]string
}

// New names the management API of a home. binaries may be nil for a Server
// that is only asked for its configuration or stopped.
func New(h home.Home, supervisor string, binaries map[string]string) *Server {
	return &Server{home: h, supervisor: supervisor, binaries: binaries}
}

// CgroupPath is the name of the cgroup that the API's processes run in. The
// caller makes it.
func (s *Server) CgroupPath() string { return s.home.Prefix() + "/management" }

// Ensure starts the API, or adopts the one that runs, waits until it is ready
// and returns how to reach it as its administrator.
func (s *Server) Ensure(ctx context.Context) (*rest.Config, error) {
	state, err := s.loadState()
	if err != nil {
		return nil, err
	}
	running, err := s.handle(state).Running() // what outlived its supervisor holds its ports
	if err != nil {
		return nil, fmt.Errorf("looking at the management API: %w", err)
	}
	if !running {
		if state, err = s.choosePorts(state); err != nil {
			return nil, err
		}
	}
	if err := s.ensureCredentials(state); err != nil {
		return nil, err
	}
	if err := s.ensureDirs(state); err != nil {
		return nil, err
	}
	handle := s.handle(state)
	if _, err := handle.Ensure(ctx, supervise.Spec{Components: s.components(state)}); err != nil {
		return nil, fmt.Errorf("starting the management API: %w", err)
	}
	config, err := s.Config()
	if err != nil {
		return nil, err
	}
	return config, s.waitReady(ctx, config, handle)
}

// Config is how to reach the API as its administrator, whether or not it runs;
// ErrNotStarted if it never did.
func (s *Server) Config() (*rest.Config, error) {
	var state state
	found, err := home.ReadJSON(s.stateFile(), &state)
	if err != nil {
		return nil, err
	}
	if !found || !s.hasCredentials() {
		return nil, fmt.Errorf("%w in %s", ErrNotStarted, s.home.Dir)
	}
	files := map[string][]byte{}
	for _, name := range []string{pki.ClusterCACert, pki.ServiceClientCert, pki.ServiceClientKey} {
		if files[name], err = os.ReadFile(s.credential(name)); err != nil {
			return nil, fmt.Errorf("reading the management API's credentials: %w", err)
		}
	}
	return &rest.Config{
		Host: fmt.Sprintf("https://127.0.0.1:%d", state.APIServerPort),
		TLSClientConfig: rest.TLSClientConfig{
			CAData: files[pki.ClusterCACert], CertData: files[pki.ServiceClientCert], KeyData: files[pki.ServiceClientKey],
		},
		QPS: -1, // the API server protects itself with --max-requests-inflight
	}, nil
}

// Kubeconfig is a kubeconfig of the API's administrator.
func (s *Server) Kubeconfig() ([]byte, error) {
	config, err := s.Config()
	if err != nil {
		return nil, err
	}
	return pki.Kubeconfig(pki.KubeconfigOptions{
		Cluster: "berth-" + s.home.Instance, Server: config.Host, User: "berth-admin",
		CA: config.CAData, ClientCert: config.CertData, ClientKey: config.KeyData,
	})
}

// Stop stops the API server, then etcd; supervise.ErrInProgress until both are gone.
func (s *Server) Stop(ctx context.Context) error {
	var state state
	found, err := home.ReadJSON(s.stateFile(), &state)
	if err != nil || !found {
		return err
	}
	if _, err := os.Stat(s.runDir()); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return s.handle(state).Stop(ctx)
}

func (s *Server) handle(state state) supervise.Handle {
	return supervise.Handle{Dir: s.runDir(), Program: s.supervisor, CgroupPath: s.CgroupPath(), UserID: state.UserID}
}

// waitReady waits until /readyz answers 200.
func (s *Server) waitReady(ctx context.Context, config *rest.Config, handle supervise.Handle) error {
	ctx, cancel := context.WithTimeoutCause(ctx, slowTimeout, errNotReady)
	defer cancel()
	patience := time.NewTicker(startTimeout)
	defer patience.Stop()
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return fmt.Errorf("reaching the management API: %w", err)
	}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		if ready(ctx, client, config.Host+"/readyz") {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the management API: %w%s", context.Cause(ctx), s.diagnosis(handle))
		case <-patience.C:
			if !alive(handle) {
				return fmt.Errorf("waiting for the management API: %w%s", errNotReady, s.diagnosis(handle))
			}
		case <-tick.C:
		}
	}
}

// alive says whether every process runs that was started, and none died.
func alive(handle supervise.Handle) bool {
	status, _, err := handle.Status()
	return err == nil && len(status.Components) > 0 && !slices.ContainsFunc(status.Components, func(c supervise.ComponentStatus) bool {
		return c.PID == 0 || c.Restarts > 0
	})
}

func ready(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

// diagnosis says how the components stand, for the person who reads the error.
func (s *Server) diagnosis(handle supervise.Handle) string {
	status, _, err := handle.Status()
	if err != nil {
		return ""
	}
	var text strings.Builder
	for _, c := range status.Components {
		fmt.Fprintf(&text, "; %s: pid %d, %d restarts", c.Name, c.PID, c.Restarts)
		if c.LastExit != "" {
			fmt.Fprintf(&text, ", last %s", c.LastExit)
		}
		if c.Waiting != "" {
			fmt.Fprintf(&text, ", waits for %s", c.Waiting)
		}
	}
	fmt.Fprintf(&text, " (logs in %s)", filepath.Join(s.runDir(), supervise.LogDir))
	return text.String()
}

func (s *Server) stateFile() string { return filepath.Join(s.home.ManagementDir(), "state.json") }
func (s *Server) runDir() string    { return filepath.Join(s.home.ManagementDir(), "run") }
func (s *Server) dataDir() string   { return filepath.Join(s.home.ManagementDir(), "etcd") }
func (s *Server) pkiDir() string    { return filepath.Join(s.home.ManagementDir(), "pki") }
func (s *Server) credential(name string) string {
	return filepath.Join(s.pkiDir(), name)
}
