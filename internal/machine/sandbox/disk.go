package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/machine/sandbox/inside"
)

// ensureDisk makes the machine's disk, a sparse file with an empty file
// system. It gets its name last: a disk that has it is complete, and is never
// made again.
func ensureDisk(ctx context.Context, dir string, desired machine.Desired) error {
	path := filepath.Join(dir, inside.DiskFile)
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("making the disk: %w", err)
	}
	err = errors.Join(file.Truncate(int64(desired.DiskGiB)<<30), file.Close())
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EFBIG), errors.Is(err, unix.EDQUOT):
		return fmt.Errorf("making a disk of %d GiB: %w: %w", desired.DiskGiB, machine.ErrNoCapacity, err)
	case err != nil:
		return fmt.Errorf("making the disk: %w", err)
	}
	if err := format(ctx, path+".new", desired.IDRangeStart); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// format makes the file system. Its tables are left as holes: the kernel fills
// them as they are used, and the file stays small.
func format(ctx context.Context, path string, owner int) error {
	extended := fmt.Sprintf("lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=%d:%d", owner, owner)
	command := exec.CommandContext(ctx, "mkfs.ext4", "-q", "-F", "-m", "0", "-L", "berth", "-J", "size=64", "-E", extended, path)
	command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("formatting the disk: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return nil
}

// diskAttached says whether a loop device still uses the file.
func diskAttached(path string) (bool, error) {
	var want unix.Stat_t
	if err := unix.Stat(path, &want); errors.Is(err, unix.ENOENT) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("looking at the disk: %w", err)
	}
	attached, err := filepath.Glob("/sys/block/loop*/loop/backing_file")
	if err != nil {
		return false, err
	}
	for _, name := range attached {
		backing, err := os.ReadFile(name)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ENODEV) {
			continue // detached meanwhile
		}
		if err != nil {
			return false, fmt.Errorf("reading the loop devices: %w", err)
		}
		var found unix.Stat_t
		if err := unix.Stat(strings.TrimSpace(string(backing)), &found); err == nil && found.Dev == want.Dev && found.Ino == want.Ino {
			return true, nil
		}
	}
	return false, nil
}
