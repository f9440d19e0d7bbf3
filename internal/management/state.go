package management

import (
	"fmt"
	"hash/fnv"
	"net"
	"os"

	"berth.dev/berth/internal/home"
)

// firstUserID starts the range of ids out of which the management API's is
// taken: above what distributions give to users, below the ranges of machines.
const firstUserID = 0x0fff0000

// state is what was chosen for the API. It is stored before anything uses it.
type state struct {
	// UserID is the uid and gid of both processes.
	UserID int `json:"userID"`
	// The ports on 127.0.0.1.
	APIServerPort  int `json:"apiServerPort"`
	EtcdClientPort int `json:"etcdClientPort"`
	EtcdPeerPort   int `json:"etcdPeerPort"`
}

// loadState reads the state, and chooses the id the first time.
func (s *Server) loadState() (state, error) {
	var st state
	found, err := home.ReadJSON(s.stateFile(), &st)
	if err != nil || found {
		return st, err
	}
	if os.Geteuid() == 0 {
		hash := fnv.New32a()
		hash.Write([]byte(s.home.Instance))
		st.UserID = firstUserID + int(hash.Sum32()&0xffff)
	}
	return st, home.WriteJSON(s.stateFile(), st, 0o644)
}

// choosePorts makes sure that the stored ports can be listened on, and stores
// others where something else took one while the API did not run.
func (s *Server) choosePorts(st state) (state, error) {
	var held []net.Listener // until all are chosen, so that no two are the same
	defer func() {
		for _, listener := range held {
			listener.Close()
		}
	}()
	for _, port := range []*int{&st.APIServerPort, &st.EtcdClientPort, &st.EtcdPeerPort} {
		listener, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", *port)) // port 0: any free one
		if err != nil {
			listener, err = net.Listen("tcp4", "127.0.0.1:0")
		}
		if err != nil {
			return st, fmt.Errorf("choosing a port for the management API: %w", err)
		}
		held = append(held, listener)
		*port = listener.Addr().(*net.TCPAddr).Port
	}
	return st, home.WriteJSON(s.stateFile(), st, 0o644)
}
