// Package shelter keeps who asks something of a port waiting while the process
// behind it is replaced. Who connects is led to a waiting room, and from there to
// the port when it is open again; what is asked over a connection that is there is
// dropped, and whoever sent it sends it again. Nobody is refused, and what was
// asked before is still answered. It works in the network namespace of its
// process, which is root there.
package shelter

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The states of a socket, as the kernel numbers them.
const (
	established = 1
	listening   = 10
)

// Ports are those of a process's network namespace. The zero value is ready to use.
type Ports struct {
	mu    sync.Mutex
	rooms map[uint16]*room // by the port that they are for; one stays once it was needed
}

// Close keeps new connections to a port waiting. Connections that are there go on.
func (p *Ports) Close(port uint16) error { return p.shut(port, rules.lead) }

// Seal keeps everything waiting that is asked of a port, also over connections that
// are there. Answers go out.
func (p *Ports) Seal(port uint16) error { return p.shut(port, rules.lead, rules.drop) }

// shut gives a port a waiting room and some rules.
func (p *Ports) shut(port uint16, shutting ...func(rules, *room)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rooms == nil {
		p.rooms = map[uint16]*room{}
	}
	if p.rooms[port] == nil {
		room, err := newRoom(port)
		if err != nil {
			return err
		}
		p.rooms[port] = room
	}
	p.rooms[port].shut()
	return p.set(func(r rules) {
		for _, add := range shutting {
			add(r, p.rooms[port])
		}
	})
}

// Open lets connections to every port in, first those that waited.
func (p *Ports) Open() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.set(func(rules) {}); err != nil {
		return err
	}
	for _, room := range p.rooms {
		room.open()
	}
	return nil
}

// Silent says that over every connection that was made to a port, what was last
// received was answered, and nothing sent or received for a while.
func (p *Ports) Silent(port uint16, since time.Duration) (bool, error) {
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
func (p *Ports) Listens(port uint16) (bool, error) {
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
