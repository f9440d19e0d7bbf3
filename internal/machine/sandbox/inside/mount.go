package inside

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine"
)

// The namespaces of a machine, as whoever starts a step in it hands them over:
// paths of processes may lead to another process by the time they are opened.
const (
	mountNamespaceFD = 3
	userNamespaceFD  = 4
)

// mountVolume brings a disk into a machine that runs: it attaches the file to a
// loop device, mounts it with its owners shifted into the machine's ids, and
// moves the mount to its place in the machine. The host's own mounts never show it.
func mountVolume(file, id string) error {
	unix.CloseOnExec(mountNamespaceFD)
	unix.CloseOnExec(userNamespaceFD)
	device, err := attachLoop(file)
	if err != nil {
		return err
	}
	defer device.Close()
	mount, err := detachedMount(device.Name())
	if err != nil {
		return fmt.Errorf("mounting the disk from %s: %w", device.Name(), err)
	}
	defer unix.Close(mount)
	attributes := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: userNamespaceFD}
	if err := unix.MountSetattr(mount, "", unix.AT_EMPTY_PATH, &attributes); err != nil {
		return fmt.Errorf("shifting the owners of the disk (Linux 5.12 does so for XFS): %w", err)
	}
	if err := enterMounts(); err != nil {
		return err
	}
	place, err := openPlace(id, true)
	if err != nil {
		return err
	}
	defer unix.Close(place)
	if err := unix.MoveMount(mount, "", place, "", unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH); err != nil {
		return fmt.Errorf("moving the disk into the machine: %w", err)
	}
	return nil
}

// unmountVolume takes a disk out of a machine that runs. Who still uses it keeps
// it, and the loop device with it, until they end.
func unmountVolume(id string) error {
	unix.CloseOnExec(mountNamespaceFD)
	if err := enterMounts(); err != nil {
		return err
	}
	parent, err := openPlace("", false)
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return err
	}
	defer unix.Close(parent)
	// By its name in a directory that was reached without a link.
	if err := unix.Fchdir(parent); err != nil {
		return err
	}
	err = unix.Unmount(id, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("unmounting the disk: %w", err)
	}
	if err := unix.Unlinkat(parent, id, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("removing the place of the disk: %w", err)
	}
	return nil
}

// detachedMount mounts a device without a place.
func detachedMount(device string) (int, error) {
	context, err := unix.Fsopen("xfs", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("opening XFS (is the xfs module there?): %w", err)
	}
	defer unix.Close(context)
	if err := unix.FsconfigSetString(context, "source", device); err != nil {
		return -1, fmt.Errorf("naming the device: %w", err)
	}
	if err := unix.FsconfigSetFlag(context, "discard"); err != nil { // what pods delete is given back to the host
		return -1, fmt.Errorf("setting discard: %w", err)
	}
	if err := unix.FsconfigCreate(context); err != nil {
		return -1, fmt.Errorf("reading the file system: %w", err)
	}
	return unix.Fsmount(context, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV)
}

// enterMounts moves this thread into the machine's mounts. It never leaves them:
// the process ends with the step.
func enterMounts() error {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("leaving the other threads: %w", err)
	}
	if err := unix.Setns(mountNamespaceFD, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("entering the machine's mounts: %w", err)
	}
	return nil
}

// openPlace opens where a disk appears, and makes it first if that is asked for;
// without an id, the directory of all disks.
// The tenant may have put anything there: no link is followed.
func openPlace(id string, make bool) (int, error) {
	dir, err := unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	for name := range strings.SplitSeq(strings.Trim(machine.DiskDir+"/"+id, "/"), "/") {
		if make {
			if err := unix.Mkdirat(dir, name, 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
				return -1, errors.Join(fmt.Errorf("making the place of the disk: %w", err), unix.Close(dir))
			}
		}
		next, err := unix.Openat2(dir, name, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
		unix.Close(dir)
		if err != nil {
			return -1, fmt.Errorf("opening the place of the disk: %w", err)
		}
		dir = next
	}
	return dir, nil
}
