package machine

import "context"

// Disk is a disk as it should be.
type Disk struct {
	// ID is the disk's incarnation; it names everything that is made of it.
	ID string
	// SizeGiB only grows.
	SizeGiB int
	// MachineID is the machine that it is to be in; empty: in none.
	MachineID string
}

// DiskStatus is a disk as observed.
type DiskStatus struct {
	// SizeGiB is the size of its file system. One that is in no machine grows
	// when it next comes into one, before anyone sees it.
	SizeGiB int
	// MachineID is the machine that it is in, or that may still use it.
	MachineID string
	// Mounted is true if the disk can be used in that machine.
	Mounted bool
	// Message says what it waits for.
	Message string
}

// Disks keeps the disks of volumes on this host. In a machine a disk appears as
// a file system at DiskDir/<id>; it is in one machine at a time, and its size is
// what the file system holds it to.
//
// Every method is idempotent and may be killed after any line; calling it again
// heals. None waits for a machine.
type Disks interface {
	// EnsureDisk makes the disk, makes it grow, and brings it into its machine or
	// out of one. A machine that started anew gets it again.
	EnsureDisk(ctx context.Context, desired Disk) (DiskStatus, error)
	// DeleteDisk takes the disk out of its machine and removes it. It returns
	// ErrInProgress until nothing is left, and nil for an id that it does not know.
	DeleteDisk(ctx context.Context, id string) error
	// ListDisks names every disk of this instance of which anything is left.
	ListDisks(ctx context.Context) ([]string, error)
}

// DiskDir is where disks appear in a machine.
const DiskDir = "/var/lib/berth/disks"
