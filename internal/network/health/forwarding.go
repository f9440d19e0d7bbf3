package health

import (
	"net/netip"

	"berth.dev/berth/internal/network"
)

// Forwarding says of each node that a network's balancers send to whether it
// forwarded when it was last asked. kube-proxy says that it does not when it could
// not program a change for a minute, or when it does not run.
func (s Store) Forwarding(id string) (map[netip.Addr]bool, error) {
	n, _, err := s.Network(id)
	if err != nil {
		return nil, err
	}
	down, err := s.Down(id)
	if err != nil {
		return nil, err
	}
	nodes := map[netip.Addr]bool{}
	for _, target := range targets(n) {
		if target.Port() == network.NodeHealthPort {
			nodes[target.Addr()] = !down.has(target.Addr(), network.NodeHealthPort)
		}
	}
	return nodes, nil
}
