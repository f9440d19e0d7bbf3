// Package controlplane owns the hosted control plane of one cluster: what it
// consists of, as data (Components, a pure function), and the Runtime that
// keeps it running. It must not know the management API, ARM or how networks
// are made.
//
// A control plane is etcd, kube-apiserver, kube-controller-manager,
// kube-scheduler and the konnectivity server, in a network namespace that the
// caller provides, under a uid of its own, with a PKI of its own. All of them
// speak mutual TLS; what only the API server uses listens on loopback of the
// namespace. It goes on when its caller dies: a driver's processes belong to a
// supervisor, never to the daemon.
package controlplane

import (
	"context"
	"errors"
	"net/netip"

	"berth.dev/berth/internal/supervise"
)

// Desired is one control plane as it should run. Every driver gets all it
// needs in it: nothing is computed anew from a cluster's name.
type Desired struct {
	// ID is the incarnation of the cluster; it names everything the driver makes.
	ID string
	// Version is the Kubernetes version without the v, e.g. 1.35.4.
	Version string
	// EmulatedVersion is the minor (1.35) that the components behave as; empty: that of Version.
	EmulatedVersion string
	// Binaries maps a program's name (kube-apiserver, etcd, proxy-server, …) to
	// its absolute path.
	Binaries map[string]string
	// Address is the public address of the API server; it listens on port 443.
	Address netip.Addr
	// FQDN is its name in the install zone.
	FQDN string
	// Issuer is an issuer of service-account tokens beside that of pods: nobody serves
	// its keys yet, and its tokens are accepted.
	Issuer string
	// EtcdPrefix is the key prefix in the datastore.
	EtcdPrefix string
	// ServiceCIDR and PodCIDR are the cluster's ranges.
	ServiceCIDR netip.Prefix
	PodCIDR     netip.Prefix
	// NetworkNamespace is the path of the namespace to run in, which owns Address.
	NetworkNamespace string
	// UserID is the host uid and gid of every component.
	UserID int
	// DatastoreOnly is true while the cluster's data are replaced: etcd runs, and
	// nothing that would read or write what is in it.
	DatastoreOnly bool
	// Credentials are the files of the cluster's PKI by name (see pki.Cluster).
	Credentials map[string][]byte
}

// Status is a control plane as observed.
type Status struct {
	// Ready is true if the API server answered /readyz with 200.
	Ready bool
	// Version is what /version said, without the v; empty until it answered.
	Version string
	// EmulatedVersion is the minor that /version said it behaves as, if it is not
	// that of Version.
	EmulatedVersion string
	// Server names the process of the API server that new connections reach, empty
	// while it is not ready: with another name it is another process, of which a
	// watch that another one began knows nothing.
	Server string
	// Outdated are the components that run as an earlier Desired said: they are
	// about to be replaced, and serve meanwhile.
	Outdated []string
	// DatastoreOnly is true once etcd runs and nothing else does.
	DatastoreOnly bool
	// Queued is true while it has not been started because enough others are starting.
	Queued bool
	// Message says what it waits for while it is not ready.
	Message string
	// Components are the processes in start order.
	Components []supervise.ComponentStatus
}

// ErrInProgress says that a deletion was begun and has not ended: call again.
var ErrInProgress = errors.New("still in progress")

// Runtime runs control planes on this host.
//
// Every method is idempotent and may be killed after any line; calling it
// again heals. None waits for a process to become ready: the caller asks again.
type Runtime interface {
	// Ensure makes the control plane run as desired and says how it stands. A
	// changed Desired restarts only the components that it touches. It adopts
	// what already runs.
	Ensure(ctx context.Context, desired Desired) (Status, error)
	// Delete stops the control plane (the API server before etcd) and removes
	// all of it, its data included. It returns ErrInProgress until nothing is
	// left, and nil for an id that it does not know.
	Delete(ctx context.Context, id string) error
	// Stop stops the processes in order and keeps the data; ErrInProgress until they are gone.
	Stop(ctx context.Context, id string) error
	// List names every control plane of this instance of which anything is left.
	List(ctx context.Context) ([]string, error)
}
