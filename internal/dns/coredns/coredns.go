// Package coredns runs the DNS of the install zone: one CoreDNS under a
// supervisor, in the edge's network namespace, with a user and a cgroup of its
// own. It goes on when the daemon ends: the next one adopts it. The package
// must not know where names come from.
//
//	<home>/dns/Corefile, zone   the server's files, root's, for all to read
//	<home>/dns/run/             the supervisor's directory
package coredns

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io/fs"
	"os"
	"path/filepath"

	"berth.dev/berth/internal/cgroup"
	"berth.dev/berth/internal/dns"
	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/supervise"
)

// firstUserID starts the range of ids out of which the server's is taken, by
// the install's letters: apart from those of the management API, of control
// planes and of machines.
const firstUserID = 0x0ffe0000

// limits hold the server to what it could ever need: its clients are tenants.
// The shares let it answer while machines are short of CPU.
func limits() cgroup.Limits {
	return cgroup.Limits{MemoryBytes: 256 << 20, Pids: 256, CPUShares: 4 * 1024}
}

// Options is what a Server needs.
type Options struct {
	// Home says where the server's files lie and what the install's names begin with.
	Home home.Home
	// Supervisor is the path of the berth-supervisor binary.
	Supervisor string
	// Cgroups are the host's.
	Cgroups cgroup.Hierarchy
}

// Server is the install's DNS server.
type Server struct {
	home       home.Home
	supervisor string
	cgroups    cgroup.Hierarchy
}

// New makes a Server. It starts nothing.
func New(options Options) *Server {
	return &Server{home: options.Home, supervisor: options.Supervisor, cgroups: options.Cgroups}
}

// Ensure makes the server run and serve the zone, and says whether its process
// runs. A change of the zone alone disturbs no process: the server notices.
func (s *Server) Ensure(ctx context.Context, desired dns.Desired) (running bool, err error) {
	if err := s.ensureFiles(desired); err != nil {
		return false, fmt.Errorf("running the install's DNS: %w", err)
	}
	if err := s.cgroups.Create(s.cgroup(), limits()); err != nil {
		return false, fmt.Errorf("running the install's DNS: %w", err)
	}
	handle := supervise.Handle{
		Dir: s.runDir(), Program: s.supervisor, CgroupPath: s.cgroup(),
		NetworkNamespace: desired.NetworkNamespace, UserID: s.userID(),
	}
	status, lives, err := handle.Status()
	if err == nil && lives && !inNamespace(status.PID, desired.NetworkNamespace) {
		if err = handle.Stop(ctx); errors.Is(err, supervise.ErrInProgress) {
			return false, nil // the edge was made anew; the next look starts the server in it
		}
	}
	if err == nil {
		status, err = handle.Ensure(ctx, supervise.Spec{Components: desired.Components(s.dir())})
	}
	if err != nil {
		return false, fmt.Errorf("running the install's DNS: %w", err)
	}
	return len(status.Components) == 1 && status.Components[0].PID != 0, nil
}

// Stop stops the server; supervise.ErrInProgress until it is gone.
func (s *Server) Stop(ctx context.Context) error {
	_, err := os.Stat(s.runDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("stopping the install's DNS: %w", err)
	}
	return supervise.Handle{Dir: s.runDir(), Program: s.supervisor, UserID: s.userID()}.Stop(ctx)
}

// ensureFiles makes the directories and writes what changed. The server reads
// its files and can write none of them.
func (s *Server) ensureFiles(desired dns.Desired) error {
	if err := os.MkdirAll(s.dir(), 0o711); err != nil {
		return err
	}
	if err := os.Mkdir(s.runDir(), 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if uid := s.userID(); uid != 0 {
		if err := os.Lchown(s.runDir(), uid, uid); err != nil {
			return err
		}
	}
	for name, content := range map[string][]byte{dns.CorefileName: desired.Corefile(), dns.ZoneFileName: desired.Zone.File()} {
		path := filepath.Join(s.dir(), name)
		if known, err := os.ReadFile(path); err == nil && bytes.Equal(known, content) {
			continue
		}
		if err := home.WriteFile(path, content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// inNamespace says whether a process is in a network namespace. One that
// cannot be looked at, because it ended just now, is.
func inNamespace(pid int, namespace string) bool {
	if namespace == "" {
		return true
	}
	its, err := os.Stat(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		return true
	}
	wanted, err := os.Stat(namespace)
	return err != nil || os.SameFile(its, wanted)
}

// userID is the server's uid and gid; 0, which is the caller's, where the
// caller could not change it.
func (s *Server) userID() int {
	if os.Geteuid() != 0 {
		return 0
	}
	hash := fnv.New32a()
	hash.Write([]byte(s.home.Instance))
	return firstUserID + int(hash.Sum32()&0xffff)
}

func (s *Server) dir() string    { return s.home.DNSDir() }
func (s *Server) runDir() string { return filepath.Join(s.home.DNSDir(), "run") }
func (s *Server) cgroup() string { return s.home.Prefix() + "/dns" }
