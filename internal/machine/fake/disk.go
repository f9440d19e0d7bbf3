package fake

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"berth.dev/berth/internal/machine"
)

// Disks are disks without files.
type Disks struct {
	mutex sync.Mutex
	made  map[string]machine.Disk
	// Down are the machines that do not run.
	Down map[string]bool
	// Full makes every new disk fail for want of room.
	Full bool
}

var _ machine.Disks = (*Disks)(nil)

// EnsureDisk makes the disk be as desired at once.
func (d *Disks) EnsureDisk(_ context.Context, desired machine.Disk) (machine.DiskStatus, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.Full {
		return machine.DiskStatus{}, errors.Join(machine.ErrNoCapacity, errors.New("no space left"))
	}
	if d.made == nil {
		d.made = map[string]machine.Disk{}
	}
	d.made[desired.ID] = desired
	status := machine.DiskStatus{SizeGiB: desired.SizeGiB, MachineID: desired.MachineID, Mounted: desired.MachineID != ""}
	if d.Down[desired.MachineID] {
		status.Mounted, status.Message = false, "waiting for the machine to run"
	}
	return status, nil
}

// DeleteDisk removes a disk.
func (d *Disks) DeleteDisk(_ context.Context, id string) error {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	delete(d.made, id)
	return nil
}

// ListDisks names all disks.
func (d *Disks) ListDisks(context.Context) ([]string, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return slices.Sorted(maps.Keys(d.made)), nil
}
