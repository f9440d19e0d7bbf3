package linux

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The registers of nftables that the rules use. The first of 16 bytes is the
// same as the first four of four bytes, whose others hold the rest of a
// concatenation.
const (
	register1   = 1
	register4_1 = 9
	register4_2 = 10
)

// conntrackDNAT is the bit of a connection whose destination was translated
// (IPS_DST_NAT).
const conntrackDNAT = 1 << 5

// terms are conditions and statements; a rule is a list of them.
type terms []expr.Any

// rule joins terms.
func rule(parts ...terms) []expr.Any {
	var all []expr.Any
	for _, part := range parts {
		all = append(all, part...)
	}
	return all
}

// from matches packets that came in over a link.
func from(link string) terms { return onLink(expr.MetaKeyIIFNAME, expr.CmpOpEq, link) }

// notFrom matches packets that came in over any other link.
func notFrom(link string) terms { return onLink(expr.MetaKeyIIFNAME, expr.CmpOpNeq, link) }

// to matches packets that go out over a link.
func to(link string) terms { return onLink(expr.MetaKeyOIFNAME, expr.CmpOpEq, link) }

// notTo matches packets that go out over any other link.
func notTo(link string) terms { return onLink(expr.MetaKeyOIFNAME, expr.CmpOpNeq, link) }

func onLink(key expr.MetaKey, op expr.CmpOp, link string) terms {
	return terms{&expr.Meta{Key: key, Register: register1}, &expr.Cmp{Op: op, Register: register1, Data: linkKey(link)}}
}

// linkKey is the name of a link as the kernel compares it.
func linkKey(link string) []byte {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, link)
	return name
}

// protocol matches a transport protocol.
func protocol(number byte) terms {
	return terms{&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register1}, &expr.Cmp{Op: expr.CmpOpEq, Register: register1, Data: []byte{number}}}
}

// state matches connections in one of some states.
func state(bits uint32) terms { return connection(expr.CtKeySTATE, bits) }

// translated matches connections that a balancer sent to a backend.
func translated() terms { return connection(expr.CtKeySTATUS, conntrackDNAT) }

func connection(key expr.CtKey, bits uint32) terms {
	return terms{
		&expr.Ct{Key: key, Register: register1},
		&expr.Bitwise{SourceRegister: register1, DestRegister: register1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register1, Data: make([]byte, 4)},
	}
}

// source loads the source address of an IPv4 packet.
func source() expr.Any {
	return &expr.Payload{DestRegister: register1, Base: expr.PayloadBaseNetworkHeader, Offset: 12, Len: 4}
}

// target loads the destination address of an IPv4 packet.
func target() expr.Any {
	return &expr.Payload{DestRegister: register1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4}
}

// toSet matches packets to an address of a set.
func toSet(set *nftables.Set) terms {
	return terms{target(), &expr.Lookup{SourceRegister: register1, SetID: set.ID, SetName: set.Name}}
}

// toService looks the packet's destination address, protocol and port up in a
// map and goes where it says.
func toService(services *nftables.Set) terms {
	return terms{
		target(),
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register4_1},
		&expr.Payload{DestRegister: register4_2, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Lookup{SourceRegister: register1, IsDestRegSet: true, DestRegister: 0, SetID: services.ID, SetName: services.Name},
	}
}

// as translates the source.
func as(address netip.Addr) terms {
	return terms{
		&expr.Immediate{Register: register1, Data: address.AsSlice()},
		&expr.NAT{Type: expr.NATTypeSourceNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: register1},
	}
}

func accept() terms { return terms{&expr.Verdict{Kind: expr.VerdictAccept}} }

func drop() terms { return terms{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictDrop}} }

// reset and portUnreachable answer as a host does on whose port nothing listens.
func reset() terms { return terms{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}} }

func portUnreachable() terms {
	const code = 3 // ICMP_PORT_UNREACH
	return terms{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: code}}
}

// transaction is one change of a table, all or nothing. The table is made anew,
// so that it holds what is said and no more; a connection that is
// established lives on in the connection tracking.
type transaction struct {
	conn  *nftables.Conn
	table *nftables.Table
	sets  uint32
	err   error
	// counters are what named counters had counted before, and counting those
	// that the transaction has added.
	counters map[string]expr.Counter
	counting map[string]bool
}

// replaceTable begins a transaction; the caller closes conn.
func replaceTable(conn *nftables.Conn, family nftables.TableFamily, name string) *transaction {
	table := &nftables.Table{Family: family, Name: name}
	conn.AddTable(table) // so that deleting it cannot fail
	conn.DelTable(table)
	conn.AddTable(table)
	return &transaction{conn: conn, table: table, counting: map[string]bool{}}
}

// hook adds a base chain.
func (t *transaction) hook(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority nftables.ChainPriority, policy nftables.ChainPolicy) *nftables.Chain {
	return t.conn.AddChain(&nftables.Chain{Name: name, Table: t.table, Type: kind, Hooknum: hook, Priority: &priority, Policy: &policy})
}

// chain adds a chain to jump to.
func (t *transaction) chain(name string) *nftables.Chain {
	return t.conn.AddChain(&nftables.Chain{Name: name, Table: t.table})
}

// rules adds rules to a chain.
func (t *transaction) rules(chain *nftables.Chain, rules ...[]expr.Any) {
	for _, exprs := range rules {
		t.conn.AddRule(&nftables.Rule{Table: t.table, Chain: chain, Exprs: exprs})
	}
}

// elementsPerMessage keeps a message below the 64 KiB of a netlink attribute.
const elementsPerMessage = 400

// set adds a set or map with its elements.
func (t *transaction) set(set *nftables.Set, elements []nftables.SetElement) *nftables.Set {
	t.sets++
	set.Table, set.ID = t.table, t.sets
	t.err = errors.Join(t.err, t.conn.AddSet(set, nil))
	for len(elements) > 0 {
		n := min(len(elements), elementsPerMessage)
		t.err = errors.Join(t.err, t.conn.SetAddElements(set, elements[:n]))
		elements = elements[n:]
	}
	return set
}

// commit sends the transaction.
func (t *transaction) commit() error {
	if err := errors.Join(t.err, t.conn.Flush()); err != nil {
		return fmt.Errorf("writing nftables table %s: %w", t.table.Name, err)
	}
	return nil
}

// removeTable removes a table if it is there.
func removeTable(in *session, family nftables.TableFamily, name string) error {
	conn, err := in.filter()
	if err != nil {
		return err
	}
	defer conn.CloseLasting()
	table := &nftables.Table{Family: family, Name: name}
	conn.AddTable(table)
	conn.DelTable(table)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("removing nftables table %s: %w", name, err)
	}
	return nil
}
