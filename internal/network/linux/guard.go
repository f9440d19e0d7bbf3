package linux

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// hostFamily is the family of the host's table: IPv4 and IPv6 in one.
const hostFamily = nftables.TableFamilyINet

// guardPriority puts the guard before the usual filters of a host. What it
// drops stays dropped; what it accepts they see.
const guardPriority = -10

// guardHost keeps everything out that comes from the edge to the host, but
// answers to what the host asked. It forwards nothing to or from the edge but what
// the operator opened: with egress, what the pool's addresses send out; on
// the announced link, what others send to the pool's addresses; and answers.
func (f *Fabric) guardHost(host *session, edge network.Edge) error {
	conn, err := host.filter()
	if err != nil {
		return err
	}
	defer conn.CloseLasting()
	link := f.names.hostLink()
	t := replaceTable(conn, hostFamily, f.names.hostTable())
	t.rules(t.hook("input", nftables.ChainTypeFilter, nftables.ChainHookInput, guardPriority, nftables.ChainPolicyAccept),
		rule(from(link), state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), accept()),
		rule(from(link), drop()),
	)
	forward := t.hook("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, guardPriority, nftables.ChainPolicyAccept)
	if opensOutside(edge) {
		answers := state(expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED)
		t.rules(forward, rule(from(link), answers, accept()), rule(to(link), answers, accept()))
	}
	if edge.Egress {
		t.rules(forward, rule(from(link), notTo(link), overIPv4(), inPrefix(source(), edge.PublicRange), accept()))
		t.rules(t.hook("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, *nftables.ChainPriorityNATSource, nftables.ChainPolicyAccept),
			rule(notTo(link), notTo(edge.Announce), overIPv4(), inPrefix(source(), edge.PublicRange), terms{&expr.Masq{}}))
	}
	if edge.Announce != "" {
		t.rules(forward, rule(from(edge.Announce), to(link), overIPv4(), inPrefix(target(), edge.PublicRange), accept()))
	}
	t.rules(forward, rule(from(link), drop()), rule(to(link), drop()))
	return t.commit()
}

// overIPv4 matches packets of IPv4, in a table of both families.
func overIPv4() terms {
	return terms{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: register1}, &expr.Cmp{Op: expr.CmpOpEq, Register: register1, Data: []byte{unix.NFPROTO_IPV4}}}
}
