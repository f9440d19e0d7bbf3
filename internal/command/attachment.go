// Package command is what the front end and the controller of commands agree
// on: how long a command that runs in a cluster may take, how much it may be
// given and print, and how the files that go with it are packed. It runs
// nothing and reaches nothing.
package command

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"time"
)

// The limits of one command.
const (
	// MaxLine is the longest command, in bytes.
	MaxLine = 64 << 10
	// MaxArchive is the largest zip file that may be attached, and the largest
	// packed form of it; a cluster's Secret takes no more than 1 MiB.
	MaxArchive = 768 << 10
	// MaxUnpacked is how many bytes the attached files may have in all.
	MaxUnpacked = 16 << 20
	// MaxFiles is how many files and directories may be attached.
	MaxFiles = 1000
	// MaxOutput is how many bytes of output are kept.
	MaxOutput = 512 << 10
	// Timeout is how long a command may take from request to end.
	Timeout = 30 * time.Minute
	// Retention is how long a result can be asked for.
	Retention = 24 * time.Hour
	// MaxRunning and MaxKept are how many commands of one cluster run at a
	// time, and how many results of it are kept; older ones go early.
	MaxRunning = 10
	MaxKept    = 20
)

// maxName is the longest path of an attached file, in bytes.
const maxName = 1024

// ErrAttachment is wrapped by what is wrong with attached files; the text is
// for the caller who attached them.
var ErrAttachment = errors.New("the attached files cannot be used")

func unusable(format string, arguments ...any) error {
	return fmt.Errorf("%w: %s", ErrAttachment, fmt.Sprintf(format, arguments...))
}

// Repack reads the zip file of a caller and packs its files anew as a gzipped
// tar. What the caller sent is read once, here, within limits that count what
// comes out and not what the file claims; the pod gets only plain files and
// directories under clean relative names.
func Repack(zipped []byte) ([]byte, error) {
	if len(zipped) > MaxArchive {
		return nil, unusable("the zip file has %d bytes; at most %d are allowed", len(zipped), MaxArchive)
	}
	archive, err := zip.NewReader(bytes.NewReader(zipped), int64(len(zipped)))
	if err != nil {
		return nil, unusable("they are no zip file (%v)", err)
	}
	if len(archive.File) > MaxFiles {
		return nil, unusable("there are %d of them; at most %d are allowed", len(archive.File), MaxFiles)
	}
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	out := tar.NewWriter(compressed)
	left := int64(MaxUnpacked)
	for _, file := range archive.File {
		written, err := addFile(out, file, left)
		if err != nil {
			return nil, err
		}
		left -= written
	}
	if err := errors.Join(out.Close(), compressed.Close()); err != nil {
		return nil, fmt.Errorf("packing the attached files: %w", err)
	}
	if packed.Len() > MaxArchive {
		return nil, unusable("they have %d bytes when packed; at most %d are allowed", packed.Len(), MaxArchive)
	}
	return packed.Bytes(), nil
}

// addFile copies one file or directory, of at most limit bytes.
func addFile(out *tar.Writer, file *zip.File, limit int64) (int64, error) {
	name, err := cleanName(file.Name)
	if err != nil {
		return 0, err
	}
	mode := file.Mode()
	switch {
	case mode.IsDir() || strings.HasSuffix(file.Name, "/"):
		if name == "." {
			return 0, nil
		}
		return 0, out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
	case mode&fs.ModeType != 0:
		return 0, unusable("%.100q is neither a file nor a directory", file.Name)
	case name == ".":
		return 0, unusable("a file has no name")
	}
	content, err := readFile(file, limit)
	if err != nil {
		return 0, err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: name, Size: int64(len(content)), Mode: int64(mode.Perm() | 0o600)}
	if err := out.WriteHeader(header); err != nil {
		return 0, unusable("%.100q cannot be packed (%v)", file.Name, err)
	}
	_, err = out.Write(content)
	return int64(len(content)), err
}

func readFile(file *zip.File, limit int64) ([]byte, error) {
	reader, err := file.Open()
	if err != nil {
		return nil, unusable("%.100q cannot be read (%v)", file.Name, err)
	}
	defer reader.Close()
	content, err := io.ReadAll(io.LimitReader(reader, limit+1))
	switch {
	case int64(len(content)) > limit:
		return nil, unusable("they have more than %d bytes when unpacked", MaxUnpacked)
	case err != nil:
		return nil, unusable("%.100q cannot be read (%v)", file.Name, err)
	}
	return content, nil
}

// cleanName is the relative path of a file, which may not lead out of where it is unpacked.
func cleanName(name string) (string, error) {
	name = strings.ReplaceAll(name, `\`, "/")
	clean := path.Clean(name)
	if name == "" || len(name) > maxName || strings.ContainsRune(name, 0) || path.IsAbs(name) || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", unusable("the name %.100q is not a relative path", name)
	}
	return clean, nil
}
