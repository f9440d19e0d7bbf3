// Package linux is the Fabric of one Linux host: network namespaces, veth
// links, routes and nftables, over netlink alone.
//
// The kernel is the only state. Every method reads what is there, compares it
// with what is wanted and changes the difference, so calling it again heals
// whatever a crash or a hand left behind. What is made on the host carries the
// instance: namespaces and the nftables table by name, the link by name and
// link group, the blackhole route by its metric.
//
//	host                      edge namespace                   router namespace        machine
//	berth<inst> ──── veth ──── host   n<network> ──── veth ──── edge   p<port> ─ veth ─ eth0
//	                                  e<endpoint> ─── veth ──── eth0 of an endpoint namespace
//
// Packets are fenced by routes. Edge and routers filter by strict reverse path: what
// comes in over a link must carry an address that is routed to that link. So the
// rules of nftables, in routers only, are about connections and not about spoofing.
package linux

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"berth.dev/berth/internal/network"
	"berth.dev/berth/internal/network/health"
)

// Options say whose networks these are.
type Options struct {
	// Instance is the id of the install, 1 to 10 letters and digits.
	Instance string
	// BalancerDir is the directory that is shared with the process that probes
	// backends (see package health). Empty: nobody probes.
	BalancerDir string
	// HostNamespace is the network namespace that is the host; empty: that of the
	// process.
	HostNamespace string
}

// Fabric makes the networks of one instance on this host.
type Fabric struct {
	names names
	host  string

	// edgeRoutes is held while routes of the edge are compared and changed,
	// which every endpoint and network has to do.
	edgeRoutes sync.Mutex
	nouns      *nounLocks
	balanced   *memory
	programmed *programmed
	// timeouts is held while timeout policies are written: the library keeps
	// them in a variable that all share.
	timeouts sync.Mutex
	health   health.Store
}

var _ network.Fabric = (*Fabric)(nil)

// New is the fabric of an instance. It touches nothing yet; an instance whose
// name does not fit is refused by the methods.
func New(options Options) *Fabric {
	return &Fabric{names: names{options.Instance}, host: cmp.Or(options.HostNamespace, hostNamespace), nouns: newNounLocks(), balanced: newMemory(), programmed: newProgrammed(), health: health.Store{Dir: options.BalancerDir}}
}

// EdgeNamespace implements network.Fabric.
func (f *Fabric) EdgeNamespace() string {
	return f.names.edge()
}

// List implements network.Fabric.
func (f *Fabric) List(ctx context.Context) (endpoints, networks []string, err error) {
	if err := f.check(ctx); err != nil {
		return nil, nil, err
	}
	files, err := os.ReadDir(namespaceDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("listing namespaces: %w", err)
	}
	for _, file := range files { // sorted by name
		if id, ok := f.names.endpointID(file.Name()); ok {
			endpoints = append(endpoints, id)
		}
		if id, ok := f.names.networkID(file.Name()); ok {
			networks = append(networks, id)
		}
	}
	return endpoints, networks, nil
}

// check is what every method asks first.
func (f *Fabric) check(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return f.names.validate()
}

// openEdge opens a session with the edge.
func (f *Fabric) openEdge() (*session, error) {
	edge, err := open(f.names.edge())
	if err != nil {
		return nil, fmt.Errorf("opening the edge: %w", err)
	}
	return edge, nil
}

// nounLocks holds one lock for each noun in use: methods of one noun follow
// each other, others run at the same time.
type nounLocks struct {
	mu    sync.Mutex
	locks map[string]*nounLock
}

type nounLock struct {
	sync.Mutex
	users int
}

func newNounLocks() *nounLocks {
	return &nounLocks{locks: map[string]*nounLock{}}
}

// lock waits for a noun and returns what lets go of it.
func (n *nounLocks) lock(noun string) (unlock func()) {
	n.mu.Lock()
	l := n.locks[noun]
	if l == nil {
		l = &nounLock{}
		n.locks[noun] = l
	}
	l.users++
	n.mu.Unlock()

	l.Lock()
	return func() {
		l.Unlock()
		n.mu.Lock()
		defer n.mu.Unlock()
		if l.users--; l.users == 0 {
			delete(n.locks, noun)
		}
	}
}
