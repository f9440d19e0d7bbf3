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

// trackStrictly has the connection tracking of a namespace know connections from
// their first packet to their last, and neither before nor after.
func trackStrictly(namespace string) error {
	settings := map[string]string{
		// One that is older than the tracking would be taken for one of whoever sends
		// next, the server as likely as its client, and once it has ended a new one from
		// the client's port would be no connection to the kernel: it would not be
		// translated, and be refused where nobody listens any more.
		"nf_conntrack_tcp_loose": "0",
		// One that its server reset would be kept for ten seconds, and a new one from the
		// client's port would be translated as it was: to a server that has ended.
		"nf_conntrack_tcp_timeout_close": "0",
	}
	err := thread.InNetwork(namespace, func() error {
		for name, value := range settings {
			if err := os.WriteFile("/proc/sys/net/netfilter/"+name, []byte(value), 0); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // the settings come with the tracking, which the first network of a host brings
		return fmt.Errorf("setting how connections of %s are tracked: %w", namespace, err)
	}
	return nil
}
