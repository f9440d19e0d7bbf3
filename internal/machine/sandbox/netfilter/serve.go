package netfilter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// SocketFile is where a machine lends its sockets to its own root.
const SocketFile = "/run/berth/netfilter.sock"

// How long a borrower waits for a socket, and a socket for its borrower.
const (
	freeTimeout   = 30 * time.Second
	borrowTimeout = 5 * time.Second
)

// waiting is how many borrowers are heard at once; more are when they ask again.
const waiting = 16

// The answers to a borrower.
const (
	lent = 'l'
	none = 'n'
)

// Serve lends the sockets to who connects to a path, until the context ends.
func Serve(ctx context.Context, path string, sockets []int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("lending netfilter sockets: %w", err)
	}
	door, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return fmt.Errorf("lending netfilter sockets: %w", err)
	}
	defer door.Close()
	if err := os.Chmod(path, 0o600); err != nil {
		return fmt.Errorf("lending netfilter sockets: %w", err)
	}
	l := &lender{free: make(chan int, len(sockets)), log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	for _, socket := range sockets {
		l.free <- socket
	}
	var borrowers sync.WaitGroup
	defer borrowers.Wait()
	defer context.AfterFunc(ctx, func() { _ = door.Close() })()
	places := make(chan struct{}, waiting)
	for {
		conn, err := door.AcceptUnix()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("lending netfilter sockets: %w", err)
		}
		places <- struct{}{}
		borrowers.Go(func() {
			defer func() { <-places }()
			if err := l.lend(ctx, conn); err != nil {
				l.log.Error("lending a netfilter socket", "error", err)
			}
		})
	}
}

// lender has the sockets that nobody uses.
type lender struct {
	free chan int
	log  *slog.Logger
}

// lend lets one borrower use a socket until it ends.
func (l *lender) lend(ctx context.Context, conn *net.UnixConn) error {
	defer conn.Close()
	timer := time.NewTimer(freeTimeout)
	defer timer.Stop()
	var socket int
	select {
	case socket = <-l.free:
		defer func() { l.free <- socket }()
	case <-ctx.Done():
		return nil
	case <-timer.C:
		_, err := conn.Write([]byte{none})
		return errors.Join(errors.New("all are in use"), err)
	}
	if err := conn.SetDeadline(time.Now().Add(borrowTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte{lent}); err != nil {
		return fmt.Errorf("answering: %w", err)
	}
	files, err := receive(conn)
	if err != nil {
		return fmt.Errorf("hearing the borrower: %w", err)
	}
	calls, err := newListener(files[0])
	if err = errors.Join(err, closeAll(files[1:])); err != nil {
		return err
	}
	defer calls.file.Close()
	defer context.AfterFunc(ctx, func() { _ = calls.file.SetReadDeadline(time.Unix(1, 0)) })()
	if err := answerAll(calls, socket); !errors.Is(err, errEnded) && ctx.Err() == nil {
		return fmt.Errorf("answering the borrower's calls: %w", err)
	}
	return nil
}

// answerAll gives a borrower the socket whenever it opens one, until it has ended.
func answerAll(calls listener, socket int) error {
	for {
		got, err := calls.next()
		if err != nil {
			return err
		}
		// For each call: newer versions of nft open another when rules changed meanwhile.
		if err := drain(socket); err != nil {
			return err
		}
		if err := calls.inject(got, socket, uint32(got.arguments[1])&unix.SOCK_CLOEXEC); err != nil {
			return err
		}
	}
}
