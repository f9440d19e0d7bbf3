// Package inside owns what happens between the host and a sandbox machine's
// first component: the launcher that builds the machine's mounts on the host's
// side, and the machine's first process, which moves into them. It runs as
// `berth-supervisor machine …`, never in the daemon, and must not know
// Kubernetes; the binary has to stay small, because one runs in every machine.
//
// A start goes through two processes of the same binary:
//
//	launch  a child of the daemon, in a mount namespace of its own, so that no
//	        mount appears on the host: joins the machine's cgroup, attaches the
//	        disk, lays the writable layer over the node image, starts boot, and ends.
//	boot    the machine's first process, in new user, mount, pid, uts, ipc,
//	        cgroup and, last, network namespaces: pivots into the machine's root,
//	        mounts what a machine has, and becomes the supervisor of its components.
//
// Once boot lives, its mount namespace is the only holder of the mounts and
// through them of the loop device: when the last process of the machine ends,
// the kernel takes all of it down.
package inside

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"berth.dev/berth/internal/machine"
)

// The files in a machine's directory on the host.
const (
	// RecordFile holds the Record. It contains secrets: mode 0600.
	RecordFile = "machine.json"
	// DiskFile is the machine's disk, a sparse file with a file system.
	DiskFile = "disk"
	// StagingDir is where the launcher builds the mounts; empty on the host.
	StagingDir = "staging"
)

// The places in a machine.
const (
	// SuperviseDir is the directory of the components' supervisor.
	SuperviseDir = "/var/lib/berth/supervise"
	// ProgramDir holds the programs of Desired.Binaries.
	ProgramDir = "/opt/berth/bin"
	// ImageDir holds the archives of Desired.ImageArchives.
	ImageDir = "/opt/berth/images"
	// CNIDir holds the CNI plugins.
	CNIDir = "/opt/cni/bin"
	// ConsoleFile has the output of the machine's first processes.
	ConsoleFile = "/var/log/berth/console.log"
	// reportDir has the files that stand in for the kernel's own.
	reportDir = "/run/berth/report"
)

// IDRangeLength is the number of ids in a machine's user namespace.
const IDRangeLength = 65536

// Record is everything that a start of a machine needs.
type Record struct {
	// Desired is the machine.
	Desired machine.Desired
	// Cgroup is the name of the group to join; it exists and belongs to the
	// machine's root.
	Cgroup string
}

// ReadRecord reads the record in a machine's directory.
func ReadRecord(dir string) (Record, error) {
	data, err := os.ReadFile(filepath.Join(dir, RecordFile))
	if err != nil {
		return Record{}, fmt.Errorf("reading the machine's record: %w", err)
	}
	var record Record
	if err := json.Unmarshal(data, &record); err != nil {
		return Record{}, fmt.Errorf("decoding the machine's record: %w", err)
	}
	return record, nil
}

// Write stores the record in a machine's directory, whole or not at all.
func (r Record) Write(dir string) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding the machine's record: %w", err)
	}
	path := filepath.Join(dir, RecordFile)
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		return fmt.Errorf("writing the machine's record: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing the machine's record: %w", err)
	}
	return nil
}
