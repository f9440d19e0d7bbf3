package release

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// importedDir has an empty file for each toolchain of what was imported.
const importedDir = "imported"

// Import brings the releases of an archive that Export wrote into the cache and
// returns their versions. What the cache has already stays as it is. Nothing is
// written before the archive's index is known to fit this Berth, and a part
// becomes visible only once every file of it has the sum that it was built with;
// an import that is cut short leaves whole parts, and the next one goes on.
func (s *Store) Import(ctx context.Context, from io.Reader, tell func(Progress)) ([]string, error) {
	unpacked, err := zstd.NewReader(from, zstd.WithDecoderMaxMemory(1<<30))
	if err != nil {
		return nil, fmt.Errorf("importing releases: %w", err)
	}
	defer unpacked.Close()
	archive := tar.NewReader(unpacked)
	index, err := readIndex(archive)
	if err != nil {
		return nil, fmt.Errorf("importing releases: %w", err)
	}
	if err := s.noteImport(index); err != nil {
		return nil, fmt.Errorf("importing releases: %w", err)
	}
	importer := importer{store: s, archive: archive, report: newReporter(tell, len(index.Entries))}
	if err := importer.run(ctx, index); err != nil {
		return nil, fmt.Errorf("importing releases: %w", err)
	}
	return index.Versions, nil
}

// readIndex reads what an archive holds and whether this Berth would look for it.
func readIndex(archive *tar.Reader) (archiveIndex, error) {
	var index archiveIndex
	header, err := archive.Next()
	if err != nil || header.Name != indexName || header.Size > maxIndex {
		return index, fmt.Errorf("it does not begin with %s, or is damaged: %w", indexName, ErrNotAnArchive)
	}
	if err := json.NewDecoder(io.LimitReader(archive, maxIndex)).Decode(&index); err != nil {
		return index, fmt.Errorf("reading %s: %v: %w", indexName, err, ErrNotAnArchive)
	}
	if index.Format != archiveFormat {
		return index, fmt.Errorf("it has format %d, this Berth reads format %d: %w", index.Format, archiveFormat, ErrNotAnArchive)
	}
	if index.Platform != platform() {
		return index, fmt.Errorf("it is for %s, this host is %s: %w", index.Platform, platform(), ErrNotAnArchive)
	}
	known, err := knownEntries(index)
	if err != nil {
		return index, err
	}
	for _, entry := range index.Entries {
		if !slices.Contains(known, entry) {
			return index, fmt.Errorf("it has %.100q, which this version of Berth does not use; export again with this version: %w", entry, ErrNotAnArchive)
		}
	}
	return index, nil
}

// knownEntries are the names that the versions of an index have in this Berth.
func knownEntries(index archiveIndex) ([]string, error) {
	var known []string
	for _, version := range index.Versions {
		if resolved, ok := Resolve(version); !ok || resolved.Version != version {
			return nil, fmt.Errorf("kubernetes %.20q %w: %w", version, ErrUnknownVersion, ErrNotAnArchive)
		}
		for _, goVersion := range goVersionsOf(index.Entries) {
			known = append(known, entriesOf(version, goVersion)...)
		}
	}
	return known, nil
}

// noteImport remembers the toolchains of what is imported, so that it is found
// on a host that has another one.
func (s *Store) noteImport(index archiveIndex) error {
	if err := os.MkdirAll(s.path(importedDir), 0o755); err != nil {
		return err
	}
	for _, goVersion := range goVersionsOf(index.Entries) {
		if err := os.WriteFile(s.path(importedDir, goVersion), nil, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// importedGoVersions are the toolchains of what was imported, newest first.
func (s *Store) importedGoVersions() []string {
	files, err := os.ReadDir(s.path(importedDir))
	if err != nil {
		return nil // nothing was
	}
	names := make([]string, len(files))
	for i, file := range files {
		names[i] = "-" + file.Name()
	}
	return goVersionsOf(names)
}

// importer reads the entries of one archive.
type importer struct {
	store   *Store
	archive *tar.Reader
	report  *reporter
	// next is the header that was read and belongs to the following entry.
	next *tar.Header
}

func (i *importer) run(ctx context.Context, index archiveIndex) error {
	for _, entry := range index.Entries {
		i.report.step(entry)
		if err := i.entry(ctx, entry); err != nil {
			return fmt.Errorf("%s: %w", entry, err)
		}
	}
	if header, err := i.header(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%v follows what the index lists: %w", header, ErrNotAnArchive)
	}
	return nil
}

// entry unpacks the files of one entry, unless it is there, and publishes it.
func (i *importer) entry(ctx context.Context, entry string) error {
	held, err := acquireLock(ctx, i.store.path("locks", entry), i.report.waiting)
	if err != nil {
		return err
	}
	defer held.release()
	if i.store.present(entry) {
		i.report.detail("already there")
		return i.files(ctx, entry, nil)
	}
	work := i.store.path("work", entry)
	if err := os.RemoveAll(work); err != nil {
		return fmt.Errorf("removing what an earlier build left: %w", err)
	}
	defer os.RemoveAll(work)
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(work)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := i.files(ctx, entry, root); err != nil {
		return err
	}
	return i.store.adopt(work, entry)
}

// adopt publishes an unpacked entry that is as it was built.
func (s *Store) adopt(work, entry string) error {
	about, err := readManifest(work)
	if err != nil {
		return fmt.Errorf("it has no manifest: %w", ErrNotAnArchive)
	}
	if err := errors.Join(about.check(work), about.verify(work)); err != nil {
		return fmt.Errorf("%w: the archive is damaged, copy it once more: %w", err, ErrNotAnArchive)
	}
	if err := syncFileSystem(work); err != nil {
		return err
	}
	return place(work, s.path("parts", entry))
}

// files reads the files of an entry into root, or past them if that is nil.
func (i *importer) files(ctx context.Context, entry string, root *os.Root) error {
	for seen := false; ; seen = true {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := i.header()
		if errors.Is(err, io.EOF) && seen {
			return nil
		}
		if err != nil {
			return fmt.Errorf("the archive ends too early or is damaged, copy it once more: %v: %w", err, ErrNotAnArchive)
		}
		name := path.Clean(header.Name)
		if name != entry && !strings.HasPrefix(name, entry+"/") {
			i.next = header
			if !seen {
				return fmt.Errorf("the archive lacks it: %w", ErrNotAnArchive)
			}
			return nil
		}
		if root == nil {
			continue
		}
		if err := i.file(root, header, strings.TrimPrefix(strings.TrimPrefix(name, entry), "/")); err != nil {
			return fmt.Errorf("unpacking %s: %w", name, err)
		}
	}
}

func (i *importer) header() (*tar.Header, error) {
	if header := i.next; header != nil {
		i.next = nil
		return header, nil
	}
	return i.archive.Next()
}

// file writes one file with owner and permissions. Nothing leads out of root.
func (i *importer) file(root *os.Root, header *tar.Header, name string) error {
	if name == "" {
		return nil // the entry itself
	}
	switch header.Typeflag {
	case tar.TypeDir:
		if err := root.Mkdir(name, 0o755); err != nil {
			return err
		}
	case tar.TypeSymlink:
		if err := root.Symlink(header.Linkname, name); err != nil {
			return err
		}
		return own(root.Lchown, name, header)
	case tar.TypeLink: // to a file that came before, of the same entry
		_, target, _ := strings.Cut(path.Clean(header.Linkname), "/")
		return root.Link(target, name)
	case tar.TypeReg:
		if err := i.content(root, name); err != nil {
			return err
		}
	default:
		return fmt.Errorf("a file of type %q: %w", header.Typeflag, ErrNotAnArchive)
	}
	// The owner first: a change of it takes the bits for set-user-id away.
	if err := own(root.Lchown, name, header); err != nil {
		return err
	}
	if err := root.Chmod(name, header.FileInfo().Mode()&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	return root.Chtimes(name, header.ModTime, header.ModTime)
}

// own gives a file its owner. Who is not root keeps what it makes, as a test does.
func own(change func(name string, uid, gid int) error, name string, header *tar.Header) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return change(name, header.Uid, header.Gid)
}

func (i *importer) content(root *os.Root, name string) error {
	file, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(file, i.archive)
	return errors.Join(err, file.Close())
}
