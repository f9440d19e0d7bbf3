package process

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// openPorts lets any process in a network namespace bind any port, 443 above
// all: the namespace is the control plane's own, and no process in it then
// needs a capability. The host's own namespace stays as it is.
func openPorts(namespace string) error {
	if namespace == "" {
		return nil
	}
	err := within(namespace, func() error {
		// The files below /proc/sys/net are those of the namespace of who opens them.
		return os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0)
	})
	if err != nil {
		return fmt.Errorf("opening the low ports of %s: %w", namespace, err)
	}
	return nil
}

// within does something in a network namespace. A socket stays in the namespace
// that it was made in, whoever uses it later.
func within(namespace string, do func() error) error {
	done := make(chan error, 1)
	go func() {
		// The thread stays in the namespace and ends with the goroutine, because it is never unlocked.
		runtime.LockOSThread()
		done <- enterAnd(namespace, do)
	}()
	return <-done
}

// enterAnd enters a namespace with the calling thread.
func enterAnd(namespace string, do func() error) error {
	target, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer target.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	return do()
}
