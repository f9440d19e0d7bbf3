package release

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// lockInterval is how often a waiting process tries again: the kernel wakes
// no one who could also be cancelled.
const lockInterval = 500 * time.Millisecond

// lock is held by the one process that builds an entry. The kernel drops it
// with the last process that inherited it. The file's content is the
// builder's progress, for those who wait.
type lock struct{ file *os.File }

// acquireLock waits until the caller alone holds the lock, or ctx ends. While
// it waits, it tells how far the holder is.
func acquireLock(ctx context.Context, path string, waiting func(Progress)) (*lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("making the cache's lock directory: %w", err)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("opening a lock of the cache: %w", err)
	}
	ticker := time.NewTicker(lockInterval)
	defer ticker.Stop()
	for {
		err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return &lock{file: file}, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, fmt.Errorf("locking %s: %w", path, err)
		}
		waiting(readProgress(path))
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-ticker.C:
		}
	}
}

// publish stores the builder's progress for those who wait. It is a courtesy,
// so errors do not matter.
func (l *lock) publish(progress Progress) {
	encoded, err := json.Marshal(progress)
	if err != nil {
		return
	}
	if err := l.file.Truncate(0); err == nil {
		_, _ = l.file.WriteAt(encoded, 0)
	}
}

// release lets the next one build. The file stays, because removing a lock
// that another opens at this moment would make two of it.
func (l *lock) release() {
	_ = l.file.Truncate(0)
	_ = l.file.Close()
}

// readProgress reads what a builder published, nothing if it did not.
func readProgress(path string) Progress {
	var progress Progress
	content, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(content, &progress) != nil {
		return Progress{}
	}
	return progress
}
