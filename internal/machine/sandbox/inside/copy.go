package inside

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// copyImage copies the node image onto the disk with its owners shifted, for
// hosts whose kernel or file system cannot shift them in a mount. It costs the
// image's size per machine and a second or two at its first start. The copy
// gets its name last: one that has it is complete.
func copyImage(image, target string, shift int) error {
	if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	building := target + ".new"
	if err := os.RemoveAll(building); err != nil {
		return fmt.Errorf("removing an unfinished copy of the node image: %w", err)
	}
	err := filepath.WalkDir(image, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		inside, err := filepath.Rel(image, path)
		if err != nil {
			return err
		}
		return copyEntry(path, filepath.Join(building, inside), shift)
	})
	if err != nil {
		return fmt.Errorf("copying the node image: %w", err)
	}
	return os.Rename(building, target)
}

// copyEntry copies one directory, file or link. Devices and sockets are left
// out: a machine's devices are lent, not part of its image.
func copyEntry(source, target string, shift int) error {
	info, err := os.Lstat(source)
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		err = os.Mkdir(target, 0o700)
	case 0:
		err = copyFile(source, target)
	case fs.ModeSymlink:
		var to string
		if to, err = os.Readlink(source); err == nil {
			err = os.Symlink(to, target)
		}
	default:
		return nil
	}
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return fmt.Errorf("%s has no owner", source)
	}
	if err := os.Lchown(target, int(owner.Uid)+shift, int(owner.Gid)+shift); err != nil {
		return err
	}
	if info.Mode().Type() == fs.ModeSymlink {
		return nil
	}
	return unix.Chmod(target, owner.Mode&0o7777) // after the change of owner, which clears setuid
}

func copyFile(source, target string) error {
	from, err := os.Open(source)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(target, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}
