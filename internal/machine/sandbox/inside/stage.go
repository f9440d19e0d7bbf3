package inside

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine/sandbox/netfilter"
)

// The staging directory, a tmpfs:
//
//	image   the node image with shifted owners, read-only
//	disk    the machine's disk
//	root    the machine's root: upper layer on the disk over the image
//	bin, images, cni  what Desired lends from the host, read-only
const (
	stagedImage = "image"
	stagedDisk  = "disk"
	stagedRoot  = "root"
	stagedBin   = "bin"
	stagedTars  = "images"
	stagedCNI   = "cni"

	// copiedImage is on the disk of a machine whose host cannot mount the node
	// image with shifted owners.
	copiedImage = stagedDisk + "/image"
)

// errNoShift says that the node image's file system, or the kernel, has no
// idmapped mounts: ext4, xfs, btrfs and tmpfs do, since Linux 5.12 to 6.3.
var errNoShift = errors.New("the host's file system cannot shift owners in a mount")

// diskDirs are the directories on the disk. Upper and work make the root's
// writable layer; containerd keeps overlays of its own, which cannot lie on an
// overlay, so it and the kubelet use the disk directly.
func diskDirs() []string { return []string{"upper", "work", "kubelet", "containerd"} }

// stage builds the mounts that a machine moves into, and enters the directory
// that holds them. Paths are relative from then on: the way to the home is
// closed to the machine's ids, and overlayfs takes no path with a comma or colon.
func stage(ctx context.Context, record Record, disk, staging string) error {
	if err := unix.Mount("tmpfs", staging, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=755,size=1m"); err != nil {
		return fmt.Errorf("mounting the staging directory: %w", err)
	}
	if err := os.Chdir(staging); err != nil {
		return fmt.Errorf("entering the staging directory: %w", err)
	}
	for _, name := range []string{stagedImage, stagedDisk, stagedRoot, stagedBin, stagedTars, stagedCNI} {
		if err := os.Mkdir(name, 0o755); err != nil {
			return err
		}
	}
	if err := mountDisk(record, disk, stagedDisk); err != nil {
		return err
	}
	if err := mountRoot(ctx, record); err != nil {
		return err
	}
	return lend(record)
}

// mountDisk mounts the machine's disk and makes its directories. Only the
// directories are visible inside, so nothing that a machine does can redirect
// what root does here.
func mountDisk(record Record, disk, target string) error {
	device, err := attachLoop(disk)
	if err != nil {
		return err
	}
	defer device.Close()
	// noinit_itable: unused inode tables stay holes in the sparse file;
	// discard: so does what the machine deletes.
	if err := unix.Mount(device.Name(), target, "ext4", unix.MS_NODEV, "noinit_itable,discard"); err != nil {
		return fmt.Errorf("mounting the disk from %s: %w", device.Name(), err)
	}
	owner := record.Desired.IDRangeStart
	for _, name := range diskDirs() {
		path := filepath.Join(target, name)
		if err := os.Mkdir(path, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
		if err := os.Lchown(path, owner, owner); err != nil {
			return err
		}
	}
	return nil
}

// mountRoot lays the machine's writable layer over the node image. A machine
// keeps the kind of lower layer that it was first started with.
func mountRoot(ctx context.Context, record Record) error {
	lower := stagedImage
	if _, err := os.Stat(copiedImage); err == nil {
		lower = copiedImage
	} else if err := mountImage(ctx, record, stagedImage); errors.Is(err, errNoShift) {
		fmt.Fprintf(os.Stderr, "%v: copying the node image to the machine's disk instead\n", err)
		if err := copyImage(record.Desired.Image, copiedImage, record.Desired.IDRangeStart); err != nil {
			return err
		}
		lower = copiedImage
	} else if err != nil {
		return err
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", lower, stagedDisk, stagedDisk)
	if err := unix.Mount("overlay", stagedRoot, "overlay", unix.MS_NODEV, options); err != nil {
		return fmt.Errorf("laying the machine's root over the node image (overlayfs over an idmapped mount needs Linux 5.19): %w", err)
	}
	return nil
}

// mountImage mounts the node image with its owners shifted into the machine's ids.
func mountImage(ctx context.Context, record Record, target string) error {
	holder := exec.CommandContext(ctx, program, "machine", "hold")
	holder.SysProcAttr = mapped(record.Desired.IDRangeStart)
	pipe, err := holder.StdinPipe()
	if err != nil {
		return err
	}
	if err := holder.Start(); err != nil {
		return fmt.Errorf("making a user namespace (does the host forbid them?): %w", err)
	}
	defer func() {
		pipe.Close()
		_ = holder.Wait()
	}()
	namespace, err := os.Open("/proc/" + strconv.Itoa(holder.Process.Pid) + "/ns/user")
	if err != nil {
		return fmt.Errorf("opening the user namespace: %w", err)
	}
	defer namespace.Close()
	tree, err := unix.OpenTree(unix.AT_FDCWD, record.Desired.Image, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("opening the node image %s: %w", record.Desired.Image, err)
	}
	defer unix.Close(tree)
	attributes := unix.MountAttr{
		Attr_set:  unix.MOUNT_ATTR_IDMAP | unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV,
		Userns_fd: uint64(namespace.Fd()),
	}
	switch err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attributes); {
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EPERM), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
		return fmt.Errorf("shifting the owners of the node image %s: %w: %w", record.Desired.Image, errNoShift, err)
	case err != nil:
		return fmt.Errorf("shifting the owners of the node image: %w", err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mounting the node image: %w", err)
	}
	return nil
}

// lend puts the host's programs, archives and plugins into the staging
// directory, read-only, and this program as the front of nft.
func lend(record Record) error {
	files := map[string]string{filepath.Join(stagedBin, netfilter.Program): program}
	for name, path := range record.Desired.Binaries {
		files[filepath.Join(stagedBin, filepath.Base(name))] = path
	}
	for _, path := range record.Desired.ImageArchives {
		files[filepath.Join(stagedTars, filepath.Base(path))] = path
	}
	for target, source := range files {
		if err := os.WriteFile(target, nil, 0o644); err != nil {
			return err
		}
		if err := bindReadOnly(source, target); err != nil {
			return err
		}
	}
	if record.Desired.CNI == "" {
		return nil
	}
	return bindReadOnly(record.Desired.CNI, stagedCNI)
}

func bindReadOnly(source, target string) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("lending %s: %w", source, err)
	}
	defer unix.Close(tree)
	attributes := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY | unix.MOUNT_ATTR_NODEV | unix.MOUNT_ATTR_NOSUID}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, &attributes); err != nil {
		return fmt.Errorf("lending %s read-only: %w", source, err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("lending %s: %w", source, err)
	}
	return nil
}

// lent says where the staged directories appear inside, in the order to mount them.
func lent(record Record) [][2]string {
	places := [][2]string{{stagedBin, ProgramDir}, {stagedTars, ImageDir}}
	if record.Desired.CNI != "" {
		places = append(places, [2]string{stagedCNI, CNIDir})
	}
	return slices.Concat(places, [][2]string{
		{stagedDisk + "/kubelet", "/var/lib/kubelet"},
		{stagedDisk + "/containerd", "/var/lib/containerd"},
	})
}
