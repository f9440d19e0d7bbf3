//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/home"
)

// TestAHomeThatCannotBeUsedIsRefusedInOneLineAndStaysAsItIs starts the service
// on homes that are not fit to be one.
func TestAHomeThatCannotBeUsedIsRefusedInOneLineAndStaysAsItIs(t *testing.T) {
	for name, try := range map[string]struct {
		spoil func(t *testing.T, dir string)
		want  string
	}{
		"of a newer version":        {func(t *testing.T, dir string) { put(t, dir+"/version", "99\n") }, `layout version "99"`},
		"without its version":       {func(t *testing.T, dir string) { remove(t, dir+"/version") }, "lost its file version"},
		"without its instance":      {func(t *testing.T, dir string) { remove(t, dir+"/instance") }, "holds no install"},
		"without its clusters' API": {func(t *testing.T, dir string) { remove(t, dir+"/management") }, "half deleted"},
		"without its identity":      {func(t *testing.T, dir string) { remove(t, dir+"/identity") }, "half deleted"},
		"that others may write to":  {func(t *testing.T, dir string) { mode(t, dir, 0o777) }, "chmod go-w"},
		"of another user": {func(t *testing.T, dir string) {
			if err := os.Chown(dir, 12345, 12345); err != nil {
				t.Fatal(err)
			}
		}, "chown root"},
		"that is a file":       {func(t *testing.T, dir string) { remove(t, dir); put(t, dir, "") }, "not a directory"},
		"that nobody may pass": {func(t *testing.T, dir string) { mode(t, filepath.Dir(dir), 0o700) }, "chmod o+x"},
		"on a full disk": {func(t *testing.T, dir string) {
			if err := unix.Mount("berth-test", dir, "tmpfs", 0, "size=64k,mode=711"); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
		}, "no space left"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := wholeHome(t)
			try.spoil(t, dir)
			before := listing(t, dir)
			said := refusedUp(t, dir, "up")
			preflight := strings.Contains(said, "cannot run Berth as it is") // its screen names all that is wrong at once
			if !strings.Contains(said, try.want) || strings.Count(said, "\n") > 1 && !preflight {
				t.Errorf("it says %q, want one line with %q", said, try.want)
			}
			if after := listing(t, dir); before != after && name != "on a full disk" {
				t.Errorf("the home changed from\n%s\nto\n%s", before, after)
			}
		})
	}
	t.Run("that a service has", func(t *testing.T) {
		before, err := service.status()
		if err != nil {
			t.Fatal(err)
		}
		if said := refusedUp(t, service.home, "up"); !strings.Contains(said, "in use") {
			t.Errorf("it says %q", said)
		}
		if after, err := service.status(); err != nil || before != after {
			t.Errorf("the service was %+v and is %+v, %v", before, after, err)
		}
	})
}

// wholeHome makes a home that looks as if clusters lived in it.
func wholeHome(t *testing.T) string {
	t.Helper()
	parent, err := os.MkdirTemp("", "berth-homes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	mode(t, parent, 0o711)
	h, err := home.Create(filepath.Join(parent, "home"), func(string) bool { return false })
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{h.ManagementData(), h.ControlPlanesDir() + "/abcdefghij"} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put(t, h.CloudFile(), "{}")
	return h.Dir
}

// refusedUp starts a service on a home, which has to fail, and returns what it
// said without the lines of its log.
func refusedUp(t *testing.T, dir string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	command := (&install{program: service.program, home: dir}).command(ctx, arguments...)
	said, err := command.CombinedOutput()
	if err == nil || ctx.Err() != nil {
		t.Fatalf("berth %s was not refused: %v\n%s", strings.Join(arguments, " "), ctx.Err(), said)
	}
	var own []string
	for line := range strings.Lines(string(said)) {
		if !strings.HasPrefix(line, "time=") {
			own = append(own, line)
		}
	}
	return strings.TrimSpace(strings.Join(own, ""))
}

// listing is every file of a directory with its mode, owner and size.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var info unix.Stat_t
		if err := unix.Lstat(path, &info); err != nil {
			return err
		}
		lines = append(lines, fmt.Sprintf("%s %o %d %d %d", path, info.Mode, info.Uid, info.Size, info.Mtim.Nano()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func mode(t *testing.T, path string, mode fs.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
