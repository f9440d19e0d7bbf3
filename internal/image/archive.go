// Package image makes OCI images out of files and writes them as archives that
// a container runtime imports. It must not know what the images are for, and
// needs no container tool and no registry.
package image

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Spec describes an image of one layer, or of two.
type Spec struct {
	// Base are the files of a lower layer, if any. Images with the same base
	// share it on a node.
	Base []File
	// Reference is the full name under which the archive loads.
	Reference string
	// Architecture is Go's name of it, e.g. amd64.
	Architecture string
	Files        []File
	Entrypoint   []string
	Command      []string
	Environment  []string
	// User is a numeric uid or uid:gid; empty means root.
	User string
	// Compress packs the layers with zstd.
	Compress bool
	// Ports are what the image listens on, e.g. 8080/tcp.
	Ports []string
}

// AnnotationName is the annotation of an archive's index by which containerd
// names an imported image, and annotationRef the one of other programs.
const (
	AnnotationName = "io.containerd.image.name"
	annotationRef  = "org.opencontainers.image.ref.name"
)

// WriteArchive writes images to path as an OCI layout in a tar file; layers that
// several have are in it once. The same files always make the same bytes.
func WriteArchive(path string, specs ...Spec) error {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".layout-")
	if err != nil {
		return fmt.Errorf("making the archive %s: %w", path, err)
	}
	defer os.RemoveAll(dir)
	written, err := layout.Write(dir, empty.Index)
	if err != nil {
		return fmt.Errorf("laying out the archive %s: %w", path, err)
	}
	for _, spec := range specs {
		built, err := build(spec)
		if err != nil {
			return fmt.Errorf("making the image %s: %w", spec.Reference, err)
		}
		if err := addImage(written, spec.Reference, built); err != nil {
			return fmt.Errorf("laying out the image %s: %w", spec.Reference, err)
		}
	}
	if err := archiveDir(path, dir); err != nil {
		return fmt.Errorf("packing the archive %s: %w", path, err)
	}
	return nil
}

// build makes the image in memory.
func build(spec Spec) (v1.Image, error) {
	layers := [][]File{spec.Files}
	if len(spec.Base) > 0 {
		layers = [][]File{spec.Base, spec.Files}
	}
	appended := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	for _, files := range layers {
		content, err := layer(files)
		if err != nil {
			return nil, err
		}
		var next v1.Layer = static.NewLayer(content, types.OCIUncompressedLayer)
		if spec.Compress {
			if next, err = compressLayer(content); err != nil {
				return nil, err
			}
		}
		if appended, err = mutate.AppendLayers(appended, next); err != nil {
			return nil, err
		}
	}
	config, err := appended.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", spec.Architecture
	config.Created = v1.Time{Time: time.Unix(0, 0).UTC()}
	config.Config = v1.Config{
		Entrypoint: spec.Entrypoint, Cmd: spec.Command, Env: spec.Environment, User: spec.User, WorkingDir: "/",
	}
	for _, port := range spec.Ports {
		if config.Config.ExposedPorts == nil {
			config.Config.ExposedPorts = map[string]struct{}{}
		}
		config.Config.ExposedPorts[port] = struct{}{}
	}
	return mutate.ConfigFile(appended, config)
}

func addImage(written layout.Path, reference string, image v1.Image) error {
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	return written.AppendImage(image,
		layout.WithAnnotations(map[string]string{AnnotationName: reference, annotationRef: reference}),
		layout.WithPlatform(v1.Platform{OS: config.OS, Architecture: config.Architecture}))
}

// archiveDir packs the files below dir, in the order of their paths.
func archiveDir(path, dir string) (err error) {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if closing := file.Close(); err == nil {
			err = closing
		}
	}()
	archive := tar.NewWriter(file)
	if err := filepath.WalkDir(dir, func(source string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, source)
		if err != nil {
			return err
		}
		return addFile(archive, File{Path: name, Source: source, Mode: 0o644})
	}); err != nil {
		return err
	}
	return archive.Close()
}

func addFile(archive *tar.Writer, file File) error {
	source, err := os.Open(file.Source)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{
		Typeflag: tar.TypeReg, Name: file.Path, Size: info.Size(), Mode: int64(file.Mode), ModTime: time.Unix(0, 0), Format: tar.FormatPAX,
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err = io.Copy(archive, source)
	return err
}
