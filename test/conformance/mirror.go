package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"

	"berth.dev/berth/internal/image"
)

// A spec may want an image pulled that the node has, and the nodes reach no
// registry. So each has one with the tests' images on its own loopback interface,
// which its container runtime asks instead of upstream's: a process of the
// runner in the node's network namespace.
const (
	mirrorAddress    = "127.0.0.1:5055"
	mirroredRegistry = "registry.k8s.io"
	// mirrorReady is what a mirror prints once it answers.
	mirrorReady = "the mirror answers"
)

// mirror starts a registry in the network of each node and points the node's
// runtime to it; they end with the returned function, and with the runner.
func (c *cluster) mirror(ctx context.Context, nodes []node) (stop func(), err error) {
	dir, err := os.MkdirTemp("", "conformance-images-")
	if err != nil {
		return nil, err
	}
	var inputs []io.Closer
	var mirrors []*exec.Cmd
	end := func() {
		for index, mirror := range mirrors {
			inputs[index].Close()
			_ = mirror.Wait() // it was told to end, and has nothing to lose
		}
		os.RemoveAll(dir)
	}
	defer func() {
		if err != nil {
			end()
		}
	}()
	if said, err := exec.CommandContext(ctx, "tar", "--extract", "--directory", dir, "--file", c.suite.Images).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w: %s", c.suite.Images, err, tail(said))
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	for _, one := range nodes {
		command := exec.CommandContext(ctx, "nsenter", "--net="+string(one)+"/ns/net", self, "-serve", dir)
		command.Stderr = os.Stderr
		input, err := command.StdinPipe()
		if err != nil {
			return nil, err
		}
		output, err := command.StdoutPipe()
		if err != nil {
			return nil, err
		}
		if err := command.Start(); err != nil {
			return nil, fmt.Errorf("starting a mirror: %w", err)
		}
		inputs, mirrors = append(inputs, input), append(mirrors, command)
		if said, err := bufio.NewReader(output).ReadString('\n'); strings.TrimSpace(said) != mirrorReady {
			return nil, fmt.Errorf("starting a mirror: it said %q, %w", said, errors.Join(err, errors.New("and does not answer")))
		}
		if err := one.asks(mirrorAddress); err != nil {
			return nil, err
		}
	}
	return end, nil
}

// asks makes the node's container runtime ask another server for upstream's images.
func (n node) asks(address string) error {
	dir := filepath.Join(string(n), "root/etc/containerd/certs.d", mirroredRegistry)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("pointing a node to the mirror: %w", err)
	}
	hosts := fmt.Sprintf("server = %q\n[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", "http://"+address, "http://"+address)
	return os.WriteFile(filepath.Join(dir, "hosts.toml"), []byte(hosts), 0o644)
}

// serveImages serves the images of a layout until the input ends.
func serveImages(dir, address string, input io.Reader, output io.Writer) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("serving the tests' images: %w", err)
	}
	handler := registry.New(registry.WithBlobHandler(registry.NewDiskBlobHandler(filepath.Join(dir, "blobs"))), registry.Logger(log.New(io.Discard, "", 0)))
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	defer server.Close()
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	if err := putManifests(dir, "http://"+listener.Addr().String()); err != nil {
		return err
	}
	fmt.Fprintln(output, mirrorReady)
	ended := make(chan struct{})
	go func() { _, _ = io.Copy(io.Discard, input); close(ended) }()
	select {
	case err := <-failed:
		return err
	case <-ended:
		return nil
	}
}

// putManifests tells a registry that has the layout's blobs what its images are.
func putManifests(dir, server string) error {
	index, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return fmt.Errorf("reading the tests' images: %w", err)
	}
	images, err := index.IndexManifest()
	if err != nil {
		return fmt.Errorf("reading the tests' images: %w", err)
	}
	for _, one := range images.Manifests {
		name, mirrored := strings.CutPrefix(one.Annotations[image.AnnotationName], mirroredRegistry+"/")
		repository, tag, tagged := strings.Cut(name, ":")
		if !mirrored || !tagged {
			continue
		}
		if err := putManifest(dir, server+"/v2/"+repository+"/manifests/"+tag, one); err != nil {
			return fmt.Errorf("serving %s: %w", name, err)
		}
	}
	return nil
}

func putManifest(dir, url string, described v1.Descriptor) error {
	manifest, err := os.ReadFile(filepath.Join(dir, "blobs", described.Digest.Algorithm, described.Digest.Hex))
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPut, url, bytes.NewReader(manifest))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", string(described.MediaType))
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode != http.StatusCreated {
		return fmt.Errorf("the registry answered %s", response.Status)
	}
	return nil
}
