package image

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func TestATreeKeepsFilesLinksAndPermissionsAndLeavesPipesOut(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "tmp"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dir, "tmp"), 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "bin/tool"), []byte("x"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("tool", filepath.Join(dir, "bin/other")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	got, err := Tree(dir)
	if err != nil {
		t.Fatal(err)
	}
	want := []File{
		{Path: "bin", Directory: true, Mode: 0o755},
		{Path: "bin/other", Link: "tool"},
		{Path: "bin/tool", Source: filepath.Join(dir, "bin/tool"), Mode: 0o750},
		{Path: "tmp", Directory: true, Mode: 0o1777},
	}
	if !slices.Equal(got, want) {
		t.Errorf("the tree is %+v", got)
	}
}
