package supervise

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// lockVariable names the descriptor of a lock that the launcher took on behalf
// of the supervisor: the lock passes from one to the other without a gap.
const lockVariable = "BERTH_SUPERVISOR_LOCK_FD"

// lockWait is how long a supervisor waits for a lock: someone who only looks
// whether it is free holds it for a moment.
const (
	lockWait  = time.Second
	lockPause = 5 * time.Millisecond
)

// errLocked says that another supervisor holds the directory.
var errLocked = errors.New("another supervisor runs here")

// tryLock takes the lock of a directory, or returns errLocked.
func tryLock(root *os.Root, uid int) (*os.File, error) {
	file, err := root.OpenFile(LockFile, os.O_RDWR|os.O_CREATE|unix.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock: %w", err)
	}
	if err := giveTo(file, uid); err != nil {
		return nil, errors.Join(fmt.Errorf("giving the lock away: %w", err), file.Close())
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		err = errLocked
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// acquire takes over the launcher's lock, or takes the lock itself.
func acquire(root *os.Root) (*os.File, error) {
	if file := inherited(root); file != nil {
		return file, nil
	}
	deadline := time.Now().Add(lockWait)
	for {
		file, err := tryLock(root, 0)
		if !errors.Is(err, errLocked) || time.Now().After(deadline) {
			return file, err
		}
		time.Sleep(lockPause)
	}
}

// inherited is the lock that the launcher passed on, nil if it passed none.
// The descriptor counts only if it is this directory's lock.
func inherited(root *os.Root) *os.File {
	fd, err := strconv.Atoi(os.Getenv(lockVariable))
	if err != nil {
		return nil
	}
	os.Unsetenv(lockVariable)
	want, err := root.Stat(LockFile)
	if err != nil {
		return nil
	}
	file := os.NewFile(uintptr(fd), LockFile)
	got, err := file.Stat()
	if err != nil || !os.SameFile(want, got) {
		return nil
	}
	unix.CloseOnExec(fd) // the components must not hold it
	if unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) != nil {
		return nil
	}
	return file
}
