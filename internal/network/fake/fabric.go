// Package fake is a Fabric in memory, for tests of what stands above it. It
// keeps the contract, carries no packets and makes nothing on the host.
package fake

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"berth.dev/berth/internal/network"
)

// Fabric keeps what it was told. The zero value is not usable; see New.
type Fabric struct {
	mu        sync.Mutex
	edge      *network.Edge
	endpoints map[string]network.Endpoint
	networks  map[string]network.Network
	// attached holds the namespaces by network and port.
	attached map[string]map[string]string
	gone     map[string]bool
	failure  func(method string) error
}

var _ network.Fabric = (*Fabric)(nil)

// New is an empty fabric.
func New() *Fabric {
	return &Fabric{
		endpoints: map[string]network.Endpoint{},
		networks:  map[string]network.Network{},
		attached:  map[string]map[string]string{},
		gone:      map[string]bool{},
	}
}

// FailWith makes every call ask failure first, by the method's name; nil ends it.
func (f *Fabric) FailWith(failure func(method string) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failure = failure
}

// Lose makes a machine's namespace one that is not there, as after the death of the machine.
func (f *Fabric) Lose(namespace string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.gone[namespace] = true
	for _, ports := range f.attached {
		for id, at := range ports {
			if at == namespace {
				delete(ports, id)
			}
		}
	}
}

// Edge is the edge as last ensured.
func (f *Fabric) Edge() (network.Edge, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.edge == nil {
		return network.Edge{}, false
	}
	return *f.edge, true
}

// Endpoint is an endpoint as last ensured.
func (f *Fabric) Endpoint(id string) (network.Endpoint, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	endpoint, ok := f.endpoints[id]
	return endpoint, ok
}

// Network is a network as last ensured.
func (f *Fabric) Network(id string) (network.Network, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, ok := f.networks[id]
	return n, ok
}

// Attached is the namespace that a port's far end lies in.
func (f *Fabric) Attached(networkID, portID string) (namespace string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	namespace, ok = f.attached[networkID][portID]
	return namespace, ok
}

// EnsureEdge implements network.Fabric.
func (f *Fabric) EnsureEdge(ctx context.Context, edge network.Edge) error {
	return f.call(ctx, "EnsureEdge", func() error {
		if err := edge.Validate(); err != nil {
			return err
		}
		edge.ServiceAddresses = slices.Clone(edge.ServiceAddresses)
		f.edge = &edge
		return nil
	})
}

// DeleteEdge implements network.Fabric.
func (f *Fabric) DeleteEdge(ctx context.Context) error {
	return f.call(ctx, "DeleteEdge", func() error {
		f.edge = nil
		return nil
	})
}

// EdgeNamespace implements network.Fabric.
func (f *Fabric) EdgeNamespace() string {
	return "/run/netns/fake-edge"
}

// EnsureEndpoint implements network.Fabric.
func (f *Fabric) EnsureEndpoint(ctx context.Context, endpoint network.Endpoint) (namespace string, err error) {
	err = f.call(ctx, "EnsureEndpoint", func() error {
		if err := endpoint.Validate(); err != nil {
			return err
		}
		if err := f.claim("endpoint "+endpoint.ID, endpoint.Address); err != nil {
			return err
		}
		f.endpoints[endpoint.ID] = endpoint
		namespace = "/run/netns/fake-cp-" + endpoint.ID
		return nil
	})
	return namespace, err
}

// DeleteEndpoint implements network.Fabric.
func (f *Fabric) DeleteEndpoint(ctx context.Context, id string) error {
	return f.call(ctx, "DeleteEndpoint", func() error {
		delete(f.endpoints, id)
		return nil
	})
}

// EnsureNetwork implements network.Fabric.
func (f *Fabric) EnsureNetwork(ctx context.Context, desired network.Network) error {
	return f.call(ctx, "EnsureNetwork", func() error {
		if err := desired.Validate(); err != nil {
			return err
		}
		if err := f.claim("network "+desired.ID, desired.PublicAddresses()...); err != nil {
			return err
		}
		f.networks[desired.ID] = desired.Clone()
		for id := range f.attached[desired.ID] {
			if !slices.ContainsFunc(desired.Ports, func(p network.Port) bool { return p.ID == id }) {
				delete(f.attached[desired.ID], id)
			}
		}
		return nil
	})
}

// DeleteNetwork implements network.Fabric.
func (f *Fabric) DeleteNetwork(ctx context.Context, id string) error {
	return f.call(ctx, "DeleteNetwork", func() error {
		delete(f.networks, id)
		delete(f.attached, id)
		return nil
	})
}

// AttachPort implements network.Fabric.
func (f *Fabric) AttachPort(ctx context.Context, networkID string, port network.Port, namespace string) error {
	return f.call(ctx, "AttachPort", func() error {
		if err := port.Validate(); err != nil {
			return err
		}
		if _, ok := f.networks[networkID]; !ok {
			return fmt.Errorf("network %s: %w", networkID, network.ErrNotFound)
		}
		if namespace == "" || f.gone[namespace] {
			return fmt.Errorf("namespace %q of port %s: %w", namespace, port.ID, network.ErrNotFound)
		}
		if f.attached[networkID] == nil {
			f.attached[networkID] = map[string]string{}
		}
		f.attached[networkID][port.ID] = namespace
		return nil
	})
}

// List implements network.Fabric.
func (f *Fabric) List(ctx context.Context) (endpoints, networks []string, err error) {
	err = f.call(ctx, "List", func() error {
		for id := range f.endpoints {
			endpoints = append(endpoints, id)
		}
		for id := range f.networks {
			networks = append(networks, id)
		}
		slices.Sort(endpoints)
		slices.Sort(networks)
		return nil
	})
	return endpoints, networks, err
}

// call runs one method under the lock, unless it is to fail.
func (f *Fabric) call(ctx context.Context, method string, do func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if f.failure != nil {
		if err := f.failure(method); err != nil {
			return err
		}
	}
	return do()
}

// claim refuses addresses that another noun holds, and a noun without an edge.
func (f *Fabric) claim(owner string, addresses ...netip.Addr) error {
	if f.edge == nil {
		return fmt.Errorf("attaching %s: the edge: %w", owner, network.ErrNotFound)
	}
	held := map[netip.Addr]string{}
	for id, endpoint := range f.endpoints {
		held[endpoint.Address] = "endpoint " + id
	}
	for id, other := range f.networks {
		for _, address := range other.PublicAddresses() {
			held[address] = "network " + id
		}
	}
	for _, address := range addresses {
		if !f.edge.PublicRange.Contains(address) {
			return fmt.Errorf("attaching %s: address %s is not in the public range %s", owner, address, f.edge.PublicRange)
		}
		if holder, ok := held[address]; ok && holder != owner {
			return fmt.Errorf("attaching %s: address %s belongs to %s; remove it there first: %w", owner, address, holder, network.ErrConflict)
		}
	}
	return nil
}
