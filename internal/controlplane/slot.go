package controlplane

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"berth.dev/berth/internal/supervise"
)

// Slot is a place that a control plane's API server can run in, named by the
// port that it listens on there, with a konnectivity server beside it. One serves;
// a changed pair starts in another, and its predecessors end once new connections
// reach it. Clients know the public address, APIServerPort and KonnectivityPort alone.
//
// An API server starts its life on APIServerPort itself and returns there only
// when nothing runs any more: while connections to that port are led elsewhere,
// nobody could ask whether a server behind it is ready.
//
// The konnectivity server goes with the API server because it reads its certificates
// once, at its start, and because what goes through it ends with it: streams of an
// API server that ends stay whole until it has ended.
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

// Slots are all of them.
func Slots() []Slot { return []Slot{FirstSlot, evenSlot, oddSlot} }

// Component is the name of the slot's API server, Konnectivity that of the
// konnectivity server beside it.
func (s Slot) Component() string    { return APIServer + s.suffix() }
func (s Slot) Konnectivity() string { return Konnectivity + s.suffix() }

// suffix tells what belongs to the slot from what belongs to the first.
func (s Slot) suffix() string {
	if s == FirstSlot {
		return ""
	}
	return fmt.Sprintf("-%d", s)
}

// KonnectivityPort is where the slot's konnectivity server takes agents on the
// public address, AdminPort where it tells its metrics in the control plane's namespace.
func (s Slot) KonnectivityPort() uint16 { return KonnectivityPort + s.offset() }
func (s Slot) AdminPort() uint16        { return konnectivityAdminPort + s.offset() }
func (s Slot) healthPort() uint16       { return konnectivityHealthPort + s.offset() }

// offset tells the ports of a konnectivity server from those of another slot's.
func (s Slot) offset() uint16 {
	switch s {
	case evenSlot:
		return 10
	case oddSlot:
		return 20
	default:
		return 0
	}
}

// Place makes the slot's API server or konnectivity server of what Components
// gives for the first: two of each run side by side, so each has ports, a socket
// and an audit log of its own.
func (s Slot) Place(component supervise.Component) supervise.Component {
	if s == FirstSlot {
		return component
	}
	component.Name += s.suffix()
	component.Command = slices.Clone(component.Command)
	for i, argument := range component.Command {
		component.Command[i] = s.argument(argument)
	}
	component.RestartOnChange = slices.Clone(component.RestartOnChange)
	for i, file := range component.RestartOnChange {
		if strings.HasSuffix(file, "/"+egressFile) {
			component.RestartOnChange[i] = s.own(file)
		}
	}
	return component
}

// argument is an argument of the first slot's components as the slot's have it.
func (s Slot) argument(argument string) string {
	name, value, _ := strings.Cut(argument, "=")
	switch name {
	case "--secure-port":
		return s.flag()
	case auditLogFlag, egressFlag, socketFlag:
		return name + "=" + s.own(value)
	case serverIDFlag:
		return argument + s.suffix()
	case "--agent-port":
		return fmt.Sprintf("%s=%d", name, s.KonnectivityPort())
	case "--admin-port":
		return fmt.Sprintf("%s=%d", name, s.AdminPort())
	case "--health-port":
		return fmt.Sprintf("%s=%d", name, s.healthPort())
	default:
		return argument
	}
}

// own is the slot's file beside one of the first slot.
func (s Slot) own(file string) string {
	extension := filepath.Ext(file)
	return strings.TrimSuffix(file, extension) + s.suffix() + extension
}

// flag makes an API server listen in the slot.
func (s Slot) flag() string { return fmt.Sprintf("--secure-port=%d", s) }

// The flags whose value names something that a slot has for itself.
const (
	auditLogFlag = "--audit-log-path"
	egressFlag   = "--egress-selector-config-file"
	socketFlag   = "--uds-name"
	serverIDFlag = "--server-id"
)
