package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/zstd"
)

func spec(t *testing.T) Spec {
	t.Helper()
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!program"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Spec{
		Reference: "berth.internal/test/thing:v1", Architecture: "amd64",
		Files: []File{
			{Path: "usr/bin/program", Source: program, Mode: 0o755},
			{Path: "/bin/thing", Link: "../usr/bin/program"},
			{Path: "etc/passwd", Content: "root:x:0:0::/:\n", Mode: 0o644},
			{Path: "tmp", Directory: true, Mode: 0o1777},
		},
		Entrypoint: []string{"/usr/bin/program"}, Command: []string{"serve"}, Environment: []string{"A=b"},
		User: "65532", Ports: []string{"8080/tcp"},
	}
}

// unpack returns the entries of a tar with their content.
func unpack(t *testing.T, from io.Reader) (headers []*tar.Header, contents map[string]string) {
	t.Helper()
	contents = map[string]string{}
	for archive := tar.NewReader(from); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return headers, contents
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			t.Fatal(err)
		}
		headers, contents[header.Name] = append(headers, header), string(content)
	}
}

// load writes an archive and reads it back as an OCI layout.
func load(t *testing.T, spec Spec) (v1.Descriptor, v1.Image) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	if err := WriteArchive(path, spec); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	_, files := unpack(t, bytes.NewReader(content))
	for name, content := range files {
		target := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(target, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	if len(manifest.Manifests) != 1 {
		t.Fatalf("the archive has %d images", len(manifest.Manifests))
	}
	loaded, err := index.Image(manifest.Manifests[0].Digest)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Manifests[0], loaded
}

func TestAnArchiveIsAnOCILayoutThatNamesItsImage(t *testing.T) {
	descriptor, loaded := load(t, spec(t))
	layers, err := loaded.Layers()
	if err != nil {
		t.Fatal(err)
	}
	for _, layer := range layers {
		blob, err := layer.Compressed()
		if err != nil {
			t.Fatal(err)
		}
		sum, size, err := v1.SHA256(blob)
		digest, _ := layer.Digest()
		diff, _ := layer.DiffID()
		if declared, _ := layer.Size(); err != nil || sum != digest || sum != diff || size != declared {
			t.Errorf("the layer %s (%s) has %d bytes of %s: %v", digest, diff, size, sum, err)
		}
	}
	if name := descriptor.Annotations["io.containerd.image.name"]; name != "berth.internal/test/thing:v1" {
		t.Errorf("containerd would name it %q", name)
	}
	if descriptor.Platform == nil || descriptor.Platform.Architecture != "amd64" || descriptor.Platform.OS != "linux" {
		t.Errorf("its platform is %v", descriptor.Platform)
	}
	if mediaType, err := loaded.MediaType(); err != nil || mediaType != types.OCIManifestSchema1 {
		t.Errorf("its manifest is %s, %v", mediaType, err)
	}
	config, err := loaded.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	_, port := config.Config.ExposedPorts["8080/tcp"]
	if !slices.Equal(config.Config.Entrypoint, []string{"/usr/bin/program"}) || !slices.Equal(config.Config.Cmd, []string{"serve"}) ||
		config.Config.User != "65532" || !slices.Equal(config.Config.Env, []string{"A=b"}) || !port {
		t.Errorf("its configuration is %+v", config.Config)
	}
}

func TestALayerHoldsTheFilesAndTheDirectoriesAboveThem(t *testing.T) {
	_, loaded := load(t, spec(t))
	layers, err := loaded.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("the image has %d layers, %v", len(layers), err)
	}
	content, err := layers[0].Uncompressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	headers, contents := unpack(t, content)
	var names []string
	modes := map[string]int64{}
	for _, header := range headers {
		names = append(names, header.Name)
		modes[header.Name] = header.Mode
		if header.Uid != 0 || header.Gid != 0 || !header.ModTime.Equal(headers[0].ModTime) {
			t.Errorf("%s belongs to %d:%d of %v", header.Name, header.Uid, header.Gid, header.ModTime)
		}
		if header.Name == "bin/thing" && header.Linkname != "../usr/bin/program" {
			t.Errorf("the link leads to %q", header.Linkname)
		}
	}
	if want := []string{"bin/", "bin/thing", "etc/", "etc/passwd", "tmp/", "usr/", "usr/bin/", "usr/bin/program"}; !slices.Equal(names, want) {
		t.Errorf("the layer holds %q", names)
	}
	if modes["usr/bin/program"] != 0o755 || modes["tmp/"] != 0o1777 || modes["etc/passwd"] != 0o644 || modes["usr/"] != 0o755 {
		t.Errorf("the modes are %v", modes)
	}
	if contents["usr/bin/program"] != "#!program" || contents["etc/passwd"] != "root:x:0:0::/:\n" {
		t.Errorf("the contents are %q", contents)
	}
}

func TestTheSameFilesMakeTheSameArchive(t *testing.T) {
	described := spec(t)
	var archives [][]byte
	for range 2 {
		path := filepath.Join(t.TempDir(), "image.tar")
		if err := WriteArchive(path, described); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		archives = append(archives, content)
		slices.Reverse(described.Files)
		if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
			t.Errorf("beside the archive lies %v", left)
		}
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Error("the archives differ")
	}
}

func TestAnImageWithUnclearFilesIsRefused(t *testing.T) {
	for name, files := range map[string][]File{
		"twice the same":        {{Path: "a", Content: "1"}, {Path: "/a", Content: "2"}},
		"no path":               {{Content: "1"}},
		"a source that is gone": {{Path: "a", Source: "/no/such/file"}},
	} {
		if err := WriteArchive(filepath.Join(t.TempDir(), "image.tar"), Spec{Reference: "x", Files: files}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestACompressedLayerIsThatOfItsTarAndAlwaysTheSameBytes(t *testing.T) {
	plain := spec(t)
	compressed := plain
	compressed.Compress = true
	first, loaded := load(t, compressed)
	if second, _ := load(t, compressed); first.Digest != second.Digest {
		t.Errorf("it is %s and then %s", first.Digest, second.Digest)
	}
	_, other := load(t, plain)
	layers, err := loaded.Layers()
	if err != nil || len(layers) != 1 {
		t.Fatalf("the image has %d layers, %v", len(layers), err)
	}
	others, err := other.Layers()
	if err != nil {
		t.Fatal(err)
	}
	blob, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	decoder, err := zstd.NewReader(blob)
	if err != nil {
		t.Fatal(err)
	}
	defer decoder.Close()
	unpacked, _, err := v1.SHA256(decoder)
	want, _ := others[0].DiffID()
	diff, _ := layers[0].DiffID()
	if mediaType, _ := layers[0].MediaType(); err != nil || unpacked != want || diff != want || mediaType != types.OCILayerZStd {
		t.Errorf("a %s unpacks to %s and says %s, want %s: %v", mediaType, unpacked, diff, want, err)
	}
}
