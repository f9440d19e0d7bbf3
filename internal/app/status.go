package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	containerservice "berth.dev/berth/api/containerservice/v1alpha1"
	hostapi "berth.dev/berth/api/host/v1alpha1"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/management"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/preflight"
	"berth.dev/berth/internal/release"
)

// statusTimeout is how long the management API has to answer.
const statusTimeout = 5 * time.Second

// Status is how an install stands.
type Status struct {
	// Running is true if the daemon runs; PID is its process then, else 0.
	Running bool `json:"running"`
	PID     int  `json:"pid"`
	// Phase is how far the daemon is; Message says what it waits for or why it failed.
	Phase   home.Phase `json:"phase,omitempty"`
	Message string     `json:"message,omitempty"`
	Started *time.Time `json:"started,omitempty"`
	// Instance, Home and Version say which install and which build it is.
	Instance string `json:"instance"`
	Home     string `json:"home"`
	Version  string `json:"version"`
	// Endpoints are where it answers.
	Endpoints Endpoints `json:"endpoints"`
	// Management says how the management API is: running without the daemon too.
	Management ManagementStatus `json:"management"`
	// DNS says how the install zone's server is: running without the daemon too.
	DNS *DNSStatus `json:"dns,omitempty"`
	// Clusters and Nodes count what there is.
	Clusters int `json:"clusters"`
	Nodes    int `json:"nodes"`
	// Host is the machine and what of it is given out.
	Host *HostStatus `json:"host,omitempty"`
	// Releases are the Kubernetes versions on offer.
	Releases []ReleaseStatus `json:"releases"`
	// Preflight are the checks of the host that are not met.
	Preflight []preflight.Finding `json:"preflight"`
}

// Endpoints are the addresses that the service answers on.
type Endpoints struct {
	ARM     string `json:"arm,omitempty"`
	Edge    string `json:"edge,omitempty"`
	Metrics string `json:"metrics,omitempty"`
}

// ManagementStatus says whether the management API answers.
type ManagementStatus struct {
	Endpoint string `json:"endpoint,omitempty"`
	Ready    bool   `json:"ready"`
	Message  string `json:"message,omitempty"`
}

// HostStatus is a host's capacity, as given out with overcommit.
type HostStatus struct {
	CPUs              int32  `json:"cpus"`
	MemoryMiB         int64  `json:"memoryMiB"`
	CPUOvercommit     int32  `json:"cpuOvercommit"`
	MemoryOvercommit  int32  `json:"memoryOvercommit"`
	CPUsGivenOut      int    `json:"cpusGivenOut"`
	MemoryMiBGivenOut int    `json:"memoryMiBGivenOut"`
	Isolation         string `json:"isolation"`
	PublicRange       string `json:"publicRange"`
}

// ReleaseStatus is one version of the catalog.
type ReleaseStatus struct {
	Version string `json:"version"`
	Default bool   `json:"default,omitempty"`
	Built   bool   `json:"built"`
}

// ReadStatus looks at an install, whether its daemon runs or not.
func ReadStatus(ctx context.Context, o Options) (Status, error) {
	h, err := home.Open(o.Home)
	if err != nil {
		return Status{}, err
	}
	status := Status{Instance: h.Instance, Home: h.Dir, Version: BuildVersion()}
	daemon, found, err := h.ReadDaemon()
	if err != nil {
		return status, err
	}
	if found {
		status.Phase, status.Message, status.Started = daemon.Phase, daemon.Message, &daemon.Started
		status.Version = daemon.Version
		status.Endpoints = Endpoints{ARM: daemon.ARMEndpoint, Edge: daemon.EdgeEndpoint, Metrics: daemon.MetricsEndpoint}
		if status.Running = daemon.Alive(); status.Running {
			status.PID = daemon.PID
		} else if daemon.Phase == home.PhaseStarting || daemon.Phase == home.PhaseReady {
			status.Phase, status.Message = home.PhaseStopped, "it ended without a word: see "+h.LogFile()
		}
	}
	if status.Releases, err = readReleases(o); err != nil {
		return status, err
	}
	status.Preflight = preflight.Unmet(preflight.Check(o.preflight()))
	status.Management = readManagement(ctx, h, &status)
	if status.Host != nil {
		status.DNS = readDNS(ctx, o, status.Host.PublicRange)
	}
	return status, nil
}

func readReleases(o Options) ([]ReleaseStatus, error) {
	store, err := release.Open(release.Options{Dir: o.CacheDir})
	if err != nil {
		return nil, err
	}
	releases := []ReleaseStatus{}
	for _, v := range release.Versions() {
		_, built := store.Lookup(v.Version)
		releases = append(releases, ReleaseStatus{Version: v.Version, Default: v.Default, Built: built})
	}
	return releases, nil
}

// readManagement fills in what the management API knows.
func readManagement(ctx context.Context, h home.Home, status *Status) ManagementStatus {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	config, err := managementConfig(h)
	if errors.Is(err, management.ErrNotStarted) {
		return ManagementStatus{Message: "never started"}
	}
	if err != nil {
		return ManagementStatus{Message: err.Error()}
	}
	m := ManagementStatus{Endpoint: config.Host}
	scheme, err := newScheme()
	if err != nil {
		m.Message = err.Error()
		return m
	}
	config.Timeout = statusTimeout
	c, err := client.New(config, client.Options{Scheme: scheme, Mapper: newMapper(scheme)})
	if err == nil {
		err = countObjects(ctx, c, status)
	}
	if err != nil {
		m.Message = err.Error()
		return m
	}
	m.Ready = true
	return m
}

func countObjects(ctx context.Context, c client.Client, status *Status) error {
	var clusters containerservice.ManagedClusterList
	var machines containerservice.MachineList
	for _, list := range []client.ObjectList{&clusters, &machines} {
		if err := c.List(ctx, list); err != nil {
			return fmt.Errorf("asking the management API: %w", err)
		}
	}
	status.Clusters, status.Nodes = len(clusters.Items), len(machines.Items)
	var host hostapi.Host
	if err := c.Get(ctx, client.ObjectKey{Name: naming.LocalHost}, &host); err != nil {
		return client.IgnoreNotFound(err)
	}
	status.Host = &HostStatus{
		CPUs: host.Status.CPUs, MemoryMiB: host.Status.MemoryMiB,
		CPUOvercommit: host.Spec.CPUOvercommit, MemoryOvercommit: host.Spec.MemoryOvercommit,
		Isolation: host.Status.Isolation, PublicRange: host.Spec.PublicRange,
	}
	for i := range machines.Items {
		if size, known := machine.SizeByName(machines.Items[i].Spec.VMSize); known {
			status.Host.CPUsGivenOut += size.CPUs
			status.Host.MemoryMiBGivenOut += size.MemoryMiB
		}
	}
	return nil
}
