package supervise

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// The variables that mark a component's process. They are set before the
// process exists, so that none is ever missed: a supervisor that was killed
// right after a start leaves a process that its successor can tell.
const (
	// componentVariable is <dir>/<name>.
	componentVariable = "BERTH_COMPONENT"
	// identityVariable says what the process was started from.
	identityVariable = "BERTH_COMPONENT_IDENTITY"
)

// procStat is what /proc/<pid>/stat says of a process.
type procStat struct {
	state     string
	group     int
	session   int
	startTime uint64
}

// readStat reads /proc/<pid>/stat. The name in it may hold anything, so fields
// are counted from its closing parenthesis.
func readStat(pid int) (procStat, error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return procStat{}, err
	}
	end := bytes.LastIndexByte(data, ')')
	fields := strings.Fields(string(data[end+1:]))
	if end < 0 || len(fields) < 20 {
		return procStat{}, fmt.Errorf("reading the state of process %d: unknown format", pid)
	}
	stat := procStat{state: fields[0]}
	var errs [3]error
	stat.group, errs[0] = strconv.Atoi(fields[2])
	stat.session, errs[1] = strconv.Atoi(fields[3])
	stat.startTime, errs[2] = strconv.ParseUint(fields[19], 10, 64)
	return stat, errors.Join(errs[:]...)
}

// alive says whether the process of a pid and start time lives.
func alive(pid int, startTime uint64) bool {
	if pid <= 0 {
		return false
	}
	stat, err := readStat(pid)
	return err == nil && stat.startTime == startTime && stat.state != "Z" && stat.state != "X"
}

// found is a running process of a component.
type found struct {
	pid       int
	startTime uint64
	identity  string
}

// findComponents looks for the processes that a supervisor of dir started, by
// component. Children of a component carry its mark too, but do not lead a session.
func findComponents(dir string) (map[string]found, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, fmt.Errorf("looking for components: %w", err)
	}
	components := map[string]found{}
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		name, process, ok := inspect(pid, dir)
		if !ok {
			continue
		}
		if other, taken := components[name]; !taken || process.startTime < other.startTime {
			components[name] = process
		}
	}
	return components, nil
}

// inspect says which component of dir a process is.
func inspect(pid int, dir string) (name string, process found, ok bool) {
	environment, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return "", found{}, false // ended, or another user's
	}
	process.pid = pid
	for variable := range strings.SplitSeq(string(environment), "\x00") {
		if path, is := strings.CutPrefix(variable, componentVariable+"="); is && filepath.Dir(path) == dir {
			name = filepath.Base(path)
		}
		if identity, is := strings.CutPrefix(variable, identityVariable+"="); is {
			process.identity = identity
		}
	}
	if name == "" {
		return "", found{}, false
	}
	stat, err := readStat(pid)
	if err != nil || stat.state == "Z" || stat.group != pid || stat.session != pid {
		return "", found{}, false
	}
	process.startTime = stat.startTime
	return name, process, true
}

// watch tells the end of a process that is not a child.
type watch struct {
	file *os.File
}

// newWatch watches the process of a pid and start time; an error if it is gone.
func newWatch(pid int, startTime uint64) (watch, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if err != nil {
		return watch{}, err
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	if !alive(pid, startTime) { // the number may have passed to another process before it was opened
		return watch{}, errors.Join(unix.ESRCH, file.Close())
	}
	return watch{file: file}, nil
}

// wait returns nil once the process has ended, an error once the watch is closed.
func (w watch) wait() error {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Read(func(fd uintptr) bool {
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(poll, 0)
		return err == nil && n > 0
	})
}

// signal reaches the watched process and no other.
func (w watch) signal(signal unix.Signal) error {
	raw, err := w.file.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	if err := raw.Control(func(fd uintptr) { sent = unix.PidfdSendSignal(int(fd), signal, nil, 0) }); err != nil {
		return err
	}
	return sent
}

func (w watch) close() { w.file.Close() }
