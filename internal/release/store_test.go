package release

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fill publishes empty stand-ins for all parts of a release.
func fill(t *testing.T, store *Store, version string) entries {
	t.Helper()
	tools, err := store.toolchain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := parts(version)
	entries := newEntries(all, tools.version)
	for _, part := range all {
		var names []string
		switch recipe := part.recipe.(type) {
		case goModule:
			for _, program := range recipe.Programs {
				names = append(names, program.Names...)
			}
		case nodeImage:
			names = []string{"../" + rootDir + "/bin/sh"}
		}
		output := filepath.Join(t.TempDir(), "output")
		if err := os.MkdirAll(filepath.Join(output, rootDir, "bin"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(output, binDir), 0o755); err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			if err := os.WriteFile(filepath.Join(output, binDir, name), []byte(name), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		if err := publish(output, store.path("parts", entries.name(part.name)), manifest{Name: part.name}); err != nil {
			t.Fatal(err)
		}
	}
	return entries
}

func TestLookupFindsAReleaseOnlyWhenAllOfItIsThere(t *testing.T) {
	store := newStore(t)
	if _, ok := store.Lookup("1.35.4"); ok {
		t.Fatal("found a release in an empty cache")
	}
	entries := fill(t, store, "1.35.4")
	found, ok := store.Lookup("1.35")
	if !ok {
		t.Fatalf("did not find the release; missing: %v", store.Missing("1.35"))
	}
	for _, name := range []string{
		"kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
		"etcd", "containerd", "containerd-shim-runc-v2", "ctr", "runc", "proxy-server", "proxy-agent", "coredns", "disk-plugin",
	} {
		if info, err := os.Stat(found.Binaries[name]); err != nil || info.IsDir() || filepath.Base(found.Binaries[name]) != name {
			t.Errorf("%s is %q: %v", name, found.Binaries[name], err)
		}
	}
	for _, name := range []string{"ptp", "host-local", "portmap", "loopback", "bridge", "bandwidth"} {
		if _, err := os.Stat(filepath.Join(found.CNI, name)); err != nil {
			t.Errorf("the plugin %s: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(found.NodeImage, "bin", "sh")); err != nil {
		t.Errorf("the node image: %v", err)
	}
	if len(found.ImageArchives) != 5 || len(found.Images) != 5 || found.NodeImageName != NodeImageName || found.Version != "1.35.4" {
		t.Errorf("found %+v", found)
	}
	if err := os.Remove(store.path("parts", entries.name("etcd"), binDir, "etcd")); err != nil {
		t.Fatal(err)
	}
	if _, ok := store.Lookup("1.35.4"); ok {
		t.Error("found a release without its etcd")
	}
	if missing := store.Missing("1.35.4"); !slices.Equal(missing, []string{"etcd v3.6.8 (damaged: bin/etcd is not there)"}) {
		t.Errorf("missing: %v", missing)
	}
}

func TestBuildOfACompleteReleaseNeedsNothing(t *testing.T) {
	store := newStore(t)
	fill(t, store, "1.36.3")
	if _, err := store.Build(t.Context(), "1.36", func(p Progress) { t.Errorf("built %+v", p) }); err != nil {
		t.Error(err)
	}
}

func TestBuildRefusesAVersionThatIsNotInTheCatalog(t *testing.T) {
	if _, err := newStore(t).Build(t.Context(), "1.2.3", nil); !errors.Is(err, ErrUnknownVersion) {
		t.Errorf("Build said %v", err)
	}
}

func TestVerifyNamesTheFileThatChanged(t *testing.T) {
	store := newStore(t)
	entries := fill(t, store, "1.35.4")
	if err := store.Verify("1.35.4"); err != nil {
		t.Fatal(err)
	}
	shell := store.path("parts", entries.name(partNodeImage), rootDir, "bin", "sh")
	if err := os.WriteFile(shell, []byte("something else"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := store.Verify("1.35.4"); err == nil || !strings.Contains(err.Error(), "rootfs/bin/sh") {
		t.Errorf("Verify said %v", err)
	}
	if err := os.Remove(shell); err != nil {
		t.Fatal(err)
	}
	if err := store.Verify("1.35.4"); err == nil {
		t.Error("Verify missed a file that is gone")
	}
}

func TestWithoutGoTheNewestRecordedToolchainComesFirst(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"etcd-v3.6.8-0123-go1.26.8", "runc-v1.5.2-4567-go1.26.8", "etcd-v3.6.8-89ab-go1.26.10", "pause-cdef"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if found := recordedGoVersions(dir); !slices.Equal(found, []string{"go1.26.10", "go1.26.8"}) {
		t.Errorf("found %v", found)
	}
}
