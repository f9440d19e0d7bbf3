//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAnUpgradeToAReleaseThatCannotStartIsTakenBackAndCompletesOnceItCan gives
// the service a cache of its own, in which the newer release is broken.
func TestAnUpgradeToAReleaseThatCannotStartIsTakenBackAndCompletesOnceItCan(t *testing.T) {
	if !soak() {
		t.Skip("a long form, which waits until the service gives up: make soak")
	}
	cache := privateCache(t)
	c := newCluster(t, "broken", "-c", "1", "-s", "Standard_B2s", "--kubernetes-version", "1.35.4")
	t.Cleanup(func() { // before the cache goes
		if err := os.Unsetenv("BERTH_CACHE"); err != nil {
			t.Error(err)
		}
		must(t, "restart")
	})
	if err := os.Setenv("BERTH_CACHE", cache); err != nil { //nolint:usetesting // it ends before the other cleanups
		t.Fatal(err)
	}
	must(t, "restart") // every path changes, etcd's too: what runs is replaced
	runsFrom(t, cache)
	mend := breakRelease(t, cache, "1.36.3")
	raw := c.rawStart(t)
	w := startWriter(t, c)

	upgrade := []string{"aks", "upgrade", "-g", c.group, "-n", c.name, "-k", "1.36.3", "--control-plane-only", "--yes"}
	began := time.Now()
	if message := refused(t, upgrade...); !strings.Contains(message, "ControlPlaneUpgradeRolledBack") {
		t.Errorf("it ends with %q", message)
	}
	t.Logf("taken back after %v", time.Since(began).Round(time.Second))
	c.agrees(t, "1.35.4", "1.35", "1.35.4", false)
	c.runs(t, "1.35.4", 1)

	mend()
	must(t, upgrade...)
	c.agrees(t, "1.36.3", "1.35", "1.35.4", true)
	w.stop(t)
	w.hardlyAway(t, raw) // the server before serves until its successor can
}

// runsFrom waits until all of a control plane's processes are programs below a directory.
func runsFrom(t *testing.T, dir string) {
	t.Helper()
	elsewhere := "none looked at"
	for deadline := time.Now().Add(90 * time.Second); time.Now().Before(deadline); time.Sleep(200 * time.Millisecond) {
		elsewhere = ""
		for _, p := range processes(t) {
			program, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.pid))
			if err == nil && p.place() == "cp" && !strings.HasPrefix(p.name(), "berth-supervisor") && !strings.HasPrefix(program, dir) {
				elsewhere = program
			}
		}
		if elsewhere == "" {
			return
		}
	}
	t.Fatalf("%s still runs, which is not below %s", elsewhere, dir)
}

// privateCache is a copy of the cache that may be spoiled.
func privateCache(t *testing.T) string {
	t.Helper()
	kubectl, err := filepath.EvalSymlinks(service.kubectl)
	if err != nil {
		t.Fatal(err)
	}
	shared := filepath.Join(kubectl, "../../../..") // <cache>/parts/<release>/bin/kubectl
	dir, err := os.MkdirTemp("", "berth-cache-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	mode(t, dir, 0o711)
	for _, links := range []string{"-al", "-a"} { // links do not reach another file system
		if err = exec.CommandContext(t.Context(), "cp", links, filepath.Join(shared, "parts"), dir).Run(); err == nil {
			return dir
		}
	}
	t.Fatal(err)
	return ""
}

// breakRelease puts a program that ends at once in the place of a release's API
// server, of the same size, so that nobody notices before it starts.
func breakRelease(t *testing.T, cache, version string) (mend func()) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cache, "parts", "kubernetes-v"+version+"-*", "bin", "kube-apiserver"))
	if err != nil || len(found) != 1 {
		t.Fatalf("the release's API server: %v, %v", found, err)
	}
	info, err := os.Stat(found[0])
	if err != nil {
		t.Fatal(err)
	}
	whole := found[0] + ".whole"
	if err := os.Rename(found[0], whole); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(found[0], []byte("#!/bin/sh\nexit 1\n"), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	if err := os.Truncate(found[0], info.Size()); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := os.Rename(whole, found[0]); err != nil {
			t.Fatal(err)
		}
	}
}
