//go:build e2e

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// smallDisk is room for an install with one node, and little more.
const smallDisk = 2 << 30

// TestAFullDiskUnderEtcdLosesNoAcknowledgedWrite fills the file system that a
// home lies on: the cluster never says that it wrote what it did not, the service
// answers or says that it cannot, and both go on once there is room, without anybody's help.
func TestAFullDiskUnderEtcdLosesNoAcknowledgedWrite(t *testing.T) {
	if !soak() {
		t.Skip("a part of make soak")
	}
	i := installOnSmallDisk(t)
	i.must(t, "group", "create", "-n", "rg-full")
	i.must(t, "aks", "create", "-g", "rg-full", "-n", "full", "-c", "1", "-s", "Standard_B2s")
	c := &cluster{group: "rg-full", name: "full", kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	i.must(t, "aks", "get-credentials", "--admin", "-g", c.group, "-n", c.name, "-f", c.kubeconfig)

	w := startLargeWriter(t, c)
	for w.written.Load() < 20 { // so that there is something to lose
		time.Sleep(50 * time.Millisecond)
	}
	filled := fillHost(t, filepath.Dir(i.home))
	for deadline := time.Now().Add(time.Minute); w.refused.Load() < 5; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the cluster took every write on a full disk")
		}
	}
	// The service's own store lies on that disk, too.
	if said, err := i.berth("aks", "show", "-g", c.group, "-n", c.name); err != nil && !strings.Contains(err.Error(), "Repeat the request") {
		t.Errorf("%v\n%s", err, said)
	}
	if err := os.Remove(filled); err != nil {
		t.Fatal(err)
	}
	c.eventually(t, time.Minute, notEmpty, "create", "configmap", "after", "-o", "name")
	w.stop(t)
	i.must(t, "aks", "nodepool", "update", "-g", c.group, "--cluster-name", c.name, "-n", "nodepool1", "--labels", "after=full")
	c.eventually(t, 30*time.Second, notEmpty, "get", "nodes", "-l", "after=full", "-o", "name")
	i.must(t, "group", "delete", "-n", c.group, "--yes")
}

// installOnSmallDisk starts a service on a file system of its own.
func installOnSmallDisk(t *testing.T) *install {
	t.Helper()
	dir, err := os.MkdirTemp("", "berth-full-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	image, place := filepath.Join(dir, "disk"), filepath.Join(dir, "place")
	mode(t, dir, 0o711)
	if err := errors.Join(os.WriteFile(image, nil, 0o600), os.Truncate(image, smallDisk), os.Mkdir(place, 0o711)); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"mkfs.ext4", "-q", image}, {"mount", "-o", "loop", image, place}} {
		if said, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %v\n%s", command, err, said)
		}
	}
	t.Cleanup(func() {
		if err := unix.Unmount(place, 0); err != nil {
			t.Error(err)
		}
	})
	i := newInstall(t, service.program, filepath.Join(place, "home"))
	i.must(t, "up", "--detach")
	return i
}

// fillHost takes the last block of a file system, and returns the file that has it.
func fillHost(t *testing.T, place string) string {
	t.Helper()
	file, err := os.Create(filepath.Join(place, "filler"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 1<<20)
	for len(block) > 0 {
		_, err := file.Write(block)
		switch {
		case errors.Is(err, unix.ENOSPC):
			block = block[:len(block)/2]
		case err != nil:
			t.Fatal(err)
		}
	}
	return file.Name()
}
