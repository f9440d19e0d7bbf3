// Package machine owns the nodes' machines: the size catalog and the Provider
// that makes a machine of a given size and runs a node's components in it. It
// must not know the management API or ARM; what runs inside comes as data (see
// package bootstrap).
package machine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"maps"
	"slices"

	"berth.dev/berth/internal/supervise"
)

// Desired is one machine as it should be. During the life of a machine only
// Files and Components change; otherwise a machine is replaced.
type Desired struct {
	// ID is the machine's incarnation; it names everything the provider makes.
	ID string
	// NodeName is the machine's host name.
	NodeName string
	// Size is what the machine reports and is held to.
	Size Size
	// DiskGiB is the size of its disk.
	DiskGiB int
	// Image is the directory of the node image's root file system, never written to.
	Image string
	// Binaries maps a program's name to its absolute path on the host; inside
	// the machine it appears as /opt/berth/bin/<name>.
	Binaries map[string]string
	// CNI is the directory on the host that appears as /opt/cni/bin.
	CNI string
	// ImageArchives are OCI archives on the host; inside they appear below /opt/berth/images.
	ImageArchives []string
	// IDRangeStart is the first host id of the machine's user namespace (65536 long).
	IDRangeStart int
	// Files are written into the machine's root before it starts, by absolute path.
	Files map[string]File
	// Sysctls are settings below net. of the machine's own network namespace, by
	// their names (net.core.somaxconn).
	Sysctls map[string]string
	// Components run inside the machine, under its first process.
	Components []supervise.Component
	// AtStart says that Files and Components are for the next start: a machine that
	// runs keeps those that it has.
	AtStart bool
}

// Spec is what the supervisor inside runs.
func (d Desired) Spec() supervise.Spec {
	digest := sha256.New()
	for _, path := range slices.Sorted(maps.Keys(d.Files)) {
		sum := sha256.Sum256(d.Files[path].Content)
		digest.Write([]byte(path + "\x00" + hex.EncodeToString(sum[:]) + "\x00"))
	}
	return supervise.Spec{Components: d.Components, Revision: hex.EncodeToString(digest.Sum(nil)[:16])}
}

// File is a file in a machine.
type File struct {
	Mode    fs.FileMode
	Content []byte
	// AtStart says that components read it as they start and not afterwards: alone it
	// is no reason to bring changed components into a machine that runs.
	AtStart bool
}

// Status is a machine as observed.
type Status struct {
	// Running is true if the machine's first process lives.
	Running bool
	// NetworkNamespace is the path of the machine's network namespace on the
	// host (/proc/<pid>/ns/net); empty until it exists. The machine waits for a
	// link named eth0 to appear in it.
	NetworkNamespace string
	// Message says what it waits for while it is not running.
	Message string
	// Outdated says that something inside still runs with other files, or
	// otherwise, than desired.
	Outdated bool
	// Components are the processes inside, as their supervisor last saw them.
	Components []supervise.ComponentStatus
}

// Isolation says what keeps a machine from its host.
type Isolation string

// IsolationUserNamespace: root inside is nobody on the host. It is the only class
// that there is: a machine whose root were the host's would hand the host to whoever
// may make a privileged pod, so a host that forbids user namespaces is refused
// (package preflight).
const IsolationUserNamespace Isolation = "userns"

// The errors of a Provider, matched by errors.Is.
var (
	// ErrInProgress says that a deletion was begun and has not ended: call again.
	ErrInProgress = errors.New("still in progress")
	// ErrNoCapacity says that the host lacks what the machine needs; the
	// wrapping message says what.
	ErrNoCapacity = errors.New("no capacity")
)

// LogReader is a Provider that can read what the components of its machines wrote.
type LogReader interface {
	// Logs reads the last limit bytes of each log of a running machine, by file
	// name. What could be read comes back beside an error.
	Logs(ctx context.Context, id string, limit int64) (map[string][]byte, error)
}

// Provider makes machines on this host.
//
// Every method is idempotent and may be killed after any line; calling it
// again heals. None waits for a component to become ready: the caller asks again.
type Provider interface {
	// Isolation is the class of the machines that the provider makes here.
	Isolation() Isolation
	// Ensure makes the machine run and says how it stands. It adopts a machine
	// that runs, brings files that changed and the components that go with them
	// into it, and starts one again whose processes are gone on the disk that it had.
	Ensure(ctx context.Context, desired Desired) (Status, error)
	// Delete ends the machine and removes all of it, its disk included. It
	// returns ErrInProgress until nothing is left, and nil for an id that it does not know.
	Delete(ctx context.Context, id string) error
	// Stop ends the machine's processes and keeps its disk; ErrInProgress until they are gone.
	Stop(ctx context.Context, id string) error
	// List names every machine of this instance of which anything is left.
	List(ctx context.Context) ([]string, error)
}
