// Package health says which backends of the balancers answer. A process of its
// own (cmd/berth-prober) asks them, so that a dead node leaves rotation while
// the daemon is away: the daemon leaves every network's desired state in a file,
// the prober leaves what it found in another, and whoever of the two has news
// programs the router from both, one at a time.
//
// What is asked is the /healthz that kube-proxy serves on every node, once a
// second (NodeHealthPort), and for frontends with a health port the /healthz of
// that port. It must not know the management API or Kubernetes.
package health

import (
	"cmp"
	"net/netip"
	"slices"

	"berth.dev/berth/internal/network"
)

// Down are the probes that fail: of a node, or of one frontend's port on it.
type Down []netip.AddrPort

// has says whether a probe fails.
func (d Down) has(backend netip.Addr, port uint16) bool {
	return slices.Contains(d, netip.AddrPortFrom(backend, port))
}

// sorted is the list in an order of its own.
func (d Down) sorted() Down {
	slices.SortFunc(d, func(a, b netip.AddrPort) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Port(), b.Port()))
	})
	return slices.Compact(d)
}

// Apply takes the backends that fail out of a network's frontends.
//
// A frontend without a health port whose backends all fail keeps them all: the
// question was whether nodes forward, and if none says so, the answer is as
// likely to be wrong as the nodes are to be dead; nothing is lost by sending. A
// frontend with a health port whose backends all fail has none: a node without an
// endpoint would drop what it got, and a refusal at once is better.
func (d Down) Apply(n network.Network) network.Network {
	if len(d) == 0 {
		return n
	}
	frontends := slices.Clone(n.Frontends)
	for i := range frontends {
		frontends[i].Backends = d.rotation(frontends[i])
	}
	n.Frontends = frontends
	return n
}

func (d Down) rotation(f network.Frontend) []netip.Addr {
	serving, forwarding := slices.Clone(f.Backends), slices.Clone(f.Backends)
	if f.HealthPort != 0 {
		serving = slices.DeleteFunc(serving, func(b netip.Addr) bool { return d.has(b, f.HealthPort) })
		forwarding = slices.Clone(serving)
	}
	forwarding = slices.DeleteFunc(forwarding, func(b netip.Addr) bool { return d.has(b, network.NodeHealthPort) })
	if len(forwarding) == 0 {
		return serving
	}
	return forwarding
}

// targets are the probes that a network asks for: its nodes in rotation, and
// the health ports of its frontends on them.
func targets(n network.Network) []netip.AddrPort {
	var all Down
	for _, f := range n.Frontends {
		for _, backend := range n.Rotation(f) {
			all = append(all, netip.AddrPortFrom(backend, network.NodeHealthPort))
			if f.HealthPort != 0 {
				all = append(all, netip.AddrPortFrom(backend, f.HealthPort))
			}
		}
	}
	return all.sorted()
}

// unproven are the nodes of a network that were not asked before.
func unproven(before, n network.Network) Down {
	asked := targets(before)
	return slices.DeleteFunc(targets(n), func(target netip.AddrPort) bool {
		return target.Port() != network.NodeHealthPort || slices.Contains(asked, target)
	})
}
