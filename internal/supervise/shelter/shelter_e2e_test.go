//go:build e2e

package shelter_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"syscall"
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

// within is set in the environment of a process that has a network namespace of its own.
const within = "BERTH_TEST_WITHIN"

// TestMain runs the tests in a network namespace of their own.
func TestMain(m *testing.M) {
	if os.Getenv(within) != "" {
		loopback, err := netlink.LinkByName("lo")
		if err == nil {
			err = netlink.LinkSetUp(loopback)
		}
		if err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	}
	again := exec.Command("/proc/self/exe", os.Args[1:]...)
	again.Env = append(os.Environ(), within+"=1")
	again.Stdout, again.Stderr = os.Stdout, os.Stderr
	again.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
	if again.Run() != nil {
		os.Exit(1)
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
	s, ports := serve(t), &shelter.Ports{}
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

func TestWhoConnectsToAClosedPortIsConnectedAtOnceAndAnsweredWhenItIsOpen(t *testing.T) {
	s, ports := serve(t), &shelter.Ports{}
	there := s.dial(t)
	for range 2 { // one room is used again
		if err := ports.Close(s.port); err != nil {
			t.Fatal(err)
		}
		ask(t, there) // over a connection of before
		if !s.wasAsked(soon) {
			t.Error("what comes over a connection that is there waits")
		}
		s.may <- struct{}{}
		s.answered(t, there)
		began := time.Now()
		waiting := s.dial(t)
		if took := time.Since(began); took > time.Second {
			t.Errorf("connecting to a closed port took %v: a first packet was lost", took)
		}
		ask(t, waiting)
		if s.wasAsked(never) {
			t.Error("a closed port is asked")
		}
		if err := ports.Open(); err != nil {
			t.Fatal(err)
		}
		if !s.wasAsked(soon) {
			t.Fatal("what was asked of a closed port never arrives")
		}
		s.may <- struct{}{}
		s.answered(t, waiting)
		if err := waiting.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheConnectionOfSomebodyWhoWaitedForNobodyEnds(t *testing.T) {
	s, ports := serve(t), &shelter.Ports{}
	if err := ports.Close(s.port); err != nil {
		t.Fatal(err)
	}
	waiting := s.dial(t)
	if err := s.listener.Close(); err != nil {
		t.Fatal(err)
	}
	if listens, err := ports.Listens(s.port); err != nil || listens {
		t.Errorf("a port that nobody listens to listens: %t, %v", listens, err)
	}
	if err := ports.Open(); err != nil {
		t.Fatal(err)
	}
	_ = waiting.SetReadDeadline(time.Now().Add(soon))
	if _, err := waiting.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the end of a connection to nobody: %v", err)
	}
}

func TestNobodyReachesAPortThroughItsRoomAlone(t *testing.T) {
	s, ports := serve(t), &shelter.Ports{}
	before := listeners(t)
	if err := ports.Close(s.port); err != nil {
		t.Fatal(err)
	}
	entrance := slices.DeleteFunc(listeners(t), func(port uint16) bool { return slices.Contains(before, port) })
	if len(entrance) != 1 {
		t.Fatalf("a room listens at %v", entrance)
	}
	for _, open := range []bool{false, true} {
		if open {
			if err := ports.Open(); err != nil {
				t.Fatal(err)
			}
		}
		if conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", entrance[0]), never); err == nil {
			_ = conn.Close()
			t.Errorf("a room can be entered by its own port, with its door open: %t", open)
		}
	}
}

func TestNothingOfAKilledProcessKeepsAnybodyOut(t *testing.T) {
	s, killed := serve(t), &shelter.Ports{}
	if err := killed.Seal(s.port); err != nil {
		t.Fatal(err)
	}
	if err := new(shelter.Ports).Open(); err != nil {
		t.Fatal(err)
	}
	ask(t, s.dial(t))
	if !s.wasAsked(soon) {
		t.Error("the port is still sealed")
	}
}

// listeners are the ports that somebody listens to.
func listeners(t *testing.T) []uint16 {
	t.Helper()
	var ports []uint16
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		sockets, err := netlink.SocketDiagTCP(family)
		if err != nil {
			t.Fatal(err)
		}
		for _, socket := range sockets {
			if uint8(socket.State) == netlink.TCP_LISTEN {
				ports = append(ports, socket.ID.SourcePort)
			}
		}
	}
	return ports
}
