package linux

import (
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// firstEphemeral is the first port that a kernel gives to what connects from
// here; servers have lower ones.
const firstEphemeral = 32768

// authorize keeps everyone but the authorized from the servers of an endpoint.
// It tracks no connections: what is no longer authorized is cut off at once.
func authorize(edge, inside *session, endpoint network.Endpoint) error {
	if len(endpoint.Authorized) == 0 {
		return removeTable(inside, nftables.TableFamilyIPv4, routerTable)
	}
	always, err := edge.ownAddresses()
	if err != nil {
		return err
	}
	admitted := append([]netip.Prefix{netip.PrefixFrom(endpoint.Address, 32)}, endpoint.Authorized...)
	for _, address := range always {
		admitted = append(admitted, netip.PrefixFrom(address, 32))
	}
	conn, err := inside.filter()
	if err != nil {
		return err
	}
	defer conn.CloseLasting()
	t := replaceTable(conn, nftables.TableFamilyIPv4, routerTable)
	set := t.ranges(network.Disjoint(admitted))
	server := terms{destinationPort(), &expr.Cmp{Op: expr.CmpOpLt, Register: register1, Data: binaryutil.BigEndian.PutUint16(firstEphemeral)}}
	t.rules(t.hook("input", nftables.ChainTypeFilter, nftables.ChainHookInput, *nftables.ChainPriorityFilter, nftables.ChainPolicyAccept),
		rule(from(machineLink), inRanges(source(), set), accept()),
		rule(from(machineLink), protocol(unix.IPPROTO_TCP), server, drop()),
		rule(from(machineLink), protocol(unix.IPPROTO_UDP), server, drop()),
	)
	return t.commit()
}

// ownAddresses are those of the edge itself and the host's on its link to it.
func (s *session) ownAddresses() ([]netip.Addr, error) {
	lo, err := s.loopback()
	if err != nil {
		return nil, err
	}
	list, err := s.addresses(lo)
	if err != nil {
		return nil, err
	}
	var own []netip.Addr
	for _, a := range list {
		if a.Scope != unix.RT_SCOPE_LINK {
			own = append(own, fromIP(a.IP))
		}
	}
	link, err := s.link(hostLink)
	if link == nil || err != nil {
		return own, err
	}
	routes, err := s.routes()
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		if to := destination(r); r.LinkIndex == link.Attrs().Index && to.Bits() == 32 {
			own = append(own, to.Addr())
		}
	}
	return own, nil
}
