// Package thread runs code on operating-system threads that are changed for it:
// a network namespace, a copy of the mounts or a priority belong to a thread.
package thread

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// OnMortal runs do on a thread that ends with it, for changes that cannot be
// taken back. The main thread cannot end, and stands for the process in /proc, so
// it is never the one.
func OnMortal(do func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked, but for the main thread
		if unix.Gettid() == unix.Getpid() {
			err := OnMortal(do) // on another one, while this goroutine holds the main thread
			runtime.UnlockOSThread()
			done <- err
			return
		}
		done <- do()
	}()
	return <-done
}

// InNetwork runs do inside the network namespace at a path. A socket stays in the
// namespace that it was made in, whoever uses it later; what do starts does not.
func InNetwork(path string, do func() error) error {
	return OnMortal(func() error {
		target, err := os.Open(path)
		if err != nil {
			return fmt.Errorf("opening the network namespace: %w", err)
		}
		defer target.Close()
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("entering the network namespace %s: %w", path, err)
		}
		return do()
	})
}

// DialIn connects over TCP from within the network namespace at a path.
func DialIn(ctx context.Context, path, address string) (net.Conn, error) {
	var conn net.Conn
	err := InNetwork(path, func() (err error) {
		// One address and no fallback: the dialer stays on this thread.
		conn, err = (&net.Dialer{FallbackDelay: -1}).DialContext(ctx, "tcp", address)
		return err
	})
	return conn, err
}
