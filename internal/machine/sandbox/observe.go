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
// cgroup that is number 1 of the namespace below the host's. 0 if there is none.
func (p *Provider) firstProcess(id string) (int, error) {
	pids, err := p.options.Cgroups.Processes(p.group(id))
	if err != nil {
		return 0, err
	}
	for _, pid := range pids {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("looking at process %d: %w", pid, err)
		}
		if isFirst(status) {
			return pid, nil
		}
	}
	return 0, nil
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
