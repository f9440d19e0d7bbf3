package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"berth.dev/berth/internal/thread"
)

// openPorts lets any process in a network namespace bind any port, 443 above
// all: the namespace is the control plane's own, and no process in it then
// needs a capability. The host's own namespace stays as it is.
func openPorts(namespace string) error {
	if namespace == "" {
		return nil
	}
	err := thread.InNetwork(namespace, func() error {
		// The files below /proc/sys/net are those of the namespace of who opens them.
		return os.WriteFile("/proc/sys/net/ipv4/ip_unprivileged_port_start", []byte("0"), 0)
	})
	if err != nil {
		return fmt.Errorf("opening the low ports of %s: %w", namespace, err)
	}
	return nil
}

// meetNoneLate lets the connection tracking of a namespace know only connections that
// it saw begin. One that is older than the tracking would be taken for one of whoever
// sends next, the server as likely as its client, and once it has ended a new one from
// the client's port would be no connection to the kernel: it would not be translated,
// and be refused where nobody listens any more.
func meetNoneLate(namespace string) error {
	err := thread.InNetwork(namespace, func() error {
		return os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_tcp_loose", []byte("0"), 0)
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // the setting comes with the tracking, which the first network of a host brings
		return fmt.Errorf("keeping connections that are older out of the tracking of %s: %w", namespace, err)
	}
	return nil
}
