package linux

import (
	"errors"
	"net/netip"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/network"
)

// skeletonPrefix starts the names of the chains at hooks.
const skeletonPrefix = "hook-"

// stickSize is how many clients of a service can stick to their backends at a
// time; further ones draw a backend for every connection.
const stickSize = 65535

// skeleton is the name of the chain at prerouting, which tells all that the
// chains at hooks are made of.
func (b balance) skeleton() string {
	const revision = 1 // a change of the rules below is another one
	return named(skeletonPrefix, []any{revision, b.gateway, b.inside})
}

// writeSkeleton makes the chains at hooks, and what they look into.
//
// Prerouting translates what is for a service to one of its backends, wherever
// it comes from. What still has a frontend's address after that is for a port
// that no service has, for one without a backend, or of a connection that was
// forgotten: it is answered as by a host on which nothing listens, unless its
// source is not where it came from. Postrouting gives what the network's own
// machines send to their services the gateway's address, so that the answer comes
// back through here even if client and backend are one machine.
func (t *transaction) writeSkeleton(b balance) {
	frontends := t.set(&nftables.Set{Name: frontendsSet, KeyType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.BigEndian}, nil)
	services := t.set(&nftables.Set{
		Name: servicesMap, IsMap: true, Concatenation: true, DataType: nftables.TypeVerdict,
		KeyType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService),
	}, nil)
	before := *nftables.ChainPriorityNATDest
	t.rules(t.hook(b.skeleton(), nftables.ChainTypeNAT, nftables.ChainHookPrerouting, before, nftables.ChainPolicyAccept),
		rule(toService(services)),
	)
	t.rules(t.hook(b.skeleton()+"-unanswered", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, before+1, nftables.ChainPolicyAccept),
		rule(toSet(frontends), spoofed(), drop()),
		rule(toSet(frontends), protocol(unix.IPPROTO_TCP), reset()),
		rule(toSet(frontends), protocol(unix.IPPROTO_UDP), portUnreachable()),
	)
	after := *nftables.ChainPriorityNATSource
	postrouting := t.hook(b.skeleton()+"-postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, after-1, nftables.ChainPolicyAccept)
	if b.gateway.IsValid() {
		t.rules(postrouting, rule(notTo(uplink), translated(), inRanges(source(), t.insiders(b.inside)), as(b.gateway)))
	}
}

// addContent adds what is missing and lets the services point to it.
func (t *transaction) addContent(want balance, have present) {
	named := map[string]bool{}
	for _, name := range append(have.chains, have.sets...) {
		named[name] = true
	}
	for name, rotation := range want.rotations {
		if !named[name] {
			t.backends(name, rotation)
		}
	}
	for name, ranges := range want.ranges {
		if !named[name] {
			t.set(&nftables.Set{Name: name, Interval: true, KeyType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.BigEndian}, intervals(ranges))
		}
	}
	for name, timeout := range want.sticks {
		if !named[name] {
			t.set(&nftables.Set{
				Name: name, IsMap: true, Dynamic: true, HasTimeout: true, Timeout: timeout, Size: stickSize,
				KeyType: nftables.TypeIPAddr, DataType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.BigEndian,
			}, nil)
		}
	}
	for key, chain := range want.services {
		if !named[chain.name()] {
			t.writeService(chain)
		}
		if have.services[key] != chain.name() {
			t.point(key, chain.name(), have.services[key])
		}
	}
	for key, chain := range have.services {
		if _, wanted := want.services[key]; !wanted {
			t.point(key, "", chain)
		}
	}
	frontends := &nftables.Set{Table: t.table, Name: frontendsSet, KeyType: nftables.TypeIPAddr}
	t.elements(frontends, addresses(difference(want.frontends, have.frontends)), addresses(difference(have.frontends, want.frontends)))
}

// point lets the map of services lead to a chain, and no longer to a former one, if
// they are not empty.
func (t *transaction) point(key service, chain, former string) {
	services := &nftables.Set{Table: t.table, Name: servicesMap, IsMap: true, DataType: nftables.TypeVerdict}
	element := nftables.SetElement{Key: concatenate(key.address.AsSlice(), []byte{key.protocol}, binaryutil.BigEndian.PutUint16(key.port))}
	if former != "" {
		t.elements(services, nil, []nftables.SetElement{element})
	}
	if chain != "" {
		element.VerdictData = &expr.Verdict{Kind: expr.VerdictGoto, Chain: chain}
		t.elements(services, []nftables.SetElement{element}, nil)
	}
}

// backends adds a rotation: a map from numbers to backends, or their set.
func (t *transaction) backends(name string, rotation []netip.Addr) {
	if !isRotation(name) {
		t.set(&nftables.Set{Name: name, KeyType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.BigEndian}, addresses(rotation))
		return
	}
	elements := addresses(rotation)
	for i := range elements {
		elements[i].Val, elements[i].Key = elements[i].Key, binaryutil.NativeEndian.PutUint32(uint32(i))
	}
	t.set(&nftables.Set{
		Name: name, IsMap: true, KeyType: nftables.TypeInteger, KeyByteOrder: binaryutil.NativeEndian, DataType: nftables.TypeIPAddr,
	}, elements)
}

// writeService adds the chain of one port of a service.
func (t *transaction) writeService(c serviceChain) {
	idle := c.timeout()
	t.conn.AddObj(&nftables.NamedObj{Table: t.table, Name: idle, Type: nftables.ObjTypeCtTimeout, Obj: idleTimeout(c)})
	t.conn.AddObj(&nftables.NamedObj{Table: t.table, Name: c.Counter, Type: nftables.ObjTypeCounter, Obj: &expr.Counter{}})
	chain := t.chain(c.name())
	if c.Internal {
		t.rules(chain, rule(from(uplink), drop()))
	}
	if c.Ranges != "" {
		t.rules(chain, rule(notFromSet(c.Ranges), drop()))
	}
	if c.Service.protocol == unix.IPPROTO_TCP {
		forgotten := accept() // to be reset
		if c.Silent {
			forgotten = drop()
		}
		t.rules(chain, rule(notOpening(), forgotten))
	}
	t.rules(chain, rule(object(unix.NFT_OBJECT_CT_TIMEOUT, idle)), rule(object(unix.NFT_OBJECT_COUNTER, c.Counter)))
	drawn := rule(draw(c.Rotation, c.Backends), toDrawn(c.NodePort))
	if c.Stick == "" {
		t.rules(chain, drawn)
		return
	}
	t.rules(chain,
		rule(stuck(c.Stick), drawnIn(c.Members), stick(c.Stick, unix.NFT_DYNSET_OP_UPDATE), toDrawn(c.NodePort)),
		rule(stuck(c.Stick), stick(c.Stick, dynsetDelete)), // its backend has left
		rule(draw(c.Rotation, c.Backends), terms{source()}, stick(c.Stick, unix.NFT_DYNSET_OP_UPDATE), toDrawn(c.NodePort)),
		drawn, // the map is full
	)
}

// idleTimeout is the timeout policy of a service's connections.
func idleTimeout(c serviceChain) *expr.CtTimeout {
	seconds := uint32(c.Idle / time.Second)
	if c.Service.protocol == unix.IPPROTO_UDP {
		return &expr.CtTimeout{L3Proto: unix.NFPROTO_IPV4, L4Proto: unix.IPPROTO_UDP, Policy: expr.CtStatePolicyTimeout{
			expr.CtStateUDPUNREPLIED: 30, expr.CtStateUDPREPLIED: uint32(network.DefaultIdleTimeout / time.Second),
		}}
	}
	return &expr.CtTimeout{L3Proto: unix.NFPROTO_IPV4, L4Proto: unix.IPPROTO_TCP, Policy: expr.CtStatePolicyTimeout{
		expr.CtStateTCPSYNSENT: 120, expr.CtStateTCPSYNRECV: 60, expr.CtStateTCPESTABLISHED: seconds, expr.CtStateTCPFINWAIT: 120,
		expr.CtStateTCPCLOSEWAIT: 60, expr.CtStateTCPLASTACK: 30, expr.CtStateTCPTIMEWAIT: 120, expr.CtStateTCPCLOSE: 10,
		expr.CtStateTCPSYNSENT2: 120, expr.CtStateTCPRETRANS: 300, expr.CtStateTCPUNACK: 300,
	}}
}

// elements adds and removes elements of a set that is there.
func (t *transaction) elements(set *nftables.Set, add, remove []nftables.SetElement) {
	for len(remove) > 0 {
		n := min(len(remove), elementsPerMessage)
		t.err = errors.Join(t.err, t.conn.SetDeleteElements(set, remove[:n]))
		remove = remove[n:]
	}
	for len(add) > 0 {
		n := min(len(add), elementsPerMessage)
		t.err = errors.Join(t.err, t.conn.SetAddElements(set, add[:n]))
		add = add[n:]
	}
}

func addresses(list []netip.Addr) []nftables.SetElement {
	elements := make([]nftables.SetElement, len(list))
	for i, address := range list {
		elements[i].Key = address.AsSlice()
	}
	return elements
}

// intervals are the elements of an interval set of disjoint ranges.
func intervals(ranges []netip.Prefix) []nftables.SetElement {
	var spans []span
	for _, r := range ranges {
		spans = append(spans, spanOf(r))
	}
	return elements(spans)
}

// insiders adds the set of those whose answers could miss the router.
func (t *transaction) insiders(ranges []netip.Prefix) *nftables.Set {
	return t.set(&nftables.Set{Name: insidersSet, Interval: true, KeyType: nftables.TypeIPAddr, KeyByteOrder: binaryutil.BigEndian}, intervals(ranges))
}
