package release

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// syncFileSystem forces everything on dir's file system to the disk: one call
// for the thousands of files of a root file system.
func syncFileSystem(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer opened.Close()
	if err := unix.Syncfs(int(opened.Fd())); err != nil {
		return fmt.Errorf("forcing %s to the disk: %w", dir, err)
	}
	return nil
}

// syncDir forces the names in dir to the disk.
func syncDir(dir string) error {
	opened, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer opened.Close()
	if err := opened.Sync(); err != nil {
		return fmt.Errorf("forcing %s to the disk: %w", dir, err)
	}
	return nil
}
