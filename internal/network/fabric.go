// Package network owns the networks: the address plan (pure functions) and the
// Fabric that makes edge, virtual networks, endpoints and ports on a host. It
// must not know the management API, ARM or Kubernetes.
//
// The words:
//
//   - The edge is one namespace that stands for the internet side. It owns the
//     pool of public addresses and only routes: one /32 route per address, a
//     source check on every link, no connection tracking. The host is attached
//     to it by one link, on which the host accepts nothing that it did not ask for.
//   - An endpoint is a namespace attached to the edge that owns one public
//     address: where a control plane runs.
//   - A virtual network is a router namespace attached to the edge. Nodes are
//     attached to it by routed ports, without a shared layer 2. NAT and
//     balancing happen here, so a tenant exhausts only its own tables. Its private
//     ranges are known to no one else: tenants may overlap.
//   - A port is a machine's attachment to its virtual network: a link pair whose
//     far end, eth0, lies in the machine's own namespace.
//
// Nothing leaks: under the public range lies a blackhole route on the host and
// in the edge, so that traffic to an address that is gone is dropped.
package network

import (
	"context"
	"errors"
	"net/netip"
	"slices"
)

// Edge is the desired edge of a host.
type Edge struct {
	// PublicRange is the pool of public addresses.
	PublicRange netip.Prefix
	// HostAddress is the host's own address on its link to the edge.
	HostAddress netip.Addr
	// ServiceAddresses are addresses that live in the edge namespace itself:
	// the front end and the DNS of the install zone listen on them.
	ServiceAddresses []netip.Addr
	// Egress lets what is not for the pool out through the host, with the host's
	// own address. Without it nothing leaves the edge.
	Egress bool
	// Announce is a link of the host, over which others on that link reach the
	// pool: the host answers for its addresses there. Empty: none.
	Announce string
}

// Endpoint is a namespace on the edge with one public address.
type Endpoint struct {
	// ID is the incarnation of what runs in it.
	ID string
	// Address is its public address.
	Address netip.Addr
	// Authorized are the ranges that may speak to its servers; none: all may. The
	// host and the edge always may. It holds for connections that there are, too.
	Authorized []netip.Prefix
}

// Admits says whether an address is in the authorized ranges.
func (e Endpoint) Admits(address netip.Addr) bool {
	return len(e.Authorized) == 0 || slices.ContainsFunc(e.Authorized, func(p netip.Prefix) bool { return p.Contains(address) })
}

// The errors of a Fabric, matched by errors.Is.
var (
	// ErrNotFound says that the network, or the machine's namespace, is not there (yet).
	ErrNotFound = errors.New("not found")
	// ErrConflict says that something that is not this instance's is in the
	// way; the wrapping message says what, and what to do.
	ErrConflict = errors.New("conflict")
)

// Fabric makes networks on this host.
//
// Every method takes the whole desired state of its noun, is idempotent, and
// may be killed after any line; calling it again heals. Connections that are
// allowed before and after a call survive it.
type Fabric interface {
	// EnsureEdge makes the edge and the host's link to it.
	EnsureEdge(ctx context.Context, edge Edge) error
	// DeleteEdge removes the edge, the host's link and the routes.
	DeleteEdge(ctx context.Context) error
	// EdgeNamespace is the path of the edge's network namespace. Any process in
	// it may bind any port: what serves the install there needs no privilege.
	EdgeNamespace() string

	// EnsureEndpoint makes a namespace that owns a public address and returns its path.
	EnsureEndpoint(ctx context.Context, endpoint Endpoint) (namespace string, err error)
	// DeleteEndpoint removes it; nil for an id that is not known.
	DeleteEndpoint(ctx context.Context, id string) error

	// EnsureNetwork makes the router with its routes, source checks, NAT and
	// balancers. Ports that are no longer listed lose their link.
	EnsureNetwork(ctx context.Context, network Network) error
	// DeleteNetwork removes it; nil for an id that is not known.
	DeleteNetwork(ctx context.Context, id string) error
	// AttachPort puts the far end of a port into a machine's namespace as eth0,
	// with the port's address and a default route, all up. The port is one of
	// the network's. ErrNotFound if the network or the namespace is not there.
	AttachPort(ctx context.Context, networkID string, port Port, namespace string) error

	// List names every endpoint and virtual network of this instance.
	List(ctx context.Context) (endpoints, networks []string, err error)
}
