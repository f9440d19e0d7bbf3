package command

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"berth.dev/berth/internal/cli/failure"
	"berth.dev/berth/internal/command"
)

// pack makes the zip file of what a user attaches, in base64: single files under
// their names, and the current directory as a whole.
func pack(files []string) (string, error) {
	var packed bytes.Buffer
	out := zip.NewWriter(&packed)
	for _, file := range files {
		if err := add(out, file); err != nil {
			return "", fmt.Errorf("attaching %s: %w", file, err)
		}
	}
	if err := out.Close(); err != nil {
		return "", fmt.Errorf("packing the attached files: %w", err)
	}
	if packed.Len() > command.MaxArchive {
		return "", failure.Usage("the attached files have %d bytes when packed; at most %d are allowed", packed.Len(), command.MaxArchive)
	}
	return base64.StdEncoding.EncodeToString(packed.Bytes()), nil
}

func add(out *zip.Writer, file string) error {
	info, err := os.Stat(file)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return addFile(out, file, filepath.Base(file))
	}
	if file != "." {
		return failure.Usage(`it is a directory; change into it and attach "."`)
	}
	return filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		return addFile(out, path, filepath.ToSlash(path))
	})
}

// addFile adds a file's content under a name; a link counts as what it leads to.
func addFile(out *zip.Writer, path, name string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return failure.Usage("%s is no file", path)
	}
	if info.Size() > command.MaxUnpacked {
		return failure.Usage("%s has %d bytes; at most %d are allowed", path, info.Size(), command.MaxUnpacked)
	}
	header, err := zip.FileInfoHeader(info)
	if err != nil {
		return err
	}
	header.Name, header.Method = name, zip.Deflate
	writer, err := out.CreateHeader(header)
	if err != nil {
		return err
	}
	source, err := os.Open(path)
	if err != nil {
		return err
	}
	defer source.Close()
	_, err = io.Copy(writer, source)
	return err
}
