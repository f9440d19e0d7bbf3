//go:build e2e

package linux

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// flows are the tracked connections of a router to an address.
func (s *site) flows(t *testing.T, to netip.Addr) []*netlink.ConntrackFlow {
	t.Helper()
	router := at(t, s.fabric.names.router(s.network.ID))
	var tracking *netlink.Handle
	if err := inNamespace(router.file, func() (err error) {
		tracking, err = netlink.NewHandle(unix.NETLINK_NETFILTER)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer tracking.Close()
	all, err := tracking.ConntrackTableList(netlink.ConntrackTable, unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	var found []*netlink.ConntrackFlow
	for _, flow := range all {
		if fromIP(flow.Forward.DstIP) == to {
			found = append(found, flow)
		}
	}
	return found
}

// open connects to the site's frontend from the host and keeps the connection.
func (s *site) open(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp4", netip.AddrPortFrom(s.network.Frontends[0].Address, 80).String(), 5*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

func TestAConnectionIsForgottenAfterTheIdleTimeoutOfItsService(t *testing.T) {
	s := newSite(t)
	s.hold(t, s.machine, 8081)
	s.network.Frontends[0].Rules[0].NodePort = 8081
	for _, idle := range []time.Duration{0, 10 * time.Minute} {
		s.network.Frontends[0].IdleTimeout = idle
		s.ensure(t)
		s.open(t)
		want := idle
		if want == 0 {
			want = 4 * time.Minute
		}
		longest, seconds := uint32(0), uint32(want/time.Second)
		// The router sees the packet that establishes a connection a moment after its client has one.
		for deadline := time.Now().Add(2 * time.Second); longest < seconds-5 && time.Now().Before(deadline); {
			for _, flow := range s.flows(t, s.network.Frontends[0].Address) {
				longest = max(longest, flow.TimeOut)
			}
		}
		if longest > seconds || longest < seconds-5 {
			t.Errorf("with an idle timeout of %s a connection is forgotten in %ds, want %d", idle, longest, seconds)
		}
	}
}

func TestWhatComesOverAForgottenConnectionIsResetOrDropped(t *testing.T) {
	s := newSite(t)
	s.hold(t, s.machine, 8081)
	s.network.Frontends[0].Rules[0].NodePort = 8081
	for _, silent := range []bool{false, true} {
		s.network.Frontends[0].SilentOnIdle = silent
		s.ensure(t)
		conn := s.open(t)
		s.forget(t)
		if _, err := conn.Write([]byte("still there?")); err != nil {
			t.Fatal(err)
		}
		if err := conn.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		_, err := conn.Read(make([]byte, 1))
		if !silent && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("a forgotten connection answers %v, want a reset", err)
		}
		if silent && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a forgotten connection of a silent service answers %v, want nothing", err)
		}
	}
}

// forget makes the router forget its connections, as the idle timeout does.
func (s *site) forget(t *testing.T) {
	t.Helper()
	router := at(t, s.fabric.names.router(s.network.ID))
	if err := inNamespace(router.file, func() error {
		tracking, err := netlink.NewHandle(unix.NETLINK_NETFILTER)
		if err != nil {
			return err
		}
		defer tracking.Close()
		return tracking.ConntrackTableFlush(netlink.ConntrackTable)
	}); err != nil {
		t.Fatal(err)
	}
}

// hold accepts connections in a namespace and keeps them open.
func (s *site) hold(t *testing.T, namespace string, port int) {
	t.Helper()
	if err := inside(namespace, func() error {
		listener, err := net.ListenTCP("tcp4", &net.TCPAddr{Port: port})
		if err == nil {
			t.Cleanup(func() { listener.Close() })
			go func() {
				for {
					conn, err := listener.Accept()
					if err != nil {
						return
					}
					t.Cleanup(func() { conn.Close() })
				}
			}()
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
}
