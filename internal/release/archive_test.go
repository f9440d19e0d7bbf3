package release

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

// exported is an archive of the stand-ins of a version.
func exported(t *testing.T, versions ...string) []byte {
	t.Helper()
	store := newStore(t)
	for _, version := range versions {
		entries := fill(t, store, version)
		programs := store.path("parts", entries.name("kubernetes"), binDir)
		if err := errors.Join(os.Remove(filepath.Join(programs, "kube-proxy")), os.WriteFile(filepath.Join(programs, "kubelet"), []byte("kube-proxy"), 0o755)); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(filepath.Join(programs, "kubelet"), filepath.Join(programs, "kube-proxy")); err != nil {
			t.Fatal(err)
		}
		reseal(t, filepath.Dir(programs))
	}
	var archive bytes.Buffer
	if err := store.Export(t.Context(), versions, &archive, nil); err != nil {
		t.Fatal(err)
	}
	return archive.Bytes()
}

func TestAnExportedReleaseIsWholeOnAnotherMachine(t *testing.T) {
	archive := exported(t, "1.35.4", "1.36.3")
	store := newStore(t)
	for range 2 { // the second time all is there
		versions, err := store.Import(t.Context(), bytes.NewReader(archive), nil)
		if err != nil || strings.Join(versions, " ") != "1.35.4 1.36.3" {
			t.Fatalf("imported %q, %v", versions, err)
		}
	}
	for _, version := range []string{"1.35.4", "1.36.3"} {
		artifacts, ok := store.Lookup(version)
		if !ok {
			t.Fatalf("%s is not there; missing %q", version, store.Missing(version))
		}
		if err := store.Verify(version); err != nil {
			t.Error(err)
		}
		kubelet, kubeletErr := os.Stat(artifacts.Binaries["kubelet"])
		proxy, proxyErr := os.Stat(artifacts.Binaries["kube-proxy"])
		if kubeletErr != nil || proxyErr != nil || !os.SameFile(kubelet, proxy) {
			t.Error("two names of one program became two files")
		}
		if info, err := os.Stat(artifacts.Binaries["kubelet"]); err != nil || info.Mode().Perm() != 0o755 {
			t.Errorf("the kubelet: %v %v", info, err)
		}
	}
	if left, _ := os.ReadDir(store.path("work")); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestAnImportIsFoundByAHostWithAnotherGo(t *testing.T) {
	archive := exported(t, "1.35.4")
	store := newStore(t)
	if _, err := store.Import(t.Context(), bytes.NewReader(archive), nil); err != nil {
		t.Fatal(err)
	}
	found, err := store.toolchain(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found.version = "go1.99.1"
	store.found = found
	if _, ok := store.Lookup("1.35.4"); !ok {
		t.Error("it is not found")
	}
}

func TestWhatIsNotBuiltIsNotExported(t *testing.T) {
	store := newStore(t)
	fill(t, store, "1.35.4")
	for _, version := range []string{"1.36.3", "9.9"} {
		if err := store.Export(t.Context(), []string{"1.35.4", version}, io.Discard, nil); err == nil || !strings.Contains(err.Error(), version) {
			t.Errorf("exporting %s: %v", version, err)
		}
	}
}

// reseal sums up an entry anew.
func reseal(t *testing.T, dir string) {
	t.Helper()
	about, err := readManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := about.seal(dir); err != nil {
		t.Fatal(err)
	}
}

// repacked is an archive after a change of its files; a nil header drops one.
func repacked(t *testing.T, archive []byte, change func(header *tar.Header, content []byte) (*tar.Header, []byte)) []byte {
	t.Helper()
	unpacked, err := zstd.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	defer unpacked.Close()
	var result bytes.Buffer
	packed, err := zstd.NewWriter(&result)
	if err != nil {
		t.Fatal(err)
	}
	from, to := tar.NewReader(unpacked), tar.NewWriter(packed)
	for {
		header, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(from)
		if err != nil {
			t.Fatal(err)
		}
		if header, content = change(header, content); header == nil {
			continue
		}
		header.Size = int64(len(content))
		if err := to.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := to.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(to.Close(), packed.Close()); err != nil {
		t.Fatal(err)
	}
	return result.Bytes()
}

// indexed is an archive whose index says something else.
func indexed(t *testing.T, archive []byte, change func(*archiveIndex)) []byte {
	t.Helper()
	return repacked(t, archive, func(header *tar.Header, content []byte) (*tar.Header, []byte) {
		if header.Name != indexName {
			return header, content
		}
		var index archiveIndex
		if err := json.Unmarshal(content, &index); err != nil {
			t.Fatal(err)
		}
		change(&index)
		content, err := json.Marshal(index)
		if err != nil {
			t.Fatal(err)
		}
		return header, content
	})
}

func TestADamagedOrStrangeArchiveIsRefusedAndLeavesNoPartThatIsNotWhole(t *testing.T) {
	good := exported(t, "1.35.4")
	for name, c := range map[string]struct {
		archive []byte
		says    string
	}{
		"nothing":                     {nil, "does not begin with"},
		"something else":              {[]byte("a text"), "does not begin with"},
		"cut off":                     {good[:len(good)/2], "usable"},
		"a later format":              {indexed(t, good, func(i *archiveIndex) { i.Format = 2 }), "format 2"},
		"another platform":            {indexed(t, good, func(i *archiveIndex) { i.Platform = "linux/riscv64" }), "linux/riscv64"},
		"another Berth":               {indexed(t, good, func(i *archiveIndex) { i.Entries[0] = "node-image-0123456789abcdef" }), "export again"},
		"a version that nobody knows": {indexed(t, good, func(i *archiveIndex) { i.Versions = []string{"1.99.0"} }), "1.99.0"},
		"a way out in a name": {indexed(t, good, func(i *archiveIndex) {
			i.Entries[len(i.Entries)-1] = strings.TrimRight(i.Entries[len(i.Entries)-1], "0123456789.") + "1/../../../../out"
		}), "export again"},
		"an entry that is not in it": {repacked(t, good, func(header *tar.Header, content []byte) (*tar.Header, []byte) {
			if strings.HasPrefix(header.Name, "etcd-") {
				return nil, nil
			}
			return header, content
		}), "the archive lacks it"},
		"another program": {repacked(t, good, func(header *tar.Header, content []byte) (*tar.Header, []byte) {
			if strings.HasSuffix(header.Name, "bin/etcd") {
				content = []byte("evil")
			}
			return header, content
		}), "not as it was built"},
		"a file outside": {repacked(t, good, func(header *tar.Header, content []byte) (*tar.Header, []byte) {
			if strings.HasSuffix(header.Name, "bin/etcd") {
				header.Name = "../../etcd"
			}
			return header, content
		}), "usable"},
		"a link to the outside": {repacked(t, good, func(header *tar.Header, content []byte) (*tar.Header, []byte) {
			if strings.HasPrefix(header.Name, "etcd-") && strings.HasSuffix(header.Name, "/bin/") {
				return &tar.Header{Typeflag: tar.TypeSymlink, Name: strings.TrimSuffix(header.Name, "/"), Linkname: "/tmp"}, nil
			}
			return header, content
		}), "unpacking"},
		"a device": {repacked(t, good, func(header *tar.Header, content []byte) (*tar.Header, []byte) {
			if strings.HasSuffix(header.Name, "bin/etcd") {
				return &tar.Header{Typeflag: tar.TypeChar, Name: header.Name}, nil
			}
			return header, content
		}), "a file of type"},
	} {
		t.Run(name, func(t *testing.T) {
			store := newStore(t)
			_, err := store.Import(t.Context(), bytes.NewReader(c.archive), nil)
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("got %v, want %q in it", err, c.says)
			}
			if _, ok := store.Lookup("1.35.4"); ok {
				t.Error("the release is there")
			}
			entries, _ := filepath.Glob(store.path("parts", "*"))
			for _, entry := range entries {
				if about, err := readManifest(entry); err != nil || about.verify(entry) != nil {
					t.Errorf("%s is not whole", entry)
				}
			}
			if left, _ := os.ReadDir(store.path("work")); len(left) != 0 {
				t.Errorf("left: %v", left)
			}
		})
	}
}
