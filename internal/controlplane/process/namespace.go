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
	done := make(chan error, 1)
	go func() {
		// The thread stays in the namespace and ends with the goroutine, because it is never unlocked.
		runtime.LockOSThread()
		done <- writeSetting(namespace)
	}()
	if err := <-done; err != nil {
		return fmt.Errorf("opening the low ports of %s: %w", namespace, err)
	}
	return nil
}

// writeSetting enters a namespace with the calling thread and writes there:
// the files below /proc/sys/net are those of the namespace of who opens them.
func writeSetting(namespace string) error {
	target, err := os.Open(namespace)
	if err != nil {
		return err
	}
	defer target.Close()
	if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
		return err
	}
	return os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0)
}
