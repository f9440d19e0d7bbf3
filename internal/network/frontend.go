package network

import (
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// DefaultIdleTimeout is after how long without a packet a balanced connection
// is forgotten if nothing else is asked: that of Azure's rules.
const DefaultIdleTimeout = 4 * time.Minute

// NodeHealthPort is the port of every node whose /healthz says whether it can
// forward: kube-proxy's.
const NodeHealthPort = 10256

// Frontend is one balanced address. Several may share an address as long as
// their ports differ.
type Frontend struct {
	// Name says whose it is, in the driver's files and counters: namespace/name
	// of a service. It is not looked at otherwise.
	Name    string
	Address netip.Addr
	// Internal frontends are answered inside the network only. Their address is
	// one of its own that no port has.
	Internal bool
	Rules    []Rule
	// Backends are addresses of ports in rotation.
	Backends []netip.Addr
	// SourceRanges are the clients that may connect; empty: all.
	SourceRanges []netip.Prefix
	// IdleTimeout is after how long without a packet a TCP connection is
	// forgotten; 0: DefaultIdleTimeout.
	IdleTimeout time.Duration
	// SilentOnIdle drops what comes over a forgotten connection, where otherwise
	// a reset is sent.
	SilentOnIdle bool
	// Affinity is how long a client keeps its backend after its last
	// connection; 0: every connection draws one.
	Affinity time.Duration
	// HealthPort is the port whose /healthz says whether a backend may get this
	// frontend's connections; 0: NodeHealthPort, which says it for all of them.
	HealthPort uint16
}

// Rule balances one port of a frontend over NodePort of its backends.
type Rule struct {
	// Protocol is TCP or UDP.
	Protocol string
	Port     uint16
	NodePort uint16
}

func (n Network) validateFrontends() error {
	var errs []error
	type key struct {
		address  netip.Addr
		protocol string
		port     uint16
	}
	seen := map[key]bool{}
	for _, frontend := range n.Frontends {
		errs = append(errs, n.validateFrontend(frontend))
		for _, rule := range frontend.Rules {
			k := key{frontend.Address, rule.Protocol, rule.Port}
			if seen[k] || rule.Port == 0 || rule.NodePort == 0 || rule.Protocol != "TCP" && rule.Protocol != "UDP" {
				errs = append(errs, fmt.Errorf("frontend %s: rule %s %d to node port %d is a duplicate or not TCP or UDP with two ports",
					frontend.Address, rule.Protocol, rule.Port, rule.NodePort))
			}
			seen[k] = true
		}
	}
	return errors.Join(errs...)
}

func (n Network) validateFrontend(frontend Frontend) error {
	var errs []error
	_, inSubnet := n.SubnetOf(frontend.Address)
	switch {
	case !frontend.Address.Is4():
		errs = append(errs, fmt.Errorf("frontend address %q is not an IPv4 address", frontend.Address))
	case frontend.Internal && !inSubnet:
		errs = append(errs, fmt.Errorf("internal frontend %s is in no subnet", frontend.Address))
	case !frontend.Internal && n.Private(frontend.Address):
		errs = append(errs, fmt.Errorf("frontend address %s is not a public address", frontend.Address))
	}
	for _, port := range n.Ports {
		if port.Address == frontend.Address {
			errs = append(errs, fmt.Errorf("frontend address %s is that of port %s", frontend.Address, port.ID))
		}
	}
	for _, r := range frontend.SourceRanges {
		if !r.IsValid() || !r.Addr().Is4() || r != r.Masked() {
			errs = append(errs, fmt.Errorf("frontend %s: source range %q is not a canonical IPv4 range", frontend.Address, r))
		}
	}
	if frontend.IdleTimeout < 0 || frontend.Affinity < 0 {
		errs = append(errs, fmt.Errorf("frontend %s: a time is negative", frontend.Address))
	}
	return errors.Join(errs...)
}

// Rotation is the frontend's backends that are ports of the network, each
// once: traffic never goes to an address that is not a machine's.
func (n Network) Rotation(frontend Frontend) []netip.Addr {
	ports := map[netip.Addr]bool{}
	for _, port := range n.Ports {
		ports[port.Address] = true
	}
	var rotation []netip.Addr
	for _, backend := range frontend.Backends {
		if ports[backend] {
			rotation = append(rotation, backend)
			delete(ports, backend)
		}
	}
	return rotation
}
