package preflight

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/prometheus/procfs"
	"golang.org/x/sys/unix"
)

// tcpListen is the kernel's number for a socket that listens.
const tcpListen = 10

// checkPort says whether an address that a flag gave, now or at an earlier
// start, can be listened on.
func checkPort(name, flag, address string, own bool) Finding {
	if address == "" || own {
		return ok(name, "Berth uses its own, or picks a free one")
	}
	listener, err := listen(address)
	if errors.Is(err, unix.EADDRINUSE) {
		return failed(name, "berth up --detach --"+flag+" 127.0.0.1:<a free port>",
			"%s is taken by %s; end it, or let Berth listen elsewhere", address, Holder(address))
	}
	if err != nil {
		return failed(name, "berth up --detach --"+flag+" 127.0.0.1:<a free port>", "cannot listen on %s: %v", address, err)
	}
	listener.Close()
	return ok(name, "%s is free", address)
}

// letGo is how long a process that was killed may take to let go of a port, and
// letGoPeriod how often it is looked whether it has: nothing tells.
const (
	letGo       = 5 * time.Second
	letGoPeriod = 20 * time.Millisecond
)

// listen listens on an address. A process that was killed still has its sockets
// for a moment when its files are gone from /proc: an address that nobody holds is
// waited for, so that a service can be started as soon as it was killed.
func listen(address string) (net.Listener, error) {
	for began := time.Now(); ; time.Sleep(letGoPeriod) {
		listener, err := net.Listen("tcp", address)
		if !errors.Is(err, unix.EADDRINUSE) || Holder(address) != unknownHolder || time.Since(began) > letGo {
			return listener, err
		}
	}
}

// unknownHolder is who has an address if no process shows it among its files.
const unknownHolder = "another program"

// Holder names the program that listens on an address, as far as it can be told.
func Holder(address string) string {
	wanted, err := netip.ParseAddrPort(address)
	if err != nil {
		return unknownHolder
	}
	fs, err := procfs.NewDefaultFS()
	if err != nil {
		return unknownHolder
	}
	sockets := map[string]bool{}
	for _, read := range []func() (procfs.NetTCP, error){fs.NetTCP, fs.NetTCP6} { //nolint:staticcheck // what should be used instead loads a kernel module
		lines, err := read()
		if err != nil {
			continue // a kernel without IPv6
		}
		for _, line := range lines {
			local, valid := netip.AddrFromSlice(line.LocalAddr)
			local = local.Unmap()
			same := valid && (local == wanted.Addr() || local.IsUnspecified() || wanted.Addr().IsUnspecified())
			if same && line.St == tcpListen && line.LocalPort == uint64(wanted.Port()) {
				sockets[fmt.Sprintf("socket:[%d]", line.Inode)] = true
			}
		}
	}
	return owner(fs, sockets)
}

// owner is the process that has one of the sockets open.
func owner(fs procfs.FS, sockets map[string]bool) string {
	processes, err := fs.AllProcs()
	if err != nil || len(sockets) == 0 {
		return unknownHolder
	}
	for _, process := range processes {
		targets, err := process.FileDescriptorTargets()
		if err != nil {
			continue // it ended, or is another user's
		}
		for _, target := range targets {
			if !sockets[target] {
				continue
			}
			name, err := process.Comm()
			if err != nil {
				name = unknownHolder
			}
			return fmt.Sprintf("%s (pid %d)", name, process.PID)
		}
	}
	return unknownHolder
}
