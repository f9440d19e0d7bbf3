package sandbox

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine/sandbox/inside"
	"berth.dev/berth/internal/supervise"
)

func TestOnlyTheEndsOfRegularFilesAreReadAsLogs(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(dir, "outside")
	root := filepath.Join(dir, "root")
	logs := filepath.Join(root, inside.SuperviseDir, supervise.LogDir)
	if err := os.MkdirAll(logs, 0o700); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{
		outside:                             "the host's",
		filepath.Join(logs, "kubelet.log"):  strings.Repeat("x", 1000) + "the end",
		filepath.Join(logs, "small.log.1"):  "all",
		filepath.Join(logs, "token"):        "no log",
		filepath.Join(root, "inside-plain"): "inside",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(outside, filepath.Join(logs, "link.log")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(logs, "pipe.log"), 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	got, err := readLogs(fd, 7)
	if len(got) != 2 || string(got["kubelet.log"]) != "the end" || string(got["small.log.1"]) != "all" {
		t.Errorf("got %q", got)
	}
	for _, name := range []string{"link.log", "pipe.log"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not complained about: %v", name, err)
		}
	}
}
