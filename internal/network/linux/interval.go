package linux

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"

	"berth.dev/berth/internal/network"
)

// span is one interval of a set: keys from first to last, as the kernel
// compares them. A nil end is that of all keys.
type span struct {
	first, end []byte
	verdict    *expr.Verdict
}

// elements are the spans, which are disjoint, as the kernel has them: the end of
// each belongs to it no more.
func elements(spans []span) []nftables.SetElement {
	slices.SortFunc(spans, func(a, b span) int { return slices.Compare(a.first, b.first) })
	var out []nftables.SetElement
	for _, s := range spans {
		out = append(out, nftables.SetElement{Key: s.first, VerdictData: s.verdict})
		if s.end != nil {
			out = append(out, nftables.SetElement{Key: s.end, IntervalEnd: true})
		}
	}
	return out
}

// spanOf is the interval of a range of addresses.
func spanOf(p netip.Prefix) span {
	return spanFrom(network.SpanOf(p))
}

func spanFrom(s network.Span) span {
	out := span{first: s.First.AsSlice()}
	if next := s.Last.Next(); next.IsValid() {
		out.end = next.AsSlice()
	}
	return out
}

// ranges adds a set of ranges of addresses, which are disjoint.
func (t *transaction) ranges(ranges []netip.Prefix) *nftables.Set {
	var spans []span
	for _, p := range ranges {
		spans = append(spans, spanOf(p))
	}
	return t.spans(spans)
}

// spans adds a set of intervals of addresses.
func (t *transaction) spans(spans []span) *nftables.Set {
	return t.set(&nftables.Set{
		Name: fmt.Sprintf("ranges-%d", t.sets), Interval: true, KeyType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.BigEndian,
	}, elements(spans))
}

// ports adds a set of ranges of ports, in the order of their first.
func (t *transaction) ports(ranges []network.PortRange) *nftables.Set {
	var spans []span
	for _, r := range mergedPorts(ranges) {
		s := span{first: binaryutil.BigEndian.PutUint16(r.First)}
		if r.Last != ^uint16(0) {
			s.end = binaryutil.BigEndian.PutUint16(r.Last + 1)
		}
		spans = append(spans, s)
	}
	return t.set(&nftables.Set{
		Name: fmt.Sprintf("ports-%d", t.sets), Interval: true, KeyType: nftables.TypeInetService, KeyByteOrder: binaryutil.BigEndian,
	}, elements(spans))
}

// mergedPorts makes one of ranges that overlap.
func mergedPorts(ranges []network.PortRange) []network.PortRange {
	sorted := slices.Clone(ranges)
	slices.SortFunc(sorted, func(a, b network.PortRange) int { return cmp.Compare(a.First, b.First) })
	var out []network.PortRange
	for _, r := range sorted {
		if len(out) > 0 && r.First <= out[len(out)-1].Last {
			out[len(out)-1].Last = max(out[len(out)-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}

// verdicts adds a map from ranges of addresses, which are disjoint, to chains.
func (t *transaction) verdicts(name string, chains map[netip.Prefix]string) *nftables.Set {
	var spans []span
	for _, p := range slices.SortedFunc(maps.Keys(chains), func(a, b netip.Prefix) int { return a.Addr().Compare(b.Addr()) }) {
		s := spanOf(p)
		s.verdict = &expr.Verdict{Kind: expr.VerdictGoto, Chain: chains[p]}
		spans = append(spans, s)
	}
	return t.set(&nftables.Set{
		Name: name, IsMap: true, Interval: true, KeyType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.BigEndian, DataType: nftables.TypeVerdict,
	}, elements(spans))
}

// verdictsByLink adds a map from names of links to chains that come back.
func (t *transaction) verdictsByLink(name string, chains map[string]string) *nftables.Set {
	var list []nftables.SetElement
	for _, link := range slices.Sorted(maps.Keys(chains)) {
		list = append(list, nftables.SetElement{Key: linkKey(link), VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: chains[link]}})
	}
	return t.set(&nftables.Set{
		Name: name, IsMap: true, KeyType: nftables.TypeIFName, KeyByteOrder: binaryutil.NativeEndian, DataType: nftables.TypeVerdict,
	}, list)
}

// inRanges matches what a loaded address is in.
func inRanges(load expr.Any, set *nftables.Set) terms {
	return terms{load, &expr.Lookup{SourceRegister: register1, SetID: set.ID, SetName: set.Name}}
}

// goTo looks what is loaded up in a map of chains and goes where it says.
func goTo(load expr.Any, set *nftables.Set) terms {
	return terms{load, &expr.Lookup{SourceRegister: register1, IsDestRegSet: true, DestRegister: 0, SetID: set.ID, SetName: set.Name}}
}
