package release

import (
	"archive/tar"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"
)

// archiveFormat changes when an archive of an older Berth cannot be read any more.
const archiveFormat = 1

// indexName is the first file of an archive, and maxIndex how large it may be.
const (
	indexName = "berth-release.json"
	maxIndex  = 1 << 20
)

// ErrNotAnArchive says that a file is no archive of releases, or one that this
// Berth cannot use; the wrapping message says which.
var ErrNotAnArchive = errors.New("not a usable archive of releases")

// archiveIndex says what an archive holds: the first file in it.
type archiveIndex struct {
	Format int `json:"format"`
	// Platform is operating system and processor, such as linux/amd64.
	Platform string `json:"platform"`
	// Versions are the Kubernetes versions that are whole in it.
	Versions []string `json:"versions"`
	// Entries are the cache's entries, in their order in the archive.
	Entries []string `json:"entries"`
}

// Export writes built releases to one archive, a tar compressed by zstd, from
// which a machine without any network imports them. A release that is not built is an error.
func (s *Store) Export(ctx context.Context, versions []string, to io.Writer, tell func(Progress)) error {
	index, err := s.index(versions)
	if err != nil {
		return fmt.Errorf("exporting releases: %w", err)
	}
	packed, err := zstd.NewWriter(to)
	if err != nil {
		return fmt.Errorf("exporting releases: %w", err)
	}
	archive := tar.NewWriter(packed)
	if err := s.export(ctx, index, archive, newReporter(tell, len(index.Entries))); err != nil {
		packed.Reset(io.Discard)
		return fmt.Errorf("exporting releases: %w", err)
	}
	if err := errors.Join(archive.Close(), packed.Close()); err != nil {
		return fmt.Errorf("exporting releases: %w", err)
	}
	return nil
}

// index is that of an archive of some versions, each part once.
func (s *Store) index(versions []string) (archiveIndex, error) {
	index := archiveIndex{Format: archiveFormat, Platform: platform()}
	for _, name := range versions {
		resolved, ok := Resolve(name)
		if !ok {
			return index, fmt.Errorf("kubernetes %s: it %w", name, ErrUnknownVersion)
		}
		built, ok := s.built(resolved.Version)
		if !ok {
			return index, fmt.Errorf("kubernetes %s is not built: run berth release build %[1]s first", resolved.Version)
		}
		if slices.Contains(index.Versions, resolved.Version) {
			continue
		}
		index.Versions = append(index.Versions, resolved.Version)
		for _, entry := range built {
			if !slices.Contains(index.Entries, entry) {
				index.Entries = append(index.Entries, entry)
			}
		}
	}
	return index, nil
}

// built are the entries of a version that is whole in the cache.
func (s *Store) built(version string) ([]string, bool) {
	for _, goVersion := range s.goVersions() {
		if _, err := s.assemble(version, goVersion); err == nil {
			return entriesOf(version, goVersion), true
		}
	}
	return nil, false
}

// entriesOf are the names of the entries that a version consists of.
func entriesOf(version, goVersion string) []string {
	all := parts(version)
	named := newEntries(all, goVersion)
	names := make([]string, len(all))
	for i, part := range all {
		names[i] = named.name(part.name)
	}
	return names
}

func platform() string { return runtime.GOOS + "/" + runtime.GOARCH }

func (s *Store) export(ctx context.Context, index archiveIndex, archive *tar.Writer, report *reporter) error {
	content, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: indexName, Mode: 0o644, Size: int64(len(content)), ModTime: time.Unix(0, 0)}
	if err := archive.WriteHeader(header); err != nil {
		return err
	}
	if _, err := archive.Write(content); err != nil {
		return err
	}
	for _, entry := range index.Entries {
		report.step(entry)
		if err := exportEntry(ctx, s.path("parts", entry), entry, archive); err != nil {
			return fmt.Errorf("reading %s: %w", entry, err)
		}
	}
	return nil
}

// exportEntry writes one entry's files with their owners and permissions; names
// of one file, as those of a program that is several, stay names of one file.
func exportEntry(ctx context.Context, dir, entry string, archive *tar.Writer) error {
	first := map[uint64]string{}
	return filepath.WalkDir(dir, func(path string, item fs.DirEntry, err error) error {
		if err != nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		info, err := item.Info()
		if err != nil {
			return err
		}
		if info.Mode()&(fs.ModeDir|fs.ModeSymlink) == 0 && !info.Mode().IsRegular() {
			return fmt.Errorf("%s is a %s, which an archive cannot carry", path, info.Mode().Type())
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		header, err := headerOf(path, filepath.Join(entry, relative), info)
		if err != nil {
			return err
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && header.Typeflag == tar.TypeReg {
			if name, again := first[stat.Ino]; again {
				header.Typeflag, header.Linkname, header.Size = tar.TypeLink, name, 0
			}
			first[stat.Ino] = cmp.Or(first[stat.Ino], header.Name)
		}
		if err := archive.WriteHeader(header); err != nil || header.Typeflag != tar.TypeReg {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		defer file.Close()
		_, err = io.Copy(archive, file)
		return err
	})
}

// headerOf is a file's, without the names of its owner, which are the host's.
func headerOf(path, name string, info fs.FileInfo) (*tar.Header, error) {
	target := ""
	if info.Mode()&fs.ModeSymlink != 0 {
		var err error
		if target, err = os.Readlink(path); err != nil {
			return nil, err
		}
	}
	header, err := tar.FileInfoHeader(info, target)
	if err != nil {
		return nil, err
	}
	header.Name, header.Uname, header.Gname = name, "", ""
	header.AccessTime, header.ChangeTime = time.Time{}, time.Time{}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok {
		header.Uid, header.Gid = int(owner.Uid), int(owner.Gid)
	}
	if strings.HasSuffix(header.Name, "/") != info.IsDir() {
		header.Name += "/"
	}
	return header, nil
}
