package process

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/controlplane"
)

// doorTable is the table in a control plane's network namespace that says which
// of its slots new connections reach; doorChain is the chain for those from outside.
const (
	doorTable = "berth-door"
	doorChain = "prerouting"
)

// The flags of a TCP header: the bits that are looked at, and those of a
// connection's first packet.
const (
	flagsOffset = 13
	lookedAt    = 0x01 | 0x02 | 0x04 | 0x10 // FIN, SYN, RST, ACK
	onlySYN     = 0x02
)

// door decides which API server of a control plane serves. What it decided lies
// in the kernel, where only root can change it, and is gone exactly when the
// namespace and all connections in it are.
type door struct {
	namespace string
	address   netip.Addr
}

// open gives a connection to the namespace's nftables to use.
func (d door) open(use func(*nftables.Conn) error) error {
	file, err := os.Open(d.namespace)
	if err != nil {
		return err
	}
	defer file.Close()
	conn, err := nftables.New(nftables.AsLasting(), nftables.WithNetNSFd(int(file.Fd())))
	if err != nil {
		return fmt.Errorf("opening nftables in %s: %w", d.namespace, err)
	}
	return errors.Join(use(conn), conn.CloseLasting())
}

// serving is the slot that new connections reach.
func (d door) serving() (controlplane.Slot, error) {
	slot := controlplane.FirstSlot
	err := d.open(func(conn *nftables.Conn) error {
		table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: doorTable}
		rules, err := conn.GetRules(table, &nftables.Chain{Name: doorChain, Table: table})
		if errors.Is(err, unix.ENOENT) || err == nil && len(rules) == 0 {
			return nil
		}
		if err != nil {
			return err
		}
		slot = target(rules[0])
		if !slot.Valid() {
			return fmt.Errorf("table %s leads to port %d, where no API server can be", doorTable, slot)
		}
		return nil
	})
	if err != nil {
		return slot, fmt.Errorf("looking which API server serves: %w", err)
	}
	return slot, nil
}

// lead makes new connections reach a slot; those that are established stay
// where they are. The chains stay once they are there: without them the kernel
// would no longer translate what it began to translate.
func (d door) lead(to controlplane.Slot) error {
	err := d.open(func(conn *nftables.Conn) error {
		table := conn.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: doorTable})
		for name, hook := range map[string]*nftables.ChainHook{
			doorChain: nftables.ChainHookPrerouting, // from outside
			"output":  nftables.ChainHookOutput,     // from the control plane's own components
		} {
			chain := conn.AddChain(&nftables.Chain{
				Name: name, Table: table, Type: nftables.ChainTypeNAT, Hooknum: hook, Priority: nftables.ChainPriorityNATDest,
			})
			conn.FlushChain(chain)
			if to != controlplane.FirstSlot {
				conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: d.translate(to)})
			}
		}
		return conn.Flush()
	})
	if err != nil {
		return fmt.Errorf("leading new connections to the API server on port %d: %w", to, err)
	}
	return nil
}

// The registers of a translation: its address, or what is compared, and its port.
const (
	register     = 1
	portRegister = 2
)

// target is the slot that a rule of translate leads to.
func target(rule *nftables.Rule) controlplane.Slot {
	for _, e := range rule.Exprs {
		if port, ok := e.(*expr.Immediate); ok && port.Register == portRegister && len(port.Data) >= 2 {
			return controlplane.Slot(binaryutil.BigEndian.Uint16(port.Data))
		}
	}
	return 0
}

// translate sends connections to the API server to the port of a slot. Only a
// connection's first packet counts: the connection tracking may meet one that
// is older than itself, and must leave it alone.
func (d door) translate(to controlplane.Slot) []expr.Any {
	address := d.address.AsSlice()
	return []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: address},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: binaryutil.BigEndian.PutUint16(controlplane.APIServerPort)},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: flagsOffset, Len: 1},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 1, Mask: []byte{lookedAt}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{onlySYN}},
		&expr.Immediate{Register: register, Data: address},
		&expr.Immediate{Register: portRegister, Data: binaryutil.BigEndian.PutUint16(uint16(to))},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: register, RegProtoMin: portRegister, Specified: true},
	}
}
