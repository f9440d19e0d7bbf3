package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/machine/sandbox/inside"
	"berth.dev/berth/internal/supervise"
)

// maxLogs is how many logs are looked at: the machine's root can make any number.
const maxLogs = 64

var _ machine.LogReader = (*Provider)(nil)

// Logs reads the ends of what the components of a running machine wrote, and
// of its console.
func (p *Provider) Logs(_ context.Context, id string, limit int64) (map[string][]byte, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	first, err := p.firstProcess(id)
	if err != nil {
		return nil, err
	}
	if first == 0 {
		return nil, fmt.Errorf("machine %s does not run, and its logs lie on its disk", id)
	}
	root, err := openRoot(first)
	if err != nil {
		return nil, err
	}
	defer unix.Close(root)
	return readLogs(root, limit)
}

// readLogs reads the logs below a machine's root. They belong to the tenant:
// nothing but regular files of the root's own file system is read, and of each
// no more than the limit.
func readLogs(root int, limit int64) (map[string][]byte, error) {
	names := []string{inside.ConsoleFile}
	logDir := path.Join(inside.SuperviseDir, supervise.LogDir)
	dir, err := openInside(root, logDir, unix.O_DIRECTORY)
	if err == nil {
		found, readErr := dir.Readdirnames(maxLogs)
		err = errors.Join(readErr, dir.Close())
		if errors.Is(err, io.EOF) { // it is empty
			err = nil
		}
		for _, name := range found {
			if strings.Contains(name, ".log") {
				names = append(names, path.Join(logDir, name))
			}
		}
	}
	errs := []error{err}
	logs := map[string][]byte{}
	for _, name := range names {
		content, err := readTail(root, name, limit)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			errs = append(errs, err)
		} else if err == nil {
			logs[path.Base(name)] = content
		}
	}
	return logs, errors.Join(errs...)
}

// readTail reads the end of a file.
func readTail(root int, name string, limit int64) ([]byte, error) {
	file, err := openInside(root, name, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s in the machine is not a file", name)
	}
	if size := info.Size(); size > limit {
		if _, err := file.Seek(size-limit, io.SeekStart); err != nil {
			return nil, err
		}
	}
	return io.ReadAll(io.LimitReader(file, limit))
}

// openRoot opens the root directory of the machine with a first process.
func openRoot(first int) (int, error) {
	root, err := unix.Open(fmt.Sprintf("/proc/%d/root", first), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening the machine's root: %w", err)
	}
	return root, nil
}

// openInside opens a file or directory of a machine for reading. The tenant
// may have put anything there: no link is followed, no other file system
// entered, whose server could keep the reader waiting, and no pipe waited for.
func openInside(root int, name string, flags uint64) (*os.File, error) {
	fd, err := unix.Openat2(root, strings.TrimPrefix(filepath.Clean(name), "/"), &unix.OpenHow{
		Flags:   flags | unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS | unix.RESOLVE_NO_XDEV,
	})
	if err != nil {
		return nil, fmt.Errorf("opening %s in the machine: %w", name, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}
