package linux

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// writeRouter writes the whole packet filter of a router in one transaction.
//
// Forward asks the security rules of both subnets about every new connection,
// lets machines and pods speak with each other and out, and lets in what a balancer
// sent to a backend; nothing from the edge reaches a private address otherwise.
// Postrouting gives what leaves the network an outbound address. What balances
// lies in a table of its own (balanceTable).
func (f *Fabric) writeRouter(router *session, n network.Network) error {
	conn, err := router.filter()
	if err != nil {
		return err
	}
	defer conn.CloseLasting()
	before, err := counted(conn, &nftables.Table{Family: nftables.TableFamilyIPv4, Name: routerTable})
	if err != nil {
		return err
	}
	t := replaceTable(conn, nftables.TableFamilyIPv4, routerTable)
	t.counters = before
	f.writeMarks(t, n)
	t.rules(t.hook("input", nftables.ChainTypeFilter, nftables.ChainHookInput, *nftables.ChainPriorityFilter, nftables.ChainPolicyDrop),
		rule(state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept()),
		rule(protocol(unix.IPPROTO_ICMP), accept()),
	)
	forward := t.hook("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, *nftables.ChainPriorityFilter, nftables.ChainPolicyDrop)
	t.rules(forward,
		rule(state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept()),
		rule(state(expr.CtStateBitINVALID), drop()),
	)
	onward := t.chain("onward")
	f.writeSecurity(t, forward, onward, n)
	t.rules(onward,
		rule(to(uplink), goTo(source(), t.leaving(n))),
		rule(to(uplink), drop()),
		rule(notFrom(uplink), accept()),
		rule(from(uplink), translated(), accept()),
		rule(drop()),
	)
	t.rules(t.hook("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, *nftables.ChainPriorityNATSource, nftables.ChainPolicyAccept),
		rule(to(uplink), goTo(source(), t.translations(n))),
	)
	return t.commit()
}
