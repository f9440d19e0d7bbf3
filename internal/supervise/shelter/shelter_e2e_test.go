//go:build e2e

package shelter_test

import (
	"bytes"
	"io"
	"net"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/supervise/shelter"
)

// The time in which something happens that is to happen, and the one after which
// it is believed that something does not.
const (
	soon  = 5 * time.Second
	never = 400 * time.Millisecond
)

// newNamespace moves the test into a network namespace of its own, for good.
func newNamespace(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	loopback, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(loopback)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// server takes connections and answers each byte with an answer, once it may.
type server struct {
	listener net.Listener
	port     uint16
	answer   []byte
	asked    chan struct{}
	may      chan struct{}
}

func serve(t *testing.T) *server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	s := &server{
		listener: listener, port: uint16(listener.Addr().(*net.TCPAddr).Port),
		answer: bytes.Repeat([]byte("a"), 8<<20), // more than any buffer takes: it has to be confirmed on the way
		asked:  make(chan struct{}, 1), may: make(chan struct{}),
	}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for one := make([]byte, 1); ; {
					if _, err := conn.Read(one); err != nil {
						return
					}
					s.asked <- struct{}{}
					<-s.may
					if _, err := conn.Write(s.answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return s
}

func (s *server) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func ask(t *testing.T, conn net.Conn) {
	t.Helper()
	if _, err := conn.Write([]byte("?")); err != nil {
		t.Fatal(err)
	}
}

// answered reads a whole answer.
func (s *server) answered(t *testing.T, conn net.Conn) {
	t.Helper()
	_ = conn.SetReadDeadline(time.Now().Add(soon))
	got, err := io.ReadAll(io.LimitReader(conn, int64(len(s.answer))))
	if err != nil || !bytes.Equal(got, s.answer) {
		t.Errorf("of an answer of %d bytes %d came: %v", len(s.answer), len(got), err)
	}
}

// wasAsked says whether something that was asked reached the server.
func (s *server) wasAsked(within time.Duration) bool {
	select {
	case <-s.asked:
		return true
	case <-time.After(within):
		return false
	}
}

func TestWhatWasAskedBeforeIsAnsweredAndWhatIsAskedLaterWaits(t *testing.T) {
	newNamespace(t)
	s, ports := serve(t), shelter.Ports{}
	before, idle := s.dial(t), s.dial(t)
	time.Sleep(20 * time.Millisecond) // the kernel tells times by its tick, and over TLS more goes over it before a request
	ask(t, before)
	if !s.wasAsked(soon) {
		t.Fatal("the server is not asked")
	}
	silent := func() bool {
		t.Helper()
		is, err := ports.Silent(s.port, 50*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	time.Sleep(100 * time.Millisecond) // nothing goes over the connection, but the answer is owed
	if silent() {
		t.Error("a port that owes an answer is silent")
	}
	if err := ports.Seal(s.port); err != nil {
		t.Fatal(err)
	}
	ask(t, idle)
	if s.wasAsked(never) {
		t.Error("a sealed port is asked")
	}
	s.may <- struct{}{}
	s.answered(t, before)
	time.Sleep(100 * time.Millisecond)
	if !silent() {
		t.Error("a port that answered everything is not silent")
	}
	if err := ports.Open(); err != nil {
		t.Fatal(err)
	}
	if !s.wasAsked(soon) {
		t.Fatal("what was asked of a sealed port never arrives")
	}
	s.may <- struct{}{}
	s.answered(t, idle)
}

func TestWhoConnectsToAClosedPortWaits(t *testing.T) {
	newNamespace(t)
	s, ports := serve(t), shelter.Ports{}
	there := s.dial(t)
	if err := ports.Close(s.port); err != nil {
		t.Fatal(err)
	}
	ask(t, there) // over a connection of before
	if !s.wasAsked(soon) {
		t.Error("what comes over a connection that is there waits")
	}
	namespace, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	defer namespace.Close()
	dialed := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
		if err == nil {
			var conn net.Conn
			if conn, err = net.DialTimeout("tcp", s.listener.Addr().String(), soon); err == nil {
				err = conn.Close()
			}
		}
		dialed <- err
	}()
	select {
	case err := <-dialed:
		t.Fatalf("a closed port was connected to: %v", err)
	case <-time.After(never):
	}
	if listens, err := ports.Listens(s.port); err != nil || !listens {
		t.Errorf("a closed port listens: %t, %v", listens, err)
	}
	if err := ports.Open(); err != nil {
		t.Fatal(err)
	}
	if err := <-dialed; err != nil {
		t.Errorf("who waited: %v", err)
	}
	s.may <- struct{}{}
	s.answered(t, there)
}
