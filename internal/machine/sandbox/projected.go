package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine"
)

// The bounds of what is read of a machine's volumes: its root can make any number.
const (
	maxPods       = 1024
	maxVolumes    = 256
	maxEntries    = 256
	maxDepth      = 8
	maxProjection = 2 << 20 // a ConfigMap holds a MiB
)

// currentData is the link to the files of a volume that are the present ones.
const currentData = "..data"

// plugins are the kubelet's names of the volumes that it keeps in step.
func plugins() []string { return []string{"kubernetes.io~projected", "kubernetes.io~configmap"} }

var _ machine.ProjectedReader = (*Provider)(nil)

// Projected reads the volumes through the root of the machine's first process.
func (p *Provider) Projected(_ context.Context, id, podsDir string, use func(machine.Projected)) error {
	if err := checkID(id); err != nil {
		return err
	}
	first, err := p.firstProcess(id)
	if err != nil {
		return err
	}
	if first == 0 {
		return fmt.Errorf("machine %s does not run", id)
	}
	root, err := openRoot(first)
	if err != nil {
		return err
	}
	defer unix.Close(root)
	mounts, err := kernelMounts(first)
	if err != nil {
		return err
	}
	return projected(root, podsDir, mounts, use)
}

// projected reads the volumes below a root. All of it belongs to the tenant: no link
// is followed but the kubelet's own, and no file system entered but those of the
// mounts, which are the kernel's and keep no reader waiting.
func projected(root int, podsDir string, mounts map[string]bool, use func(machine.Projected)) error {
	top, err := enter(root, podsDir, mounts)
	if err != nil {
		return gone(err)
	}
	defer unix.Close(top)
	pods, err := namesInside(top, ".", maxPods)
	errs := []error{err}
	for _, pod := range pods {
		for _, plugin := range plugins() {
			dir := path.Join(pod, "volumes", plugin)
			volumes, err := namesInside(top, dir, maxVolumes)
			errs = append(errs, err)
			for _, volume := range volumes {
				errs = append(errs, readVolume(top, path.Join(dir, volume), mounts, func(content []byte) {
					use(machine.Projected{PodUID: pod, Volume: volume, Content: content})
				}))
			}
		}
	}
	return errors.Join(errs...)
}

// readVolume reads the present files of a volume.
func readVolume(root int, name string, mounts map[string]bool, use func([]byte)) error {
	volume, err := openVolume(root, name, mounts)
	if err != nil {
		return gone(err)
	}
	defer volume.Close()
	target := make([]byte, unix.NAME_MAX)
	n, err := unix.Readlinkat(int(volume.Fd()), currentData, target)
	if err != nil {
		return gone(err) // it is being made, or is no volume of the kubelet's
	}
	data := string(target[:n])
	if strings.Contains(data, "/") || !strings.HasPrefix(data, "..") || data == ".." {
		return fmt.Errorf("volume %s of the machine leads to %q", name, data)
	}
	return readFiles(int(volume.Fd()), data, maxDepth, use)
}

// readFiles reads the regular files of a directory and those below it.
func readFiles(at int, name string, depth int, use func([]byte)) error {
	names, err := namesInside(at, name, maxEntries)
	if err != nil {
		return err
	}
	for _, entry := range names {
		file, err := openInside(at, path.Join(name, entry), 0)
		if errors.Is(err, unix.ELOOP) || errors.Is(err, unix.ENOENT) {
			continue // a link is not the kubelet's
		}
		if err != nil {
			return err
		}
		info, err := file.Stat()
		switch {
		case err != nil:
		case info.IsDir() && depth > 0:
			err = readFiles(at, path.Join(name, entry), depth-1, use)
		case info.Mode().IsRegular() && info.Size() <= maxProjection:
			var content []byte
			if content, err = io.ReadAll(io.LimitReader(file, maxProjection)); err == nil {
				use(content)
			}
		}
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}

// openVolume opens the directory of a volume, which can be a mount.
func openVolume(top int, name string, mounts map[string]bool) (*os.File, error) {
	place, err := enter(top, name, mounts)
	if err != nil {
		return nil, err
	}
	defer unix.Close(place)
	return openInside(place, ".", unix.O_DIRECTORY)
}

// enter goes to a directory, a step at a time: into a file system of its own only if
// that is one of the mounts, which is found out without asking it.
func enter(at int, name string, mounts map[string]bool) (int, error) {
	in, err := mountOf(at)
	if err != nil {
		return -1, err
	}
	place, err := unix.FcntlInt(uintptr(at), unix.F_DUPFD_CLOEXEC, 0)
	for step := range strings.SplitSeq(strings.Trim(path.Clean(name), "/"), "/") {
		if err != nil {
			break
		}
		from := place
		place, err = unix.Openat2(from, step, &unix.OpenHow{
			Flags:   unix.O_PATH | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC,
			Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS,
		})
		unix.Close(from)
		var now string
		if err == nil {
			now, err = mountOf(place)
		}
		if err == nil && now != in && !mounts[now] {
			err = errors.New("it lies on a file system that is not entered")
		}
		if err != nil && place >= 0 {
			unix.Close(place)
		}
		in = now
	}
	if err != nil {
		return -1, fmt.Errorf("opening %s in the machine: %w", name, err)
	}
	return place, nil
}

// mountOf is the number of the mount that a descriptor is in.
func mountOf(fd int) (string, error) {
	info, err := os.ReadFile(fmt.Sprintf("/proc/self/fdinfo/%d", fd))
	if err != nil {
		return "", fmt.Errorf("looking at a volume's mount: %w", err)
	}
	for line := range strings.Lines(string(info)) {
		if label, value, _ := strings.Cut(line, ":"); label == "mnt_id" {
			return strings.TrimSpace(value), nil
		}
	}
	return "", errors.New("the kernel does not tell a volume's mount")
}

// kernelMounts are the numbers of the mounts that a machine has of file systems on
// its disk or in memory.
func kernelMounts(first int) (map[string]bool, error) {
	table, err := os.ReadFile(fmt.Sprintf("/proc/%d/mountinfo", first))
	if err != nil {
		return nil, fmt.Errorf("reading the machine's mounts: %w", err)
	}
	found := map[string]bool{}
	for line := range strings.Lines(string(table)) {
		// id parent major:minor root place options ... - type source options
		before, after, _ := strings.Cut(line, " - ")
		fields, tail := strings.Fields(before), strings.Fields(after)
		if len(fields) > 0 && len(tail) > 0 && (tail[0] == "tmpfs" || tail[0] == "ext4") {
			found[fields[0]] = true
		}
	}
	return found, nil
}

// namesInside are the names in a directory of a machine, none if it is not there.
func namesInside(root int, name string, limit int) ([]string, error) {
	dir, err := openInside(root, name, unix.O_DIRECTORY)
	if err != nil {
		return nil, gone(err)
	}
	defer dir.Close()
	names, err := dir.Readdirnames(limit)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, gone(err)
	}
	if len(names) == limit {
		return names, fmt.Errorf("directory %s of the machine has more than %d names", name, limit)
	}
	return names, nil
}

// gone lets go of what was taken away meanwhile.
func gone(err error) error {
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	return err
}
