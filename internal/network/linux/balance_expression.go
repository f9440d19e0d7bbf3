package linux

import (
	"strings"

	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// In the rules of a service the client lies in register1, its backend in
// register4_1, and the backend's port in register4_2.

// dynsetDelete removes the element of a packet from a set (NFT_DYNSET_OP_DELETE).
const dynsetDelete = 2

// spoofed matches packets whose source is not routed to the link that they came in by.
func spoofed() terms {
	return terms{
		&expr.Fib{Register: register1, ResultOIF: true, FlagSADDR: true, FlagIIF: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: register1, Data: make([]byte, 4)},
	}
}

// notFromSet matches packets whose source is in no range of a set.
func notFromSet(set string) terms {
	return terms{source(), &expr.Lookup{SourceRegister: register1, SetName: set, Invert: true}}
}

// notOpening matches TCP segments that open no connection.
func notOpening() terms {
	const fin, syn, rst, ack = 1, 2, 4, 16
	return terms{
		&expr.Payload{DestRegister: register1, Base: expr.PayloadBaseTransportHeader, Offset: 13, Len: 1},
		&expr.Bitwise{SourceRegister: register1, DestRegister: register1, Len: 1, Mask: []byte{fin | syn | rst | ack}, Xor: []byte{0}},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: register1, Data: []byte{syn}},
	}
}

// object applies a named object.
func object(kind int, name string) terms { return terms{&expr.Objref{Type: kind, Name: name}} }

// draw takes one of the n backends of a rotation at random.
func draw(rotation string, n int) terms {
	return terms{
		&expr.Numgen{Register: register1, Modulus: uint32(n), Type: unix.NFT_NG_RANDOM},
		&expr.Lookup{SourceRegister: register1, IsDestRegSet: true, DestRegister: register4_1, SetName: rotation},
	}
}

// stuck takes the backend that the client has; no match if it has none.
func stuck(clients string) terms {
	return terms{source(), &expr.Lookup{SourceRegister: register1, IsDestRegSet: true, DestRegister: register4_1, SetName: clients}}
}

// drawnIn matches if the backend is in a set.
func drawnIn(members string) terms {
	return terms{&expr.Lookup{SourceRegister: register4_1, SetName: members}}
}

// stick writes client and backend into a map, or removes them.
func stick(clients string, operation uint32) terms {
	return terms{&expr.Dynset{SrcRegKey: register1, SrcRegData: register4_1, SetName: clients, Operation: operation}}
}

// toDrawn translates to a port of the backend.
func toDrawn(port uint16) terms {
	return terms{
		&expr.Immediate{Register: register4_2, Data: binaryutil.BigEndian.PutUint16(port)},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: register4_1, RegProtoMin: register4_2},
	}
}

func isRotation(name string) bool { return strings.HasPrefix(name, rotationPrefix) }

func protocolName(number byte) string {
	if number == unix.IPPROTO_UDP {
		return "udp"
	}
	return "tcp"
}

func protocolNumber(name string) byte {
	if name == "UDP" {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
}

// concatenate pads every part to the four bytes of a register.
func concatenate(parts ...[]byte) []byte {
	var all []byte
	for _, part := range parts {
		all = append(all, part...)
		for len(all)%4 != 0 {
			all = append(all, 0)
		}
	}
	return all
}
