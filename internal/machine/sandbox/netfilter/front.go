package netfilter

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Program is the name of the front in ProgramDir; what it fronts lies in the node image.
const (
	Program = "nft"
	fronted = "/usr/sbin/nft"
)

// Front becomes the node image's nft; one that makes a transaction borrows a
// machine's socket first. If that cannot be, its error output says why, and the
// kernel's own limit holds.
func Front(arguments []string) error {
	if transacts(arguments) {
		runtime.LockOSThread() // the one that becomes nft; never unlocked
		if err := borrow(SocketFile); errors.Is(err, errHalf) {
			return err
		} else if err != nil {
			fmt.Fprintln(os.Stderr, "nft: a large transaction may be refused:", err)
		}
	}
	err := unix.Exec(fronted, append([]string{Program}, arguments...), os.Environ())
	return fmt.Errorf("running %s: %w", fronted, err)
}

// transacts says whether nft is to read commands from a file, as kube-proxy has it do.
func transacts(arguments []string) bool {
	for _, argument := range arguments {
		long := strings.HasPrefix(argument, "--")
		if long && strings.HasPrefix(argument, "--file") || !long && strings.HasPrefix(argument, "-") && strings.Contains(argument, "f") {
			return true
		}
	}
	return false
}

// errHalf says that the thread's calls are intercepted and nobody answers them.
var errHalf = errors.New("nobody answers intercepted calls")

// borrow has the calling thread's netfilter sockets come from who listens at a path.
func borrow(path string) error {
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("borrowing a netfilter socket: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(freeTimeout + borrowTimeout)); err != nil {
		return err
	}
	answer := make([]byte, 1)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return fmt.Errorf("borrowing a netfilter socket: %w", err)
	}
	if answer[0] != lent {
		return errors.New("borrowing a netfilter socket: all are in use")
	}
	calls, err := intercept()
	if err != nil {
		return err
	}
	defer unix.Close(calls)
	if err := send(conn, calls); err != nil {
		return fmt.Errorf("%w: %w", errHalf, err)
	}
	return nil
}
