// Package shelter keeps connections to a port waiting while the process behind
// it is replaced: their first packets are dropped, and whoever sent them sends
// them again until the successor listens. Nobody is refused. It works in the
// network namespace of its caller, who is root there.
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

// The flags of a TCP header: those that are looked at, and those of a
// connection's first packet.
const (
	flagsOffset = 13
	lookedAt    = 0x02 | 0x10 // SYN, ACK
	onlySYN     = 0x02
)

// The states of a socket, as the kernel numbers them.
const (
	established = 1
	listening   = 10
)

// Ports are those of the caller's network namespace.
type Ports struct{}

// Close keeps new connections to a port waiting, and lets those of any other
// port that was closed in. Connections that are there go on.
func (Ports) Close(port uint16) error { return drop(port, true) }

// Seal keeps everything that is sent to a port waiting, also over connections that
// are there: their process ends with nothing half done, and who sent it tries again.
func (Ports) Seal(port uint16) error { return drop(port, false) }

// drop drops what is sent to a port: first packets alone, or all.
func drop(port uint16, first bool) error {
	return change(func(conn *nftables.Conn) {
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: tableName})
		chain := conn.AddChain(&nftables.Chain{
			Name: chainName, Table: table, Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookInput, Priority: nftables.ChainPriorityFilter,
		})
		conn.FlushChain(chain)
		matches := []expr.Any{
			&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{unix.IPPROTO_TCP}},
			&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
			&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binaryutil.BigEndian.PutUint16(port)},
		}
		if first {
			matches = append(matches,
				&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: flagsOffset, Len: 1},
				&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 1, Mask: []byte{lookedAt}, Xor: []byte{0}},
				&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{onlySYN}},
			)
		}
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: append(matches, &expr.Verdict{Kind: expr.VerdictDrop})})
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

// Silent says that nothing was sent or received for a while over any connection
// that was made to a port.
func (Ports) Silent(port uint16, since time.Duration) (bool, error) {
	silent := true
	err := each(port, func(socket *netlink.InetDiagTCPInfoResp) {
		if socket.InetDiagMsg.State != established || socket.TCPInfo == nil {
			return
		}
		last := min(socket.TCPInfo.Last_data_recv, socket.TCPInfo.Last_data_sent)
		silent = silent && time.Duration(last)*time.Millisecond >= since
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
