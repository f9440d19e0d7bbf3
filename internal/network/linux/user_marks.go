package linux

import (
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"berth.dev/berth/internal/network"
)

// writeMarks marks what comes from the ports of subnets that have user-defined
// routes with the number of their table, and takes out of the connection tracking
// what is on its way to an appliance: the appliance sends it on, and it would
// else meet its own tracks.
func (f *Fabric) writeMarks(t *transaction, n network.Network) {
	chains, tables := map[string]string{}, tablesOf(n)
	for _, subnet := range n.Subnets {
		if len(subnet.Routes) == 0 {
			continue
		}
		chain := t.chain("routes-" + subnet.Name)
		t.rules(chain, rule(marked(uint32(tables[subnet.Name]))))
		if spans := n.ApplianceSpans(subnet); len(spans) > 0 {
			var intervals []span
			for _, s := range spans {
				intervals = append(intervals, spanFrom(s))
			}
			t.rules(chain, rule(inRanges(target(), t.spans(intervals)), terms{&expr.Notrack{}}))
		}
		for _, port := range n.Ports {
			if port.Subnet == subnet.Name {
				chains[f.names.portLink(port.ID)] = chain.Name
			}
		}
	}
	if len(chains) == 0 {
		return
	}
	t.rules(t.hook("routes", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, *nftables.ChainPriorityRaw, nftables.ChainPolicyAccept),
		rule(byLink(expr.MetaKeyIIFNAME, t.verdictsByLink("by-routes", chains))))
}

// marked gives a packet a mark, which it has in this namespace only.
func marked(mark uint32) terms {
	return terms{
		&expr.Immediate{Register: register1, Data: binaryutil.NativeEndian.PutUint32(mark)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: register1},
	}
}
