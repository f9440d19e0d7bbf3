//go:build e2e

package e2e

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
	cache, shared := privateCache(t)
	c := newCluster(t, "broken", "-c", "1", "-s", "Standard_B2s", "--kubernetes-version", "1.35.4")
	t.Cleanup(func() { must(t, "restart", "--cache-dir", shared) }) // before the cache goes: a restart keeps the options it had
	must(t, "restart", "--cache-dir", cache)                        // every path changes, etcd's too: what runs is replaced
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
			at := program(p)
			if at != "" && p.place() == "cp" && !strings.HasPrefix(p.name(), "berth-supervisor") && !strings.HasPrefix(at, dir) {
				elsewhere = at
			}
		}
		if elsewhere == "" {
			return
		}
	}
	t.Fatalf("%s still runs, which is not below %s", elsewhere, dir)
}

// program is the file that a process runs, "" if it has ended.
func program(p process) string {
	at, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", p.pid))
	if err != nil {
		return ""
	}
	return at
}

// privateCache is a copy of the shared cache that may be spoiled.
func privateCache(t *testing.T) (dir, shared string) {
	t.Helper()
	kubectl, err := filepath.EvalSymlinks(service.kubectl)
	if err != nil {
		t.Fatal(err)
	}
	shared = filepath.Join(kubectl, "../../../..") // <cache>/parts/<release>/bin/kubectl
	dir, err = os.MkdirTemp("", "berth-cache-")
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
			return dir, shared
		}
	}
	t.Fatal(err)
	return "", ""
}

// breakRelease puts a program that ends at once in the place of a release's API
// server, as if it had been built so: of what is not as it was built the service
// makes a whole one again.
func breakRelease(t *testing.T, cache, version string) (mend func()) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cache, "parts", "kubernetes-v"+version+"-*"))
	if err != nil || len(found) == 0 { // more than one if a part of the release was built anew
		t.Fatalf("the release: %v, %v", found, err)
	}
	aside, err := os.MkdirTemp(cache, "whole-")
	if err != nil {
		t.Fatal(err)
	}
	whole := map[string]string{} // where each file is meanwhile, by where it belongs
	for _, entry := range found {
		program := filepath.Join(entry, "bin", "kube-apiserver")
		info, err := os.Stat(program)
		if err != nil {
			t.Fatal(err)
		}
		broken := append([]byte("#!/bin/sh\nexit 1\n"), make([]byte, info.Size())...)[:info.Size()]
		listing, err := os.ReadFile(filepath.Join(entry, "files.sha256"))
		if err != nil {
			t.Fatal(err)
		}
		about, err := os.ReadFile(filepath.Join(entry, "manifest.json"))
		if err != nil {
			t.Fatal(err)
		}
		changed := regexp.MustCompile(`(?m)^[0-9a-f]{64}(  bin/kube-apiserver)$`).ReplaceAll(listing, fmt.Appendf(nil, "%x$1", sha256.Sum256(broken)))
		for name, content := range map[string][]byte{
			"bin/kube-apiserver": broken, "files.sha256": changed,
			"manifest.json": bytes.Replace(about, fmt.Appendf(nil, "%x", sha256.Sum256(listing)), fmt.Appendf(nil, "%x", sha256.Sum256(changed)), 1),
		} {
			path := filepath.Join(entry, name)
			former, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			whole[path] = filepath.Join(aside, fmt.Sprint(len(whole)))
			if err := os.Rename(path, whole[path]); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, content, former.Mode()); err != nil { // a file of its own: the former may be a link to the shared cache's
				t.Fatal(err)
			}
		}
	}
	return func() {
		t.Helper()
		for path, kept := range whole {
			if err := os.Rename(kept, path); err != nil {
				t.Fatal(err)
			}
		}
	}
}
