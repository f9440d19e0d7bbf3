package sandbox

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine"
)

func TestAFileOfAMachineIsReplacedAndNothingThatItLeadsTo(t *testing.T) {
	dir := t.TempDir()
	outside, root := filepath.Join(dir, "outside"), filepath.Join(dir, "root")
	for _, path := range []string{outside, filepath.Join(root, "pki")} {
		if err := os.MkdirAll(path, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	victim := filepath.Join(outside, "ca.crt")
	if err := os.WriteFile(victim, []byte("the host's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(root, "pki", "ca.crt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(root, "link")); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	file := machine.File{Mode: 0o640, Content: []byte("new")}
	if err := replaceInside(fd, "/pki/ca.crt", file, os.Getuid()); err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(filepath.Join(root, "pki", "ca.crt"))
	if err != nil || !info.Mode().IsRegular() || info.Mode().Perm() != 0o640 {
		t.Errorf("what is there now: %v, %v", info, err)
	}
	if err := replaceInside(fd, "/link/ca.crt", file, os.Getuid()); err == nil {
		t.Error("a link out of the machine was followed")
	}
	if got, err := os.ReadFile(victim); err != nil || string(got) != "the host's" {
		t.Errorf("the host's file is %q, %v", got, err)
	}
	entries, err := os.ReadDir(filepath.Join(root, "pki"))
	if err != nil || len(entries) != 1 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}
