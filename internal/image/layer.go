package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"
)

// File is one file of an image; all belong to root. Exactly one of Source,
// Content, Link and Directory says what it is.
type File struct {
	// Path is where it lies in the image.
	Path string
	// Source is the file on this machine that it is a copy of.
	Source string
	// Content is what is in it.
	Content string
	// Link is the target of a symbolic link.
	Link string
	// Directory makes it a directory.
	Directory bool
	// Mode are its permissions, and for a directory perhaps the sticky bit (01000).
	Mode fs.FileMode
}

// layer packs files into a tar of a fixed order and time, with the directories
// above them.
func layer(files []File) ([]byte, error) {
	complete, err := withParents(files)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	archive := tar.NewWriter(&packed)
	for _, file := range complete {
		if err := addEntry(archive, file); err != nil {
			return nil, fmt.Errorf("adding %s: %w", file.Path, err)
		}
	}
	if err := archive.Close(); err != nil {
		return nil, err
	}
	return packed.Bytes(), nil
}

// withParents cleans and sorts the paths and adds the directories that are missing.
func withParents(files []File) ([]File, error) {
	byPath := map[string]File{}
	for _, file := range files {
		file.Path = strings.TrimPrefix(path.Clean("/"+file.Path), "/")
		if file.Path == "" {
			return nil, errors.New("a file has no path")
		}
		if _, twice := byPath[file.Path]; twice {
			return nil, fmt.Errorf("%s is there twice", file.Path)
		}
		byPath[file.Path] = file
	}
	for _, file := range files {
		clean := strings.TrimPrefix(path.Clean("/"+file.Path), "/")
		for parent := path.Dir(clean); parent != "."; parent = path.Dir(parent) {
			if _, there := byPath[parent]; !there {
				byPath[parent] = File{Path: parent, Directory: true, Mode: 0o755}
			}
		}
	}
	complete := make([]File, 0, len(byPath))
	for _, file := range byPath {
		complete = append(complete, file)
	}
	slices.SortFunc(complete, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return complete, nil
}

func addEntry(archive *tar.Writer, file File) error {
	header := &tar.Header{Name: file.Path, Mode: int64(file.Mode), ModTime: time.Unix(0, 0), Format: tar.FormatPAX}
	switch {
	case file.Source != "":
		return addFile(archive, file)
	case file.Directory:
		header.Typeflag, header.Name = tar.TypeDir, file.Path+"/"
	case file.Link != "":
		header.Typeflag, header.Linkname, header.Mode = tar.TypeSymlink, file.Link, 0o777
	default:
		header.Typeflag, header.Size = tar.TypeReg, int64(len(file.Content))
	}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	_, err := archive.Write([]byte(file.Content))
	return err
}
