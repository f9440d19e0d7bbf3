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

// leads says where new connections go: those to the API server to one slot,
// those of the nodes' agents to one or, while a hand-over goes on, to one of two
// by chance. An agent keeps one connection to each server that it meets and looks
// for others all the time.
type leads struct {
	apiServer controlplane.Slot
	agents    []controlplane.Slot
}

// rule is one step of the door: what comes to a port goes on to another, always
// or every second time.
type rule struct {
	port, to uint16
	half     bool
}

// rules are the steps of a door. What stays where it arrives needs none.
func (l leads) rules() []rule {
	var rules []rule
	if l.apiServer != controlplane.FirstSlot {
		rules = append(rules, rule{port: controlplane.APIServerPort, to: uint16(l.apiServer)})
	}
	for i, slot := range l.agents {
		last := i == len(l.agents)-1
		if last && slot == controlplane.FirstSlot {
			continue
		}
		rules = append(rules, rule{port: controlplane.KonnectivityPort, to: slot.KonnectivityPort(), half: !last})
	}
	return rules
}

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

// serving is the slot that new connections to the API server reach, and the
// steps of the door as they are.
func (d door) serving() (controlplane.Slot, []rule, error) {
	slot := controlplane.FirstSlot
	var steps []rule
	err := d.open(func(conn *nftables.Conn) error {
		table := &nftables.Table{Family: nftables.TableFamilyIPv4, Name: doorTable}
		found, err := conn.GetRules(table, &nftables.Chain{Name: doorChain, Table: table})
		if errors.Is(err, unix.ENOENT) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, one := range found {
			step := read(one)
			if step.port == controlplane.APIServerPort {
				slot = controlplane.Slot(step.to)
			}
			steps = append(steps, step)
		}
		if !slot.Valid() {
			return fmt.Errorf("table %s leads to port %d, where no API server can be", doorTable, slot)
		}
		return nil
	})
	if err != nil {
		return slot, nil, fmt.Errorf("looking which API server serves: %w", err)
	}
	return slot, steps, nil
}

// lead makes new connections go where they are to, all at once; those that are
// established stay where they are. The chains stay once they are there: without
// them the kernel would no longer translate what it began to translate.
func (d door) lead(to leads) error {
	if err := trackStrictly(d.namespace); err != nil {
		return err
	}
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
			for _, step := range to.rules() {
				conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: d.translate(step)})
			}
		}
		return conn.Flush()
	})
	if err != nil {
		return fmt.Errorf("leading new connections to the API server on port %d: %w", to.apiServer, err)
	}
	return nil
}

// The registers of a translation: its address, or what is compared, and its port.
const (
	register     = 1
	portRegister = 2
)

// The places of the ports in an IPv4 packet's headers.
const (
	addressOffset = 16
	portOffset    = 2
)

// read is the step that translate made a rule of.
func read(found *nftables.Rule) rule {
	var step rule
	ofPort := false
	for _, e := range found.Exprs {
		switch e := e.(type) {
		case *expr.Payload:
			ofPort = e.Base == expr.PayloadBaseTransportHeader && e.Offset == portOffset
		case *expr.Cmp:
			if ofPort && len(e.Data) == 2 {
				step.port = binaryutil.BigEndian.Uint16(e.Data)
			}
			ofPort = false
		case *expr.Numgen:
			step.half = true
		case *expr.Immediate:
			if e.Register == portRegister && len(e.Data) >= 2 {
				step.to = binaryutil.BigEndian.Uint16(e.Data)
			}
		}
	}
	return step
}

// translate sends connections to a port of the public address to another port.
// Only a connection's first packet counts: the connection tracking may meet one
// that is older than itself, and must leave it alone.
func (d door) translate(step rule) []expr.Any {
	address := d.address.AsSlice()
	steps := []expr.Any{
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseNetworkHeader, Offset: addressOffset, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: address},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: register},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{unix.IPPROTO_TCP}},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: portOffset, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: binaryutil.BigEndian.PutUint16(step.port)},
		&expr.Payload{DestRegister: register, Base: expr.PayloadBaseTransportHeader, Offset: flagsOffset, Len: 1},
		&expr.Bitwise{SourceRegister: register, DestRegister: register, Len: 1, Mask: []byte{lookedAt}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: []byte{onlySYN}},
	}
	if step.half {
		steps = append(steps,
			&expr.Numgen{Register: register, Modulus: 2, Type: unix.NFT_NG_RANDOM},
			&expr.Cmp{Op: expr.CmpOpEq, Register: register, Data: binaryutil.NativeEndian.PutUint32(0)},
		)
	}
	return append(steps,
		&expr.Immediate{Register: register, Data: address},
		&expr.Immediate{Register: portRegister, Data: binaryutil.BigEndian.PutUint16(step.to)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: register, RegProtoMin: portRegister, Specified: true},
	)
}
