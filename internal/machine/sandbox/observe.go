package sandbox

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine/sandbox/inside"
	"berth.dev/berth/internal/supervise"
)

// maxStatus bounds what is read from a machine's supervisor, which the
// machine's root can replace.
const maxStatus = 1 << 20

// firstProcess finds the machine's first process: the one in the machine's
// cgroup that is number 1 of the namespace below the host's. 0 if there is none, or
// only one that has not made the machine's network yet.
func (p *Provider) firstProcess(id string) (int, error) {
	pids, err := p.options.Cgroups.Processes(p.group(id))
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if ended(err) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("looking at process %d: %w", pid, err)
		}
		if !isFirst(status) {
			continue
		}
		if owns, err := ownsNetwork(pid); err != nil || owns {
			return pid, err
		}
	}
	return 0, nil
}

// ownsNetwork says whether a process is in a network namespace that belongs to its
// user namespace. That of a machine that is being born is the host's at first, and
// would be left so by a launch that was cut off there: nothing may be attached to it.
func ownsNetwork(pid int) (bool, error) {
	network, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if ended(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking at the network of process %d: %w", pid, err)
	}
	defer network.Close()
	fd, err := unix.IoctlRetInt(int(network.Fd()), unix.NS_GET_USERNS)
	if errors.Is(err, unix.EPERM) {
		return false, nil // it belongs to a namespace above this process's
	}
	if err != nil {
		return false, fmt.Errorf("asking whose the network of process %d is: %w", pid, err)
	}
	owner := os.NewFile(uintptr(fd), "owner")
	defer owner.Close()
	owning, err := owner.Stat()
	if err != nil {
		return false, fmt.Errorf("asking whose the network of process %d is: %w", pid, err)
	}
	own, err := os.Stat(fmt.Sprintf("/proc/%d/ns/user", pid))
	if ended(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking at the user namespace of process %d: %w", pid, err)
	}
	return os.SameFile(own, owning), nil
}

// ended says whether reading of a process failed because it is no more.
func ended(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH)
}

// isFirst reads a /proc/<pid>/status. Pods have first processes too, but
// deeper; a zombie has ended.
func isFirst(status []byte) bool {
	var state, ids []string
	for line := range bytes.Lines(status) {
		label, value, _ := strings.Cut(string(line), ":")
		switch label {
		case "State":
			state = strings.Fields(value)
		case "NSpid":
			ids = strings.Fields(value)
		}
	}
	alive := len(state) > 0 && state[0] != "Z" && state[0] != "X"
	return alive && len(ids) == 2 && ids[1] == "1"
}

// readStatus reads what the supervisor inside last saw. The file lies in
// the machine's root, which belongs to the tenant: no link in it is followed,
// and nothing but a regular file of sane size is read.
func readStatus(first int) (supervise.Status, error) {
	root, err := openRoot(first)
	if err != nil {
		return supervise.Status{}, err
	}
	defer unix.Close(root)
	file, err := openInside(root, filepath.Join(inside.SuperviseDir, supervise.StatusFile), 0)
	if errors.Is(err, unix.ENOENT) {
		return supervise.Status{}, errors.New("the supervisor inside has not reported yet")
	}
	if err != nil {
		return supervise.Status{}, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return supervise.Status{}, errors.Join(errors.New("the supervisor's status is not a file"), err)
	}
	data, err := io.ReadAll(io.LimitReader(file, maxStatus))
	if err != nil {
		return supervise.Status{}, fmt.Errorf("reading the supervisor's status: %w", err)
	}
	var status supervise.Status
	if err := json.Unmarshal(data, &status); err != nil {
		return supervise.Status{}, fmt.Errorf("decoding the supervisor's status: %w", err)
	}
	return status, nil
}
