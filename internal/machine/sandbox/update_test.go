package sandbox

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
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

func TestOnlyAFileThatIsReadLaterBringsChangedComponents(t *testing.T) {
	known := map[string]machine.File{
		"/config": {Mode: 0o644, Content: []byte("one")}, // as recorded before files told when they are read
		"/token":  {Mode: 0o600, Content: []byte("one")},
	}
	for _, c := range []struct {
		name    string
		desired map[string]machine.File
		changed []string
		read    bool
	}{
		{"nothing", map[string]machine.File{"/config": {Mode: 0o644, Content: []byte("one"), AtStart: true}, "/token": known["/token"]}, nil, false},
		{"a configuration", map[string]machine.File{"/config": {Mode: 0o644, Content: []byte("two"), AtStart: true}, "/token": known["/token"]}, []string{"/config"}, false},
		{"a mode", map[string]machine.File{"/token": {Mode: 0o640, Content: []byte("one")}}, []string{"/token"}, true},
		{"a new file", map[string]machine.File{"/key": {Mode: 0o600}}, []string{"/key"}, true},
		{"both", map[string]machine.File{"/config": {Mode: 0o644, AtStart: true}, "/token": {Mode: 0o600}}, []string{"/config", "/token"}, true},
	} {
		changed, read := changedFiles(known, c.desired)
		if got := slices.Sorted(maps.Keys(changed)); !slices.Equal(got, c.changed) || read != c.read {
			t.Errorf("%s: %q changed, read %v", c.name, got, read)
		}
	}
}
