// Package shelter keeps who asks something of a port waiting while the process
// behind it is replaced: the packets that begin a connection, or that ask over one
// that is there, are dropped, and whoever sent them sends them again. Nobody is
// refused, and what was asked before is still answered. It works in the network
// namespace of its caller, who is root there.
package shelter

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The table that holds the rules, and its chain.
const (
	tableName = "berth-shelter"
	chainName = "input"
)

// The flags of a TCP header.
const (
	flagsOffset = 13
	flagSYN     = 0x02
	flagPSH     = 0x08
	flagACK     = 0x10
)

// flags match packets of whose looked-at flags exactly those are set.
type flags struct{ looked, set byte }

// first are the first packets of connections, asking those that end what was
// written at once: a request, whatever its size, comes to its end with one. What
// merely confirms that an answer has come is not among them.
func first() flags  { return flags{looked: flagSYN | flagACK, set: flagSYN} }
func asking() flags { return flags{looked: flagPSH, set: flagPSH} }

// The states of a socket, as the kernel numbers them.
const (
	established = 1
	listening   = 10
)

// Ports are those of the caller's network namespace.
type Ports struct{}

// Close keeps new connections to a port waiting, and lets those of any other
// port that was closed in. Connections that are there go on.
func (Ports) Close(port uint16) error { return drop(port, first()) }

// Seal keeps everything waiting that is asked of a port, also over connections that
// are there. Answers go out.
func (Ports) Seal(port uint16) error { return drop(port, first(), asking()) }

// drop drops what is sent to a port with some flags.
func drop(port uint16, what ...flags) error {
	return change(func(conn *nftables.Conn) {
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: tableName})
		chain := conn.AddChain(&nftables.Chain{
			Name: chainName, Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
		})
		conn.FlushChain(chain)
		for _, f := range what {
			conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{
				&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: flagsOffset, Len: 1},
				&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{f.looked}, Xor: []byte{0}},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{f.set}},
				&expr.Verdict{Kind: expr.VerdictDrop},
			}})
		}
	})
}

// Open lets connections to every port in.
func (Ports) Open() error {
	return change(func(conn *nftables.Conn) {
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: tableName}) // what is not there cannot be removed
		conn.DelTable(table)
	})
}

// change makes changes of the kernel's rules, all at once.
func change(with func(*nftables.Conn)) error {
	conn, err := nftables.New()
	if err == nil {
		with(conn)
		err = conn.Flush()
	}
	if err != nil {
		return fmt.Errorf("sheltering connections: %w", err)
	}
	return nil
}

// Silent says that over every connection that was made to a port, what was last
// received was answered, and nothing sent or received for a while.
func (Ports) Silent(port uint16, since time.Duration) (bool, error) {
	silent := true
	err := each(port, func(socket *netlink.InetDiagTCPInfoResp) {
		if socket.InetDiagMsg.State != established || socket.TCPInfo == nil {
			return
		}
		received, sent := socket.TCPInfo.Last_data_recv, socket.TCPInfo.Last_data_sent // how long ago
		silent = silent && sent <= received && time.Duration(sent)*time.Millisecond >= since
	})
	return silent, err
}

// Listens says that somebody takes connections to a port.
func (Ports) Listens(port uint16) (bool, error) {
	listens := false
	err := each(port, func(socket *netlink.InetDiagTCPInfoResp) { listens = listens || socket.InetDiagMsg.State == listening })
	return listens, err
}

// each gives the sockets of a port to use.
func each(port uint16, use func(*netlink.InetDiagTCPInfoResp)) error {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		sockets, err := netlink.SocketDiagTCPInfo(family)
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			return fmt.Errorf("looking at the connections of port %d: %w", port, err)
		}
		for _, socket := range sockets {
			if socket.InetDiagMsg.ID.SourcePort == port {
				use(socket)
			}
		}
	}
	return nil
}
