// Package netfilter lets programs in a machine change large sets of nftables
// rules. The kernel takes a transaction as one message, which must fit into the
// sending socket's buffer, and lets nobody in a user namespace make that buffer
// larger than the host's net.core.wmem_max, which holds a few dozen services of
// a cluster's. So:
//
//	boot    opens the machine's sockets, with the machine's own credentials (Open)
//	launch  makes their buffers larger, on the host's side, before anything of a
//	        tenant's runs (Raise)
//	boot    keeps them and lends them to programs of the machine (Serve)
//	nft     of ProgramDir is a front of the node image's nft, which runs that with
//	        a lent socket in the place of the one that it opens (Front)
//
// The host reads nothing that a machine writes, and after the start nobody on the
// host's side has a part in it. A socket gives no right: the kernel asks for that
// of its opener and of the sender of each message, in the machine's namespaces.
// Without a larger socket, for whatever reason, nft runs as it always does.
package netfilter

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// lendable is how many sockets a machine has: as many transactions as may be under
	// way at once, kube-proxy's of two address families. The kernel itself makes them
	// wait for each other.
	lendable = 2
	// Room is the largest message in bytes, for about 5,000 services with ten endpoints
	// each. The kernel sets twice as much as it is asked for.
	Room = 128 << 20
	// raiseTimeout bounds how long the launcher waits for boot.
	raiseTimeout = 10 * time.Second
	// raised is what the launcher answers when it has made the buffers larger.
	raised = 'r'
)

// Open opens the sockets in the caller's network namespace and has them raised by
// who is at the other end of a socket pair; none if that cannot.
func Open(launcher *os.File) (sockets []int, err error) {
	conn, err := connOf(launcher)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	answer := make([]byte, 1)
	defer func() {
		if err != nil || answer[0] != raised {
			err = errors.Join(err, closeAll(sockets))
			sockets = nil
		}
	}()
	for range lendable {
		socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
		if err != nil {
			return sockets, fmt.Errorf("opening a netfilter socket: %w", err)
		}
		sockets = append(sockets, socket)
	}
	if err := conn.SetDeadline(time.Now().Add(raiseTimeout)); err != nil {
		return sockets, err
	}
	if err := send(conn, sockets...); err != nil {
		return sockets, fmt.Errorf("handing sockets to the launcher: %w", err)
	}
	if _, err := conn.Read(answer); err != nil {
		return sockets, fmt.Errorf("hearing the launcher: %w", err)
	}
	return sockets, nil
}

// Raise makes the buffers of the sockets larger that boot sends over a socket pair,
// and says so to boot. The caller has CAP_NET_ADMIN on the host. On an error boot
// goes on without.
func Raise(boot *os.File) error {
	conn, err := connOf(boot)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(raiseTimeout)); err != nil {
		return err
	}
	sockets, err := receive(conn)
	if err != nil {
		return fmt.Errorf("taking the machine's netfilter sockets: %w", err)
	}
	answer := byte(raised)
	for _, socket := range sockets {
		if setErr := unix.SetsockoptInt(socket, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, Room/2); setErr != nil {
			answer, err = 0, fmt.Errorf("making room for large nftables transactions (needs CAP_NET_ADMIN on the host): %w", setErr)
		}
	}
	_, writeErr := conn.Write([]byte{answer})
	return errors.Join(err, writeErr, closeAll(sockets))
}

// send sends files with one message.
func send(conn *net.UnixConn, files ...int) error {
	_, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(files...), nil)
	return err
}

// receive takes the files that come with one message.
func receive(conn *net.UnixConn) ([]int, error) {
	data, control := make([]byte, 1), make([]byte, unix.CmsgSpace(4*lendable))
	n, controls, _, _, err := conn.ReadMsgUnix(data, control)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, io.ErrUnexpectedEOF
	}
	messages, err := unix.ParseSocketControlMessage(control[:controls])
	if err != nil {
		return nil, err
	}
	var files []int
	for _, message := range messages {
		rights, err := unix.ParseUnixRights(&message)
		if err != nil {
			return nil, errors.Join(err, closeAll(files))
		}
		files = append(files, rights...)
	}
	if len(files) == 0 {
		return nil, errors.New("no file came with the message")
	}
	return files, nil
}

// connOf takes over a file that is a unix socket.
func connOf(file *os.File) (*net.UnixConn, error) {
	conn, err := net.FileConn(file)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, err
	}
	socket, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is no unix socket", file.Name()), conn.Close())
	}
	return socket, nil
}

func closeAll(files []int) error {
	var errs []error
	for _, file := range files {
		errs = append(errs, unix.Close(file))
	}
	return errors.Join(errs...)
}

// drain throws away what the last borrower of a socket left unread, so that the
// next one does not take it for an answer.
func drain(socket int) error {
	buffer := make([]byte, 64<<10)
	for {
		_, _, err := unix.Recvfrom(socket, buffer, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil && !errors.Is(err, unix.EINTR) && !errors.Is(err, unix.ENOBUFS):
			return fmt.Errorf("draining a netfilter socket: %w", err)
		}
	}
}
