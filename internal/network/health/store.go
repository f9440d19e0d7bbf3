package health

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/network"
)

// Store is the directory that daemon and prober share. Its files are not worth
// more than the namespaces that they speak of: a host that starts anew makes both again.
//
//	<id>.network.json   the desired network, the daemon's
//	<id>.down.json      the probes that fail, the prober's
//	<id>.lock           held while a router is programmed from both
type Store struct {
	// Dir is root's alone; the first lock makes it.
	Dir string
}

// The ends of the names of a store's files.
const (
	networkSuffix = ".network.json"
	downSuffix    = ".down.json"
	lockSuffix    = ".lock"
)

// Lock waits for the right to program a network's router, and returns what
// gives it back. It ends with the process.
func (s Store) Lock(id string) (unlock func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("locking the balancer of network %s: %w", id, err)
	}
	file, err := os.OpenFile(s.path(id, lockSuffix), os.O_CREATE|os.O_RDWR|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the balancer of network %s: %w", id, err)
	}
	for {
		err = unix.Flock(int(file.Fd()), unix.LOCK_EX)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("locking the balancer of network %s: %w", id, err)
	}
	return func() { file.Close() }, nil
}

// SaveNetwork stores a desired network.
func (s Store) SaveNetwork(n network.Network) error {
	return s.save(s.path(n.ID, networkSuffix), n)
}

// Network is a desired network; found is false if there is none of the id.
func (s Store) Network(id string) (n network.Network, found bool, err error) {
	found, err = home.ReadJSON(s.path(id, networkSuffix), &n)
	return n, found, err
}

// Ensure stores a desired network and returns what fails in it. A node that is
// new beside others counts as failing until it has answered: its machine is
// ready before it forwards anything. The caller holds the lock.
func (s Store) Ensure(n network.Network) (Down, error) {
	before, found, err := s.Network(n.ID)
	if err != nil {
		return nil, err
	}
	down, err := s.Down(n.ID)
	if err != nil {
		return nil, err
	}
	if fresh := unproven(before, n); found && len(fresh) > 0 {
		down = append(down, fresh...).sorted()
		if err := s.SaveDown(n.ID, down); err != nil {
			return nil, err
		}
	}
	return down, s.SaveNetwork(n)
}

// SaveDown stores what fails in a network. Who does it holds the lock.
func (s Store) SaveDown(id string, down Down) error {
	return s.save(s.path(id, downSuffix), down.sorted())
}

// Down is what fails in a network; nothing if that was never said.
func (s Store) Down(id string) (down Down, err error) {
	_, err = home.ReadJSON(s.path(id, downSuffix), &down)
	return down, err
}

// Remove forgets a network.
func (s Store) Remove(id string) error {
	var errs []error
	for _, suffix := range []string{networkSuffix, downSuffix, lockSuffix} {
		if err := os.Remove(s.path(id, suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// List names the networks that are stored.
func (s Store) List() ([]string, error) {
	files, err := os.ReadDir(s.Dir)
	if err != nil {
		return nil, fmt.Errorf("listing the networks of balancers: %w", err)
	}
	var ids []string
	for _, file := range files {
		if id, ok := strings.CutSuffix(file.Name(), networkSuffix); ok {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

func (s Store) path(id, suffix string) string { return filepath.Join(s.Dir, id+suffix) }

// save writes a file whole or not at all. It is not synced: see Store.
func (s Store) save(path string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", path, err)
	}
	temporary := path + ".new" // one writer a file
	if err := os.WriteFile(temporary, content, 0o600); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(temporary, path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}
