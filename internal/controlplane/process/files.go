package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/supervise"
)

// ensureDir makes the control plane's directory and writes what changed.
func (r *Runtime) ensureDir(desired controlplane.Desired, files map[string][]byte) error {
	parent := r.home.ControlPlanesDir()
	if err := os.MkdirAll(parent, 0o711); err != nil {
		return err
	}
	if err := reachable(parent); err != nil {
		return err
	}
	dir := r.dir(desired.ID)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := os.Lchown(dir, desired.UserID, desired.UserID); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := ensureFile(root, name, files[name], desired.UserID); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	return nil
}

// sweep removes the files of an earlier configuration, once nothing runs with them.
func (r *Runtime) sweep(id string, files map[string][]byte) error {
	root, err := os.OpenRoot(r.dir(id))
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && strings.Count(name, "/") > 0, name == "etcd", name == supervise.LogDir:
			return fs.SkipDir
		case entry.IsDir() || !controlplane.Former(name, files):
			return nil
		default:
			return root.Remove(name)
		}
	})
}

// reachable says which directory keeps other users from what lies below dir.
func reachable(dir string) error {
	for ; ; dir = filepath.Dir(dir) {
		info, err := os.Stat(dir)
		if err != nil {
			return err
		}
		if info.Mode()&0o001 == 0 {
			return fmt.Errorf("control planes do not run as root and cannot pass %s: chmod o+x %s", dir, dir)
		}
		if dir == filepath.Dir(dir) {
			return nil
		}
	}
}

// ensureFile makes a file of mode 0600 have a content, replacing it at once.
func ensureFile(root *os.Root, name string, content []byte, uid int) error {
	if known, err := readFile(root, name); err == nil && bytes.Equal(known, content) {
		return nil
	}
	if parent := filepath.Dir(name); parent != "." {
		if err := root.Mkdir(parent, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := root.Lchown(parent, uid, uid); err != nil {
			return err
		}
	}
	temporary := name + ".new"
	if err := root.RemoveAll(temporary); err != nil {
		return err
	}
	file, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if err = errors.Join(err, file.Chown(uid, uid), file.Close()); err != nil {
		return err
	}
	return root.Rename(temporary, name)
}

// readFile reads a regular file without waiting on what is none.
func readFile(root *os.Root, name string) ([]byte, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, errors.Join(err, fs.ErrInvalid)
	}
	return io.ReadAll(io.LimitReader(file, 1<<20))
}
