package inside

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// enterRoot pivots into the machine's root and mounts there what a machine
// has. Everything is mounted after the pivot, so that a link that the machine
// once put into its own root leads nowhere else, and before the old root goes:
// the kernel mounts a new proc and sysfs only for those who see whole ones.
func enterRoot(record Record) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return err
	}
	staging, err := openDir(".")
	if err != nil {
		return err
	}
	defer unix.Close(staging)
	host, err := openDir("/")
	if err != nil {
		return err
	}
	defer unix.Close(host)
	// A mount of the machine's own namespace: one that was inherited cannot be pivoted to.
	if err := unix.Mount(stagedRoot, stagedRoot, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("binding the root: %w", err)
	}
	if err := os.Chdir(stagedRoot); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivoting: %w", err)
	}
	if err := mountKernel(host); err != nil {
		return err
	}
	for _, place := range lent(record) {
		if err := bindFrom(staging, place[0], place[1]); err != nil {
			return err
		}
	}
	// Both roots lie on top of each other; the working directory tells them apart.
	if err := unix.Fchdir(host); err != nil {
		return err
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("leaving the host's root: %w", err)
	}
	return os.Chdir("/")
}

// mountKernel mounts the kernel's file systems and the devices.
func mountKernel(host int) error {
	const safe = unix.MS_NOSUID | unix.MS_NOEXEC
	mounts := []struct {
		kind, target string
		flags        uintptr
		options      string
	}{
		{"proc", "/proc", safe | unix.MS_NODEV, ""},
		{"sysfs", "/sys", safe | unix.MS_NODEV, ""},
		// Not sticky: the kernel refuses O_CREAT on others' device nodes in a
		// sticky directory that everyone may write to.
		{"tmpfs", "/dev", unix.MS_NOSUID, "mode=755,size=16m"},
		{"devpts", "/dev/pts", safe, "newinstance,ptmxmode=0666,mode=0620"},
		{"tmpfs", "/dev/shm", safe | unix.MS_NODEV, "mode=1777"},
		{"mqueue", "/dev/mqueue", safe | unix.MS_NODEV, ""},
		{"tmpfs", "/run", unix.MS_NOSUID | unix.MS_NODEV, "mode=755"},
		{"tmpfs", "/tmp", unix.MS_NOSUID | unix.MS_NODEV, "mode=1777"},
	}
	for _, mount := range mounts {
		if err := os.MkdirAll(mount.target, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(mount.kind, mount.target, mount.kind, mount.flags, mount.options); err != nil {
			return fmt.Errorf("mounting %s: %w", mount.target, err)
		}
	}
	return makeDevices(host)
}

// makeDevices lends the harmless devices of the host. The kernel's log is
// nobody's business here: kmsg is an empty file.
func makeDevices(host int) error {
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := os.WriteFile("/dev/"+name, nil, 0o644); err != nil {
			return err
		}
		if err := bindFrom(host, "dev/"+name, "/dev/"+name); err != nil {
			return err
		}
	}
	if err := os.WriteFile("/dev/kmsg", nil, 0o644); err != nil {
		return err
	}
	if err := bindFrom(host, "dev/null", "/dev/kmsg"); err != nil {
		return err
	}
	for name, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0",
		"stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, "/dev/"+name); err != nil {
			return err
		}
	}
	return nil
}

// bindFrom mounts what lies at a path below a directory of the old root.
func bindFrom(dir int, path, target string) error {
	tree, err := unix.OpenTree(dir, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_RECURSIVE)
	if err != nil {
		return fmt.Errorf("taking %s over: %w", path, err)
	}
	defer unix.Close(tree)
	if _, err := os.Lstat(target); errors.Is(err, os.ErrNotExist) {
		err = os.MkdirAll(target, 0o755)
		if err != nil {
			return err
		}
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("mounting %s: %w", target, err)
	}
	return nil
}

func openDir(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("opening %s: %w", path, err)
	}
	return fd, nil
}

// mountCgroups mounts the machine's own part of the host's cgroups, as the
// cgroup namespace shows it.
func mountCgroups() error {
	data, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return err
	}
	const flags = unix.MS_NOSUID | unix.MS_NOEXEC | unix.MS_NODEV
	hierarchies := v1Hierarchies(string(data))
	if len(hierarchies) == 0 {
		if err := unix.Mount("cgroup2", "/sys/fs/cgroup", "cgroup2", flags, ""); err != nil {
			return err
		}
		return leaveRootGroup()
	}
	if err := unix.Mount("tmpfs", "/sys/fs/cgroup", "tmpfs", flags, "mode=755,size=1m"); err != nil {
		return err
	}
	for _, controllers := range hierarchies {
		name, options := strings.TrimPrefix(controllers, "name="), controllers
		if name != controllers {
			options = "none," + controllers
		}
		dir := filepath.Join("/sys/fs/cgroup", name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		if err := unix.Mount("cgroup", dir, "cgroup", flags, options); err != nil {
			return fmt.Errorf("mounting %s: %w", dir, err)
		}
		for single := range strings.SplitSeq(name, ",") {
			if single != name {
				if err := os.Symlink(name, filepath.Join("/sys/fs/cgroup", single)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// v1Hierarchies reads the controllers of each v1 hierarchy from
// /proc/self/cgroup; none on a host with v2 alone.
func v1Hierarchies(table string) []string {
	var hierarchies []string
	for line := range strings.Lines(table) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) == 3 && fields[1] != "" {
			hierarchies = append(hierarchies, fields[1])
		}
	}
	return hierarchies
}

// leaveRootGroup moves the first process into a group of its own: v2 hands
// controllers to children only from a group without processes.
func leaveRootGroup() error {
	const group = "/sys/fs/cgroup/berth"
	if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.WriteFile(group+"/cgroup.procs", []byte("0"), 0o644); err != nil {
		return fmt.Errorf("moving out of the root group: %w", err)
	}
	return nil
}
