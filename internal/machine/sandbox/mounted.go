package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mounted is the mount of a disk in a machine.
type mounted struct {
	id string
	// device is the loop device, by its path and number.
	device string
	number uint64
}

// findMount looks for the disk in the mounts of a machine; nil if it is not there.
func findMount(first int, id string) (*mounted, error) {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", first))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, nil // the machine ends: whoever called looks again
	}
	if err != nil {
		return nil, fmt.Errorf("reading the machine's mounts: %w", err)
	}
	var last *mounted // of several on one place the last is on top
	for line := range strings.Lines(string(table)) {
		// id parent major:minor root place options ... - type source options
		before, after, found := strings.Cut(line, " - ")
		fields, tail := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 6 || len(tail) < 2 || fields[4] != place(id) {
			continue
		}
		last = nil
		var major, minor uint32
		if _, err := fmt.Sscanf(fields[2], "%d:%d", &major, &minor); err == nil && tail[0] == "xfs" && strings.HasPrefix(tail[1], "/dev/loop") {
			last = &mounted{id: id, device: tail[1], number: unix.Mkdev(major, minor)}
		}
	}
	return last, nil
}

// geometry is what XFS says of itself: struct xfs_fsop_geom_v1, of linux/fs/xfs/xfs_fs.h.
type geometry struct {
	blockSize, _, _, _, _, _, _, inodePercent uint32
	blocks                                    uint64
	_                                         [72]byte
}

// growth is what XFS is to become: struct xfs_growfs_data.
type growth struct {
	blocks       uint64
	inodePercent uint32
	_            uint32
}

// The requests of XFS: _IOR('X', 100, geometry) and _IOW('X', 110, growth).
const (
	getGeometry = 0x80705864
	growData    = 0x4010586e
)

// grow makes the file system as large as the disk is to be. It is what it is
// already most of the time.
func (m *mounted) grow(first int, size int64) error {
	root, err := openRoot(first)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, strings.TrimPrefix(place(m.id), "/"), &unix.OpenHow{
		Flags:   unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
	})
	if err != nil {
		return fmt.Errorf("opening the disk in the machine: %w", err)
	}
	defer unix.Close(fd)
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil || stat.Dev != m.number {
		return errors.Join(err, errors.New("something else lies over the disk in the machine"))
	}
	var now geometry
	if err := control(fd, getGeometry, unsafe.Pointer(&now)); err != nil {
		return fmt.Errorf("reading its size: %w", err)
	}
	wanted := growth{blocks: uint64(size) / uint64(now.blockSize), inodePercent: now.inodePercent}
	if now.blocks >= wanted.blocks {
		return nil
	}
	device, err := os.OpenFile(filepath.Clean(m.device), os.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer device.Close()
	if err := unix.IoctlSetInt(int(device.Fd()), unix.LOOP_SET_CAPACITY, 0); err != nil {
		return fmt.Errorf("growing %s: %w", m.device, err)
	}
	return control(fd, growData, unsafe.Pointer(&wanted))
}

func control(fd int, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
