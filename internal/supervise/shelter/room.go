package shelter

import (
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"time"
)

const (
	// roomSize bounds the connections in a room. Others wait before it, in the kernel.
	roomSize = 1024
	// leadTimeout bounds the way from a room to a port that is open.
	leadTimeout = 5 * time.Second
	// acceptRetry is how long a room waits when nothing can be accepted, as there
	// are too many files open.
	acceptRetry = 50 * time.Millisecond
)

// room is where connections to a port that is shut wait, and go through from then
// on. Had their first packets been dropped instead, their senders would ask again
// after seconds, and many give up after five: a konnectivity agent does. Those who
// are connected wait longer, ten seconds for TLS to begin with client-go.
type room struct {
	port     uint16 // that it is for
	listener *net.TCPListener
	places   chan struct{}

	mu     sync.Mutex
	opened sync.Cond
	isOpen bool
}

// newRoom makes a room before a port that is open.
func newRoom(port uint16) (*room, error) {
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{})
	if err != nil {
		return nil, fmt.Errorf("sheltering port %d: %w", port, err)
	}
	r := &room{port: port, listener: listener, places: make(chan struct{}, roomSize), isOpen: true}
	r.opened.L = &r.mu
	go r.admit()
	return r, nil
}

// entrance is the port that connections to the room's are led to.
func (r *room) entrance() uint16 { return uint16(r.listener.Addr().(*net.TCPAddr).Port) }

func (r *room) shut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isOpen = false
}

func (r *room) open() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.isOpen = true
	r.opened.Broadcast()
}

// wait waits until the port is open.
func (r *room) wait() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for !r.isOpen {
		r.opened.Wait()
	}
}

// admit lets connections in for the life of the process: one can arrive that was
// led here just before the port was open.
func (r *room) admit() {
	for {
		r.places <- struct{}{}
		conn, err := r.listener.AcceptTCP()
		if err != nil {
			<-r.places
			time.Sleep(acceptRetry)
			continue
		}
		go func() {
			defer func() { <-r.places }()
			defer conn.Close()
			r.wait()
			r.lead(conn)
		}()
	}
}

// lead connects who waited with the port, at the address at which it was looked for.
func (r *room) lead(from *net.TCPConn) {
	address := net.JoinHostPort(from.LocalAddr().(*net.TCPAddr).IP.String(), strconv.Itoa(int(r.port)))
	conn, err := net.DialTimeout("tcp", address, leadTimeout)
	if err != nil {
		return // nobody is there after all, and whoever waited sees its connection end
	}
	to := conn.(*net.TCPConn)
	defer to.Close()
	var both sync.WaitGroup
	both.Go(func() { pass(from, to) })
	both.Go(func() { pass(to, from) })
	both.Wait()
}

// pass passes on what one says to the other, and that it has said all.
func pass(from, to *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil { // one of them is gone
		_ = from.Close()
		_ = to.Close()
		return
	}
	_ = to.CloseWrite()
}
