package sandbox

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"berth.dev/berth/internal/machine"
)

const podsDir = "/var/lib/kubelet/pods"

// volumeDir makes a volume of a pod, as plugin/name, as a kubelet does: files in a
// directory to which a link leads.
func volumeDir(t *testing.T, root, pod, volume string, files map[string]string) string {
	t.Helper()
	dir := filepath.Join(root, podsDir, pod, "volumes", volume)
	for name, content := range files {
		file := filepath.Join(dir, "..2026_01_01", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	link(t, "..2026_01_01", filepath.Join(dir, currentData))
	return dir
}

func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name); err != nil {
		t.Fatal(err)
	}
}

// readProjected reads the volumes below a directory; by pod and volume.
func readProjected(t *testing.T, root string) (map[string]string, error) {
	t.Helper()
	fd, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	got := map[string]string{}
	err = projected(fd, podsDir, nil, func(file machine.Projected) { got[file.PodUID+"/"+file.Volume] += string(file.Content) })
	return got, err
}

func TestThePresentFilesOfVolumesAreRead(t *testing.T) {
	root := t.TempDir()
	if got, err := readProjected(t, root); err != nil || len(got) != 0 {
		t.Errorf("a machine without pods: %v, %v", got, err)
	}
	volumeDir(t, root, "a", "kubernetes.io~projected/access", map[string]string{"ca.crt": "bundle"})
	dir := volumeDir(t, root, "a", "kubernetes.io~configmap/deep", map[string]string{"x/y/ca.crt": "deep"})
	volumeDir(t, root, "b", "kubernetes.io~secret/secret", map[string]string{"token": "secret"})
	former := filepath.Join(dir, "..2025_01_01")
	if err := os.Mkdir(former, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(former, "ca.crt"), []byte("former"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, podsDir, "b", "volumes", "kubernetes.io~projected", "made"), 0o700); err != nil {
		t.Fatal(err)
	}
	got, err := readProjected(t, root)
	if want := map[string]string{"a/access": "bundle", "a/deep": "deep"}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
}

func TestNothingOutsideOfVolumesIsReadAsOne(t *testing.T) {
	root, outside := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(outside, "ca.crt"), []byte("the host's"), 0o600); err != nil {
		t.Fatal(err)
	}
	volumes := filepath.Join(root, podsDir, "a", "volumes", "kubernetes.io~projected")
	for _, volume := range []string{"far", "up"} {
		if err := os.MkdirAll(filepath.Join(volumes, volume), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	link(t, outside, filepath.Join(volumes, "far", currentData))
	link(t, "..", filepath.Join(volumes, "up", currentData))
	link(t, outside, filepath.Join(volumes, "linked"))
	good := volumeDir(t, root, "b", "kubernetes.io~configmap/good", map[string]string{"ca.crt": "bundle"})
	link(t, filepath.Join(outside, "ca.crt"), filepath.Join(good, "..2026_01_01", "link"))
	if err := unix.Mkfifo(filepath.Join(good, "..2026_01_01", "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := readProjected(t, root)
	if len(got) != 1 || got["b/good"] != "bundle" {
		t.Errorf("got %v", got)
	}
	for _, name := range []string{"far", "up", "linked"} {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("volume %s is not complained about: %v", name, err)
		}
	}
}
