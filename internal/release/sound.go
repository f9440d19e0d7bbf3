package release

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// checkedDir has, for each entry, what its files were like when they last had
// their digests. Digests cost a second or two for a whole release, so they are
// computed only where a file was touched since.
const checkedDir = "checked"

// damagedDir is where entries go that are not as they were built. They are not
// removed: a machine that runs may have its root from there.
const damagedDir = "damaged"

// sound says whether every file of an entry has its digest.
func (s *Store) sound(entry string, about manifest) error {
	dir := s.path("parts", entry)
	cheap, err := signature(dir, about, false)
	if err != nil {
		return err
	}
	s.mu.Lock()
	known := s.checked[entry] == cheap
	s.mu.Unlock()
	if known {
		return nil
	}
	if err := s.compare(entry, dir, about); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.checked == nil {
		s.checked = map[string]string{}
	}
	s.checked[entry] = cheap
	return nil
}

// compare computes digests unless nothing was touched since they were right.
func (s *Store) compare(entry, dir string, about manifest) error {
	full, err := signature(dir, about, true)
	if errors.Is(err, fs.ErrPermission) {
		return nil // a user who only asks what is there; whoever runs it may read it
	}
	if err != nil {
		return err
	}
	stamp := s.path(checkedDir, entry)
	if content, err := os.ReadFile(stamp); err == nil && string(content) == full {
		return nil
	}
	if err := about.verify(dir); err != nil {
		return err
	}
	// Without the stamp the next look is as long, and nothing else.
	if err := os.MkdirAll(s.path(checkedDir), 0o755); err == nil {
		_ = os.WriteFile(stamp, []byte(full), 0o644)
	}
	return nil
}

// signature tells whether files were touched: their places, sizes and times of
// change, which nobody sets. whole takes every file, and not the programs alone.
func signature(dir string, about manifest, whole bool) (string, error) {
	var paths []string
	for program := range about.Programs {
		paths = append(paths, filepath.Join(dir, program))
	}
	if whole {
		paths = nil
		if err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			paths = append(paths, path)
			return err
		}); err != nil {
			return "", err
		}
	}
	slices.Sort(paths)
	hash := sha256.New()
	fmt.Fprintln(hash, about.Digest)
	for _, path := range paths {
		var info unix.Stat_t
		if err := unix.Lstat(path, &info); err != nil {
			return "", &fs.PathError{Op: "lstat", Path: path, Err: err}
		}
		if info.Mode&unix.S_IFMT != unix.S_IFREG {
			continue // a directory's time changes when a machine's root is made above it
		}
		fmt.Fprintln(hash, path, info.Ino, info.Size, info.Ctim.Nano())
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// setAside moves a damaged entry out of the way.
func setAside(entry string) error {
	if _, err := os.Lstat(entry); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	dir := filepath.Join(filepath.Dir(filepath.Dir(entry)), damagedDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("setting a damaged entry aside: %w", err)
	}
	name := fmt.Sprintf("%s-%d", filepath.Base(entry), time.Now().UnixNano())
	if err := os.Rename(entry, filepath.Join(dir, name)); err != nil {
		return fmt.Errorf("setting a damaged entry aside: %w", err)
	}
	return nil
}
