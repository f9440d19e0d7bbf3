package linux

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// forgetStale ends what the balancers no longer allow: flows to a service that
// is gone, and UDP flows to a backend that is out of rotation, which a client
// would keep alive for ever by sending. A TCP connection to such a backend
// lives on, so that a backend can drain.
func forgetStale(router *session, n network.Network) error {
	var tracking *netlink.Handle
	err := inNamespace(router.file, func() (err error) {
		tracking, err = netlink.NewHandle(unix.NETLINK_NETFILTER)
		return err
	})
	if err != nil {
		return fmt.Errorf("opening the connection tracking: %w", err)
	}
	defer tracking.Close()
	_, err = tracking.ConntrackDeleteFilters(netlink.ConntrackTable, unix.AF_INET, stale(balancing(n)))
	if err != nil {
		return fmt.Errorf("removing stale flows: %w", err)
	}
	return nil
}

// service is what a client connects to.
type service struct {
	address  netip.Addr
	protocol byte
	port     uint16
}

// stale matches the tracked flows that its services do not allow, and has the
// backends in rotation of each.
type stale map[service][]netip.AddrPort

// balancing is the services of a network that have backends.
func balancing(n network.Network) stale {
	allowed := stale{}
	for _, frontend := range n.Frontends {
		for _, r := range frontend.Rules {
			key := service{frontend.Address, protocolNumber(r.Protocol), r.Port}
			allowed[key] = nil
			for _, backend := range n.Rotation(frontend) {
				allowed[key] = append(allowed[key], netip.AddrPortFrom(backend, r.NodePort))
			}
		}
	}
	return allowed
}

// MatchConntrackFlow implements netlink.CustomConntrackFilter.
func (s stale) MatchConntrackFlow(flow *netlink.ConntrackFlow) bool {
	target, answering := fromIP(flow.Forward.DstIP), fromIP(flow.Reverse.SrcIP)
	if target == answering {
		return false // not balanced
	}
	backends, known := s[service{target, flow.Forward.Protocol, flow.Forward.DstPort}]
	if !known {
		return true
	}
	return flow.Forward.Protocol == unix.IPPROTO_UDP && !slices.Contains(backends, netip.AddrPortFrom(answering, flow.Reverse.SrcPort))
}

// memory is what each network balanced last, so that the tracked flows are
// only searched when that changed. Forgetting it costs one search.
type memory struct {
	mu   sync.Mutex
	last map[string]string
}

func newMemory() *memory {
	return &memory{last: map[string]string{}}
}

// changed says whether a network balances otherwise than when it was last remembered.
func (m *memory) changed(n network.Network) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	last, known := m.last[n.ID]
	return !known || last != fmt.Sprint(balancing(n))
}

func (m *memory) remember(n network.Network) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.last[n.ID] = fmt.Sprint(balancing(n)) // maps print in the order of their keys
}

func (m *memory) forget(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.last, id)
}
