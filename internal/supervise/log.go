package supervise

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// openLog opens a component's log for its output. The component gets the file
// itself, never a pipe: whoever started it may die.
func openLog(dir, name string) (*os.File, error) {
	return os.OpenFile(logPath(dir, name), os.O_WRONLY|os.O_CREATE|os.O_APPEND|unix.O_CLOEXEC, 0o600)
}

func logPath(dir, name string) string {
	return filepath.Join(dir, LogDir, name+".log")
}

// Rotate copies the log of a directory that has grown to a size, in bytes, away and empties it in place:
// the processes that write to it keep their descriptor. It keeps so many old ones. Lines written between
// the last byte copied and the truncation are lost.
func Rotate(dir, name string, size int64, keep int) error {
	path := logPath(dir, name)
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() < size {
		return nil
	}
	if err != nil {
		return fmt.Errorf("rotating a log: %w", err)
	}
	for i := keep; i > 1; i-- {
		err := os.Rename(numbered(path, i-1), numbered(path, i))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("rotating a log: %w", err)
		}
	}
	if err := copyFile(path, numbered(path, 1)); err != nil {
		return fmt.Errorf("rotating a log: %w", err)
	}
	if err := os.Truncate(path, 0); err != nil {
		return fmt.Errorf("rotating a log: %w", err)
	}
	return nil
}

func numbered(path string, i int) string { return path + "." + strconv.Itoa(i) }

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}
