package linux

import (
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
)

// hostFamily is the family of the host's table: IPv4 and IPv6 in one.
const hostFamily = nftables.TableFamilyINet

// guardPriority puts the guard before the usual filters of a host. What it
// drops stays dropped; what it accepts they see.
const guardPriority = -10

// guardHost keeps everything out that comes from the edge to the host, but
// answers to what the host asked, and forwards nothing to or from it.
func (f *Fabric) guardHost(host *session) error {
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
	t.rules(t.hook("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, guardPriority, nftables.ChainPolicyAccept),
		rule(from(link), drop()),
		rule(to(link), drop()),
	)
	return t.commit()
}
