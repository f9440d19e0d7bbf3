package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"berth.dev/berth/internal/image"
)

func TestAMirrorServesTheImagesOfAnArchiveUntilItsInputEnds(t *testing.T) {
	dir := t.TempDir()
	archive := filepath.Join(t.TempDir(), "images.tar")
	specs := []image.Spec{
		{Reference: mirroredRegistry + "/e2e-test-images/kitten:1.8", Architecture: "amd64", Files: []image.File{{Path: "kitten", Content: "meow", Mode: 0o644}}},
		{Reference: "elsewhere.example/other:1", Architecture: "amd64", Files: []image.File{{Path: "other", Content: "x", Mode: 0o644}}},
	}
	if err := image.WriteArchive(archive, specs...); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("tar", "-x", "-C", dir, "-f", archive).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	input, end := io.Pipe()
	said, output := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- serveImages(dir, address, input, output) }()
	if line, err := bufio.NewReader(said).ReadString('\n'); strings.TrimSpace(line) != mirrorReady {
		t.Fatalf("it said %q, %v", line, err)
	}

	manifest, err := v1.ParseManifest(strings.NewReader(get(t, address, "e2e-test-images/kitten/manifests/1.8", http.StatusOK)))
	if err != nil || len(manifest.Layers) != 1 {
		t.Fatalf("the manifest is %+v, %v", manifest, err)
	}
	if layer := get(t, address, "e2e-test-images/kitten/blobs/"+manifest.Layers[0].Digest.String(), http.StatusOK); !strings.Contains(layer, "meow") {
		t.Errorf("the layer has %d bytes, and not the file", len(layer))
	}
	get(t, address, "other/manifests/1", http.StatusNotFound)
	end.Close()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func get(t *testing.T, address, path string, want int) string {
	t.Helper()
	response, err := http.Get("http://" + address + "/v2/" + path)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		t.Fatalf("%s is answered with %s, %v", path, response.Status, err)
	}
	return string(content)
}
