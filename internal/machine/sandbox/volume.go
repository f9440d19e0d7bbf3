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

	"berth.dev/berth/internal/home"
	"berth.dev/berth/internal/machine"
)

// The files of a disk of a volume.
//
//	<home>/disks/<id>/lock     held while the disk is worked on
//	<home>/disks/<id>/data     the disk, a sparse file with XFS, complete once it has this name
//	<home>/disks/<id>/machine  the machine that it is brought into, stored before it is
//
// The mount and the loop device live and die with the machine's processes.
const (
	volumeFile = "data"
	holderFile = "machine"
)

var _ machine.Disks = (*Provider)(nil)

// EnsureDisk makes the disk be as desired.
func (p *Provider) EnsureDisk(ctx context.Context, desired machine.Disk) (machine.DiskStatus, error) {
	if err := checkID(desired.ID); err != nil {
		return machine.DiskStatus{}, err
	}
	dir := p.volumeDir(desired.ID)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return machine.DiskStatus{}, fmt.Errorf("making the disk's directory: %w", err)
	}
	lock, err := tryLock(dir)
	if errors.Is(err, errLocked) {
		return machine.DiskStatus{Message: "the disk is being worked on"}, nil
	}
	if err != nil {
		return machine.DiskStatus{}, err
	}
	defer lock.Close()
	if err := ensureVolume(ctx, dir, desired.SizeGiB); err != nil {
		return machine.DiskStatus{}, fmt.Errorf("making disk %s of %d GiB: %w", desired.ID, desired.SizeGiB, err)
	}
	holder, err := readHolder(dir)
	if err != nil {
		return machine.DiskStatus{}, err
	}
	if holder != "" && holder != desired.MachineID {
		free, err := p.release(ctx, desired.ID, holder)
		if err != nil || !free {
			return machine.DiskStatus{MachineID: holder, Message: "waiting for machine " + holder + " to let go of it"}, err
		}
	}
	if desired.MachineID == "" {
		return machine.DiskStatus{SizeGiB: desired.SizeGiB}, nil
	}
	if err := home.WriteFile(filepath.Join(dir, holderFile), []byte(desired.MachineID), 0o600); err != nil {
		return machine.DiskStatus{}, err
	}
	return p.bring(ctx, desired)
}

// bring mounts the disk in its machine unless it is there, and makes its file
// system as large as its file.
func (p *Provider) bring(ctx context.Context, desired machine.Disk) (machine.DiskStatus, error) {
	status := machine.DiskStatus{MachineID: desired.MachineID}
	first, err := p.firstProcess(desired.MachineID)
	if err != nil {
		return status, err
	}
	if first == 0 {
		status.Message = "waiting for machine " + desired.MachineID + " to run"
		return status, nil
	}
	data := filepath.Join(p.volumeDir(desired.ID), volumeFile)
	found, err := findMount(first, desired.ID)
	if err != nil {
		return status, err
	}
	if found == nil {
		if attached, err := diskAttached(data); err != nil || attached {
			status.Message = "waiting for the disk to be let go of"
			return status, err
		}
		if err := p.enter(ctx, desired.MachineID, first, "mount", data, desired.ID); err != nil {
			return status, fmt.Errorf("bringing disk %s into machine %s: %w", desired.ID, desired.MachineID, err)
		}
		if found, err = findMount(first, desired.ID); err != nil || found == nil {
			return status, errors.Join(err, fmt.Errorf("disk %s is not where it was mounted", desired.ID))
		}
	}
	if err := found.grow(first, int64(desired.SizeGiB)<<30); err != nil {
		return status, fmt.Errorf("growing disk %s: %w", desired.ID, err)
	}
	status.SizeGiB, status.Mounted = desired.SizeGiB, true
	return status, nil
}

// release takes the disk out of a machine; true once nobody uses it.
func (p *Provider) release(ctx context.Context, id, holder string) (free bool, err error) {
	first, err := p.firstProcess(holder)
	if err != nil {
		return false, err
	}
	if first != 0 {
		found, err := findMount(first, id)
		if err != nil {
			return false, err
		}
		if found != nil {
			if err := p.enter(ctx, holder, first, "unmount", id); err != nil {
				return false, fmt.Errorf("taking disk %s out of machine %s: %w", id, holder, err)
			}
		}
	}
	dir := p.volumeDir(id)
	attached, err := diskAttached(filepath.Join(dir, volumeFile))
	if err != nil || attached {
		return false, err
	}
	return true, os.Remove(filepath.Join(dir, holderFile))
}

// enter runs a step in the mounts of a machine.
func (p *Provider) enter(ctx context.Context, id string, first int, step ...string) error {
	var namespaces []*os.File
	for _, name := range []string{"mnt", "user"} {
		namespace, err := os.Open(fmt.Sprintf("/proc/%d/ns/%s", first, name))
		if err != nil {
			return err
		}
		defer namespace.Close()
		namespaces = append(namespaces, namespace)
	}
	// What was opened is the machine's if its first process still is the same.
	if now, err := p.firstProcess(id); err != nil || now != first {
		return errors.Join(err, errors.New("the machine has just ended"))
	}
	command := exec.CommandContext(ctx, p.options.Supervisor, append([]string{"machine"}, step...)...)
	command.Env = []string{}
	command.Dir = "/"
	command.ExtraFiles = namespaces
	if said, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}

// DeleteDisk removes a disk.
func (p *Provider) DeleteDisk(ctx context.Context, id string) error {
	if err := checkID(id); err != nil {
		return err
	}
	dir := p.volumeDir(id)
	lock, err := tryLock(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, errLocked):
		return fmt.Errorf("disk %s is being worked on: %w", id, machine.ErrInProgress)
	case err != nil:
		return err
	}
	defer lock.Close()
	holder, err := readHolder(dir)
	if err != nil {
		return err
	}
	if holder != "" {
		if free, err := p.release(ctx, id, holder); err != nil || !free {
			return errors.Join(err, fmt.Errorf("machine %s has disk %s: %w", holder, id, machine.ErrInProgress))
		}
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing disk %s: %w", id, err)
	}
	return nil
}

// ListDisks names every disk of which anything is left.
func (p *Provider) ListDisks(context.Context) ([]string, error) {
	entries, err := os.ReadDir(p.options.Home.DisksDir())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing disks: %w", err)
	}
	var ids []string
	for _, entry := range entries {
		if entry.IsDir() {
			ids = append(ids, entry.Name())
		}
	}
	return ids, nil
}

func (p *Provider) volumeDir(id string) string { return filepath.Join(p.options.Home.DisksDir(), id) }

// readHolder is the machine that a disk is, or may be, in.
func readHolder(dir string) (string, error) {
	content, err := os.ReadFile(filepath.Join(dir, holderFile))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("reading where the disk is: %w", err)
	}
	return string(content), checkID(string(content))
}

// ensureVolume makes the file with an empty file system, and makes a file that is
// too small as long as it is to be.
func ensureVolume(ctx context.Context, dir string, sizeGiB int) error {
	path, size := filepath.Join(dir, volumeFile), int64(sizeGiB)<<30
	info, err := os.Stat(path)
	switch {
	case err == nil && info.Size() >= size:
		return nil
	case err == nil:
		return tooLarge(os.Truncate(path, size))
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.WriteFile(path+".new", nil, 0o600); err != nil {
		return tooLarge(err)
	}
	if err := tooLarge(os.Truncate(path+".new", size)); err != nil {
		return err
	}
	// XFS: it grows while it is mounted without a right that containers lack
	// (ext4 asks for CAP_SYS_RESOURCE), and begins without a directory of its own.
	command := exec.CommandContext(ctx, "mkfs.xfs", "-q", "-f", "-K", "-L", "berth", path+".new")
	command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	if output, err := command.CombinedOutput(); errors.Is(err, exec.ErrNotFound) {
		return fmt.Errorf("%w: the host lacks mkfs.xfs: apt-get install -y xfsprogs", machine.ErrNoCapacity)
	} else if err != nil {
		return fmt.Errorf("formatting: %w: %s", err, strings.TrimSpace(string(output)))
	}
	return os.Rename(path+".new", path)
}

// tooLarge tells what the host's disk cannot hold from other errors.
func tooLarge(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EFBIG) || errors.Is(err, unix.EDQUOT) {
		return fmt.Errorf("%w: %w", machine.ErrNoCapacity, err)
	}
	return err
}

// place is where a disk appears in a machine.
func place(id string) string { return filepath.Join(machine.DiskDir, id) }
