package linux

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// writeRouter writes the whole packet filter of a router in one transaction.
//
// Prerouting translates what is for a service to one of its backends, wherever
// it comes from. Forward lets machines and pods speak with each other and out, and
// lets in what a balancer sent to a backend or what belongs to a
// connection; nothing from the edge reaches a private address otherwise.
// Postrouting gives what leaves the network its outbound address, and what one of
// its own machines sends to one of its services the gateway's, so that the
// answer comes back through here even if client and backend are one machine.
func writeRouter(router *session, n network.Network) error {
	conn, err := router.filter()
	if err != nil {
		return err
	}
	defer conn.CloseLasting()
	t := replaceTable(conn, nftables.TableFamilyIPv4, routerTable)
	frontends := t.set(&nftables.Set{Name: "frontends", KeyType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.BigEndian}, frontendElements(n))
	services := t.services(n)

	t.rules(t.hook("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, *nftables.ChainPriorityNATDest, nftables.ChainPolicyAccept),
		rule(toService(services)),
	)
	t.rules(t.hook("input", nftables.ChainTypeFilter, nftables.ChainHookInput, *nftables.ChainPriorityFilter, nftables.ChainPolicyDrop),
		rule(state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept()),
		rule(protocol(unix.IPPROTO_ICMP), accept()),
		rule(toSet(frontends), protocol(unix.IPPROTO_TCP), reset()),
	)
	t.rules(t.hook("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, *nftables.ChainPriorityFilter, nftables.ChainPolicyDrop),
		rule(state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept()),
		rule(state(expr.CtStateBitINVALID), drop()),
		// What still has a frontend's address here is for a port that no rule
		// lists or that has no backend.
		rule(toSet(frontends), protocol(unix.IPPROTO_TCP), reset()),
		rule(toSet(frontends), portUnreachable()),
		rule(notFrom(uplink), accept()),
		rule(from(uplink), notTo(uplink), translated(), accept()),
	)
	postrouting := t.hook("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, *nftables.ChainPriorityNATSource, nftables.ChainPolicyAccept)
	for _, inside := range []netip.Prefix{n.NodeRange, n.PodRange} {
		t.rules(postrouting,
			rule(to(uplink), fromRange(inside), as(n.OutboundAddress)),
			rule(notTo(uplink), fromRange(inside), translated(), as(network.Gateway(n.NodeRange))),
		)
	}
	return t.commit()
}

// services adds the map from address, protocol and port to a chain that
// balances over the backends. A service without backends is not in it.
func (t *transaction) services(n network.Network) *nftables.Set {
	var elements []nftables.SetElement
	for _, frontend := range n.Frontends {
		rotation := n.Rotation(frontend)
		if len(rotation) == 0 {
			continue
		}
		for _, r := range frontend.Rules {
			number := protocolNumber(r.Protocol)
			chain := t.chain(fmt.Sprintf("%s-%s-%d", strings.ToLower(r.Protocol), frontend.Address, r.Port))
			t.rules(chain, rule(protocol(number), toBackend(t.backends(rotation, r.NodePort), len(rotation))))
			elements = append(elements, nftables.SetElement{
				Key:         concatenate(frontend.Address.AsSlice(), []byte{number}, binaryutil.BigEndian.PutUint16(r.Port)),
				VerdictData: &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain.Name},
			})
		}
	}
	return t.set(&nftables.Set{
		Name: "services", IsMap: true, Concatenation: true, DataType: nftables.TypeVerdict,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService),
	}, elements)
}

// backends adds the map from a number below len(rotation) to a backend's
// address and port.
func (t *transaction) backends(rotation []netip.Addr, port uint16) *nftables.Set {
	elements := make([]nftables.SetElement, len(rotation))
	for i, backend := range rotation {
		elements[i] = nftables.SetElement{
			Key: binaryutil.NativeEndian.PutUint32(uint32(i)),
			Val: concatenate(backend.AsSlice(), binaryutil.BigEndian.PutUint16(port)),
		}
	}
	return t.set(&nftables.Set{
		Name: fmt.Sprintf("backends-%d", t.sets), IsMap: true, KeyType: nftables.TypeInteger, KeyByteOrder: binaryutil.NativeEndian,
		DataType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService),
	}, elements)
}

func frontendElements(n network.Network) []nftables.SetElement {
	var elements []nftables.SetElement
	seen := map[netip.Addr]bool{}
	for _, frontend := range n.Frontends {
		if !seen[frontend.Address] {
			elements = append(elements, nftables.SetElement{Key: frontend.Address.AsSlice()})
		}
		seen[frontend.Address] = true
	}
	return elements
}

func protocolNumber(name string) byte {
	if name == "UDP" {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
}

// concatenate pads every part to the four bytes of a register.
func concatenate(parts ...[]byte) []byte {
	var all []byte
	for _, part := range parts {
		all = append(all, part...)
		for len(all)%4 != 0 {
			all = append(all, 0)
		}
	}
	return all
}
