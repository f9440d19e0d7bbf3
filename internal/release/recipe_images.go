package release

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"berth.dev/berth/internal/image"
)

// archives packs programs of other parts into images.
type archives struct {
	Images []systemImage
	// Compress packs what nodes read with zstd.
	Compress bool
}

// systemImage is one image.
type systemImage struct {
	// Name is its short name, and its archive's.
	Name string
	// Reference is what it is called on nodes.
	Reference string
	// Part and Program say what it runs.
	Part, Program string
	Command       []string
	User          string
	Ports         []string
	// Certificates puts the public certificate authorities in, Tools a shell and its tools.
	Certificates, Tools bool
}

// unprivileged is the uid and gid of images that need no right.
const unprivileged = "65532:65532"

// imageArchives are the system images. pause has the name that containerd asks
// for by default; the port of CoreDNS needs a capability, so it runs as root
// and its manifest drops the rest.
func imageArchives() archives {
	return archives{Compress: true, Images: []systemImage{
		{Name: "pause", Reference: "registry.k8s.io/pause:3.10.2", Part: partPause, Program: "pause", User: "65535:65535"},
		{
			Name: "coredns", Reference: "registry.k8s.io/coredns/coredns:v1.15.0", Part: partCoreDNS, Program: "coredns",
			Ports: []string{"53/udp", "53/tcp"}, Certificates: true,
		},
		{
			Name: "metrics-server", Reference: "registry.k8s.io/metrics-server/metrics-server:v0.9.0", Part: partMetricsServer, Program: "metrics-server",
			User: unprivileged, Ports: []string{"10250/tcp"},
		},
		{
			Name: "web", Reference: "berth.internal/samples/web:v1", Part: partSamples, Program: "web",
			User: unprivileged, Ports: []string{"8080/tcp"},
		},
		{
			Name: "client", Reference: "berth.internal/test/client:v1", Part: partSamples, Program: "client",
			Command: []string{"sleep"}, Certificates: true, Tools: true,
		},
	}}
}

func (i systemImage) archive() string { return filepath.Join("images", i.Name+".tar") }

func (a archives) sources() []string         { return nil }
func (a archives) usesGo() bool              { return false }
func (a archives) packages() []debianPackage { return nil }

func (a archives) build(ctx context.Context, job job) error {
	if err := os.MkdirAll(filepath.Join(job.output, "images"), 0o755); err != nil {
		return err
	}
	for _, image := range a.Images {
		job.report.detail("packing " + image.Reference)
		if err := image.build(ctx, job, a.Compress); err != nil {
			return err
		}
	}
	return nil
}

func (i systemImage) build(ctx context.Context, job job, compress bool) error {
	spec := image.Spec{
		Reference: i.Reference, Architecture: runtime.GOARCH, Compress: compress,
		Files: []image.File{
			{Path: i.Program, Source: filepath.Join(job.inputs[i.Part], binDir, i.Program), Mode: 0o755},
			{Path: "etc/passwd", Content: "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n", Mode: 0o644},
			{Path: "etc/group", Content: "root:x:0:\nnonroot:x:65532:\n", Mode: 0o644},
			{Path: "tmp", Directory: true, Mode: 0o1777},
		},
		Entrypoint: []string{"/" + i.Program}, Command: i.Command, User: i.User, Ports: i.Ports,
		Environment: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
	}
	root := filepath.Join(job.inputs[partNodeImage], rootDir)
	if i.Certificates {
		spec.Files = append(spec.Files, image.File{
			Path: "etc/ssl/certs/ca-certificates.crt", Source: filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"), Mode: 0o644,
		})
	}
	if i.Tools {
		tools, err := busyboxTools(ctx, job.run, filepath.Join(root, "bin/busybox"))
		if err != nil {
			return err
		}
		spec.Files = append(spec.Files, tools...)
	}
	return image.WriteArchive(filepath.Join(job.output, i.archive()), spec)
}

// busyboxTools is the program with a link for each of its tools.
func busyboxTools(ctx context.Context, run runner, busybox string) ([]image.File, error) {
	var output bytes.Buffer
	command := exec.Command(busybox, "--list")
	command.Dir, command.Stdout = "/", &output
	if err := run.run(ctx, command, nil); err != nil {
		return nil, fmt.Errorf("listing the tools of busybox: %w", err)
	}
	files := []image.File{{Path: "bin/busybox", Source: busybox, Mode: 0o755}}
	for _, tool := range strings.Fields(output.String()) {
		if tool != "busybox" {
			files = append(files, image.File{Path: "bin/" + tool, Link: "busybox"})
		}
	}
	if len(files) == 1 {
		return nil, errors.New("busybox lists no tools")
	}
	return files, nil
}
