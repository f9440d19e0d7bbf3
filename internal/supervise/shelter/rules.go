package shelter

import (
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The table that holds the rules, and its chains: for what arrives, for what this
// machine's own processes send, and for what is about to reach one of them.
const (
	tableName = "berth-shelter"
	arriving  = "prerouting"
	own       = "output"
	toProcess = "input"
)

// register is where the expressions of a rule put what the next ones look at.
const register = 1

// The places of the destination's port and of the flags in a TCP header, and flags.
const (
	portOffset  = 2
	flagsOffset = 13
	flagSYN     = 0x02
	flagPSH     = 0x08
	flagACK     = 0x10
)

// conntrackDNAT is set in the status of a connection that was led elsewhere.
const conntrackDNAT = 1 << 5

// rules are those of the table, as they are going to be.
type rules struct {
	conn   *nftables.Conn
	table  *nftables.Table
	chains map[string]*nftables.Chain
}

// set replaces the kernel's rules, all at once. The chains stay when they are
// empty: with the last one that translates, connections that were led elsewhere
// would come to nothing.
func (p *Ports) set(with func(rules)) error {
	conn, err := nftables.New()
	if err != nil {
		return fmt.Errorf("sheltering connections: %w", err)
	}
	r := rules{conn: conn, chains: map[string]*nftables.Chain{}}
	r.table = conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: tableName})
	if len(p.rooms) == 0 { // what is there is a killed process's, and leads nowhere
		conn.DelTable(r.table)
	} else {
		r.chain(arriving, nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest)
		r.chain(own, nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest)
		r.chain(toProcess, nftables.ChainTypeFilter, nftables.ChainHookInput, nftables.ChainPriorityFilter)
		conn.FlushTable(r.table)
		for _, room := range p.rooms {
			r.hide(room)
		}
		with(r)
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("sheltering connections: %w", err)
	}
	return nil
}

func (r rules) chain(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) {
	r.chains[name] = r.conn.AddChain(&nftables.Chain{Name: name, Table: r.table, Type: kind, Hooknum: hook, Priority: priority})
}

// hide drops what comes to a room without having been led there: what may reach a
// port is told by that port's number elsewhere.
func (r rules) hide(room *room) {
	r.add(toProcess, room.entrance(),
		&expr.Ct{Key: expr.CtKeySTATUS, Register: register},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(conntrackDNAT), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: make([]byte, 4)},
		&expr.Verdict{Kind: expr.VerdictDrop})
}

// lead leads new connections to a room's port into the room. They are told by
// their first packet: a kernel that begins to follow connections takes for new
// what is there.
func (r rules) lead(room *room) {
	for _, chain := range []string{arriving, own} {
		r.add(chain, room.port, append(flags(flagSYN|flagACK, flagSYN),
			&expr.Immediate{Register: register, Data: binaryutil.BigEndian.PutUint16(room.entrance())},
			&expr.Redir{RegisterProtoMin: register})...)
	}
}

// drop drops what is asked of a room's port over connections that are there: the
// packets that end what was written at once, as a request, whatever its size, comes
// to its end with one. What merely confirms that an answer has come is none.
func (r rules) drop(room *room) {
	r.add(toProcess, room.port, append(flags(flagPSH, flagPSH), &expr.Verdict{Kind: expr.VerdictDrop})...)
}

// flags match packets of whose looked-at flags exactly those are set.
func flags(looked, set byte) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: flagsOffset, Len: 1},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 1, Mask: []byte{looked}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{set}},
	}
}

// add adds a rule for TCP packets to a port.
func (r rules) add(chain string, port uint16, then ...expr.Any) {
	to := []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: portOffset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: binaryutil.BigEndian.PutUint16(port)},
	}
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: r.chains[chain], Exprs: append(to, then...)})
}
