package controlplane

import (
	"fmt"
	"slices"
	"strings"

	"berth.dev/berth/internal/supervise"
)

// Slot is a place that a control plane's API server can run in, named by the
// port that it listens on there. One serves; a changed API server starts in
// another, and its predecessor ends once new connections reach it. Clients know
// the public address and APIServerPort alone.
//
// An API server starts its life on APIServerPort itself and returns there only
// when nothing runs any more: while connections to that port are led elsewhere,
// nobody could ask whether a server behind it is ready.
type Slot uint16

// The slots.
const (
	FirstSlot Slot = APIServerPort
	evenSlot  Slot = 1442
	oddSlot   Slot = 1443
)

// Next is where the successor of a slot's server starts.
func (s Slot) Next() Slot {
	if s == evenSlot {
		return oddSlot
	}
	return evenSlot
}

// Valid says whether there is such a slot.
func (s Slot) Valid() bool { return s == FirstSlot || s == evenSlot || s == oddSlot }

// Component is the name of the slot's component.
func (s Slot) Component() string {
	if s == FirstSlot {
		return APIServer
	}
	return fmt.Sprintf("%s-%d", APIServer, s)
}

// Place makes the slot's component of the API server as Components gives it: two
// of them run side by side, so each has a port and an audit log of its own.
func (s Slot) Place(server supervise.Component) supervise.Component {
	if s == FirstSlot {
		return server
	}
	server.Name = s.Component()
	server.Command = slices.Clone(server.Command)
	for i, argument := range server.Command {
		switch {
		case argument == FirstSlot.flag():
			server.Command[i] = s.flag()
		case strings.HasPrefix(argument, auditLogFlag):
			server.Command[i] = fmt.Sprintf("%s-%d.log", strings.TrimSuffix(argument, ".log"), s)
		}
	}
	return server
}

// flag makes an API server listen in the slot.
func (s Slot) flag() string { return fmt.Sprintf("--secure-port=%d", s) }

// auditLogFlag names the file of the audit log.
const auditLogFlag = "--audit-log-path="
