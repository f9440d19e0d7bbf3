package networktest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for an answer that must come, and hush
// for one that must not.
const (
	patience = 5 * time.Second
	hush     = 300 * time.Millisecond
)

// serve answers every line on a TCP or UDP port of a namespace with the
// server's name and the client's address, until the test ends.
func (w *world) serve(t *testing.T, namespace, protocol, at, name string) {
	t.Helper()
	must(t, "listening on "+at, w.Inside(namespace, func() error {
		if protocol == "udp" {
			socket, err := net.ListenPacket("udp4", at)
			if err == nil {
				t.Cleanup(func() { socket.Close() })
				go answerDatagrams(socket, name)
			}
			return err
		}
		listener, err := net.Listen("tcp4", at)
		if err == nil {
			t.Cleanup(func() { listener.Close() })
			go answerConnections(listener, name)
		}
		return err
	}))
}

func answerDatagrams(socket net.PacketConn, name string) {
	buffer := make([]byte, 1500)
	for {
		_, client, err := socket.ReadFrom(buffer)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			_, _ = socket.WriteTo(answer(name, client), client) // a lost answer is the client's to notice
		}
	}
}

func answerConnections(listener net.Listener, name string) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer conn.Close()
			for lines := bufio.NewScanner(conn); lines.Scan(); {
				if _, err := conn.Write(answer(name, conn.RemoteAddr())); err != nil {
					return
				}
			}
		}()
	}
}

func answer(name string, client net.Addr) []byte {
	return []byte(name + " " + netip.MustParseAddrPort(client.String()).Addr().String() + "\n")
}

// client is one connection of a test.
type client struct {
	net.Conn
	lines *bufio.Reader
}

// dial connects from a namespace; from is the source address, or zero.
func (w *world) dial(namespace, protocol string, from netip.Addr, to string, wait time.Duration) (*client, error) {
	dialer := net.Dialer{Timeout: wait}
	if from.IsValid() && protocol == "udp" {
		dialer.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	} else if from.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
	}
	var conn net.Conn
	err := w.Inside(namespace, func() (err error) {
		conn, err = dialer.Dial(protocol+"4", to)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &client{Conn: conn, lines: bufio.NewReader(conn)}, nil
}

// ask sends a line and returns who answered, and which client address it saw.
func (c *client) ask(wait time.Duration) (name, seen string, err error) {
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		return "", "", err
	}
	if _, err := c.Write([]byte("hello\n")); err != nil {
		return "", "", err
	}
	line, err := c.lines.ReadString('\n')
	if err != nil {
		return "", "", err
	}
	name, seen, _ = strings.Cut(strings.TrimSpace(line), " ")
	return name, seen, nil
}

// call is one question on a connection of its own.
type call struct {
	in       string // namespace
	protocol string
	from     netip.Addr
	to       string
}

func (c call) String() string { return fmt.Sprintf("%s %s from %q", c.protocol, c.to, c.in) }

func (w *world) call(c call, wait time.Duration) (name, seen string, err error) {
	conn, err := w.dial(c.in, c.protocol, c.from, c.to, wait)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	return conn.ask(wait)
}

// reaches says that a call is answered by name, which saw the address seen.
func (w *world) reaches(t *testing.T, c call, name, seen string) {
	t.Helper()
	gotName, gotSeen, err := w.call(c, patience)
	if err != nil || gotName != name || gotSeen != seen {
		t.Errorf("%s: answered by %q, which saw %q (%v), want %q, %q", c, gotName, gotSeen, err, name, seen)
	}
}

// unanswered says that a call gets no answer at all.
func (w *world) unanswered(t *testing.T, c call) {
	t.Helper()
	if name, seen, err := w.call(c, hush); err == nil {
		t.Errorf("%s: answered by %q, which saw %q, want silence", c, name, seen)
	}
}

// refused says that a call is refused at once, and not only lost.
func (w *world) refused(t *testing.T, c call) {
	t.Helper()
	if name, _, err := w.call(c, patience); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("%s: answered by %q (%v), want connection refused", c, name, err)
	}
}

// collects listens for datagrams and returns what the next one says.
func (w *world) collects(t *testing.T, namespace, at string) (next func() string) {
	t.Helper()
	var socket net.PacketConn
	must(t, "listening on "+at, w.Inside(namespace, func() (err error) {
		socket, err = net.ListenPacket("udp4", at)
		return err
	}))
	t.Cleanup(func() { socket.Close() })
	return func() string {
		t.Helper()
		buffer := make([]byte, 1500)
		must(t, "setting a deadline", socket.SetReadDeadline(time.Now().Add(patience)))
		n, _, err := socket.ReadFrom(buffer)
		must(t, "receiving on "+at, err)
		return string(buffer[:n])
	}
}

// sends sends one datagram and waits for nothing.
func (w *world) sends(t *testing.T, namespace string, from netip.Addr, to, text string) {
	t.Helper()
	conn, err := w.dial(namespace, "udp", from, to, patience)
	must(t, "dialing "+to, err)
	defer conn.Close()
	_, err = conn.Write([]byte(text))
	must(t, "sending to "+to, err)
}

// listens opens a port that no one is to reach.
func (w *world) listens(t *testing.T, namespace string) (port string) {
	t.Helper()
	must(t, "listening", w.Inside(namespace, func() error {
		listener, err := net.Listen("tcp4", "0.0.0.0:0")
		if err == nil {
			t.Cleanup(func() { listener.Close() })
			go answerConnections(listener, "secret")
			_, port, err = net.SplitHostPort(listener.Addr().String())
		}
		return err
	}))
	return port
}

// echo sends an ICMP echo request and waits for its answer.
func (w *world) echo(t *testing.T, namespace string, to netip.Addr) {
	t.Helper()
	const id = 0xb7
	request := []byte{8, 0, 0, 0, 0, id, 0, 1}
	sum := ^uint16(8<<8 + id + 1)
	request[2], request[3] = byte(sum>>8), byte(sum)
	var socket net.PacketConn
	must(t, "opening a raw socket", w.Inside(namespace, func() (err error) {
		socket, err = net.ListenPacket("ip4:icmp", "0.0.0.0")
		return err
	}))
	defer socket.Close()
	must(t, "setting a deadline", socket.SetDeadline(time.Now().Add(patience)))
	_, err := socket.WriteTo(request, &net.IPAddr{IP: to.AsSlice()})
	must(t, "sending an echo request", err)
	for answer := make([]byte, 1500); ; {
		n, from, err := socket.ReadFrom(answer)
		if err != nil {
			t.Errorf("echo request from %q to %s: %v", namespace, to, err)
			return
		}
		if n >= 8 && answer[0] == 0 && answer[5] == id && from.String() == to.String() {
			return
		}
	}
}

// pour sends bytes from a namespace to an address behind which port 9000 of
// another one listens, and says how many arrived there.
func (w *world) pour(t *testing.T, from, in, to string, size int64) (arrived int64) {
	t.Helper()
	var listener net.Listener
	must(t, "listening", w.Inside(in, func() (err error) {
		listener, err = net.Listen("tcp4", ":9000")
		return err
	}))
	defer listener.Close()
	sent := make(chan error, 1)
	go func() {
		conn, err := w.dial(from, "tcp", netip.Addr{}, to, patience)
		if err == nil {
			_, err = io.CopyN(conn, zeros{}, size)
			err = errors.Join(err, conn.Close())
		}
		sent <- err
	}()
	must(t, "setting a deadline", listener.(*net.TCPListener).SetDeadline(time.Now().Add(patience)))
	conn, err := listener.Accept()
	must(t, "accepting", err)
	defer conn.Close()
	must(t, "setting a deadline", conn.SetDeadline(time.Now().Add(patience)))
	arrived, err = io.Copy(io.Discard, conn)
	must(t, "receiving", err)
	must(t, "sending", <-sent)
	return arrived
}

// zeros is a Reader without an end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
