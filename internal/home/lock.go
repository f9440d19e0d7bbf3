package home

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// ErrLocked says that another daemon, or another command that stops the
// install, holds the home.
var ErrLocked = errors.New("the home is in use by another Berth process")

// Lock is the hold on a home; the kernel ends it with the process.
type Lock struct {
	file *os.File
}

// Lock takes the home for this process; ErrLocked if another has it.
func (h Home) Lock() (*Lock, error) {
	file, err := os.OpenFile(filepath.Join(h.Dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("locking the home: %w", err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s: %w", h.Dir, ErrLocked)
		}
		return nil, fmt.Errorf("locking the home: %w", err)
	}
	return &Lock{file: file}, nil
}

// Release gives the home back.
func (l *Lock) Release() error {
	return l.file.Close()
}
