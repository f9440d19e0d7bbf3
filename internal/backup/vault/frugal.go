package vault

import (
	"os"
	"syscall"
)

// What backups leave free of the disk, which the etcds of the clusters share:
// a twentieth of it, or reserveBytes if that is less.
const (
	reserveBytes = 1 << 30
	reservePart  = 20
	// lookEvery is after how many bytes the disk is looked at again.
	lookEvery = 16 << 20
)

// frugal writes to a file as long as the disk keeps its reserve.
type frugal struct {
	file *os.File
	left int
}

// Write implements io.Writer. It fails with ENOSPC before the disk is full.
func (f *frugal) Write(data []byte) (int, error) {
	if f.left -= len(data); f.left < 0 {
		var disk syscall.Statfs_t
		if err := syscall.Fstatfs(int(f.file.Fd()), &disk); err != nil {
			return 0, err
		}
		block := uint64(disk.Bsize)
		if free := disk.Bavail * block; free < min(reserveBytes, disk.Blocks*block/reservePart)+uint64(len(data)) {
			return 0, syscall.ENOSPC
		}
		f.left = lookEvery
	}
	return f.file.Write(data)
}
