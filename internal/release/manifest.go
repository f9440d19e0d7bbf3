package release

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	manifestFile = "manifest.json"
	// sumsFile lists every file in the format of sha256sum -c.
	sumsFile = "files.sha256"
)

// manifest describes one entry of the cache. It is written last, so an entry
// that has one is whole.
type manifest struct {
	Name      string    `json:"name"`
	Version   string    `json:"version,omitempty"`
	GoVersion string    `json:"goVersion,omitempty"`
	Built     time.Time `json:"built"`
	// Seconds is how long the build took.
	Seconds float64 `json:"seconds"`
	// Programs are the sizes of the files that Lookup looks for, by path in the entry.
	Programs map[string]int64 `json:"programs"`
	// Digest is the SHA-256 of files.sha256, which has one of every file.
	Digest string `json:"digest"`
}

func readManifest(dir string) (manifest, error) {
	content, err := os.ReadFile(filepath.Join(dir, manifestFile))
	if err != nil {
		return manifest{}, err
	}
	var read manifest
	if err := json.Unmarshal(content, &read); err != nil {
		return manifest{}, fmt.Errorf("reading %s: %w", filepath.Join(dir, manifestFile), err)
	}
	return read, nil
}

// check looks whether what the manifest names is there in its size.
func (m manifest) check(dir string) error {
	for name, size := range m.Programs {
		info, err := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is not there", name)
		}
		if err != nil {
			return err
		}
		if info.Size() != size {
			return fmt.Errorf("%s has %d bytes and was built with %d", name, info.Size(), size)
		}
	}
	return nil
}

// seal makes a built directory an entry: it sets modes, sums up every file,
// writes the manifest and forces all of it to the disk.
func (m manifest) seal(dir string) error {
	sums, err := sumFiles(dir)
	if err != nil {
		return err
	}
	m.Programs = map[string]int64{}
	for _, sum := range sums {
		if !strings.HasPrefix(sum.path, rootDir+"/") {
			m.Programs[sum.path] = sum.size
		}
	}
	listing := formatSums(sums)
	m.Digest = digest(listing)
	encoded, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, sumsFile), listing, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, manifestFile), append(encoded, '\n'), 0o644); err != nil {
		return err
	}
	return syncFileSystem(dir)
}

// verify compares every file of an entry with its sum.
func (m manifest) verify(dir string) error {
	sums, err := sumFiles(dir)
	if err != nil {
		return err
	}
	listing := formatSums(sums)
	if digest(listing) == m.Digest {
		return nil
	}
	recorded, err := os.ReadFile(filepath.Join(dir, sumsFile))
	if err != nil {
		return err
	}
	was := strings.Split(string(recorded), "\n")
	for line := range strings.Lines(string(listing)) {
		if line = strings.TrimSuffix(line, "\n"); !slices.Contains(was, line) {
			return fmt.Errorf("%s is not as it was built", line[strings.Index(line, "  ")+2:])
		}
	}
	return errors.New("files are missing")
}

type fileSum struct {
	path, sum string
	size      int64
}

func formatSums(sums []fileSum) []byte {
	var listing bytes.Buffer
	for _, sum := range sums {
		fmt.Fprintf(&listing, "%s  %s\n", sum.sum, sum.path)
	}
	return listing.Bytes()
}

// sumFiles sums up every regular file of an entry, in the order of their paths.
func sumFiles(dir string) ([]fileSum, error) {
	var sums []fileSum
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil || relative == manifestFile || relative == sumsFile {
			return err
		}
		sum, size, err := sumFile(path)
		sums = append(sums, fileSum{path: relative, sum: sum, size: size})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("summing up %s: %w", dir, err)
	}
	return sums, nil
}

func sumFile(path string) (string, int64, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	return hex.EncodeToString(hash.Sum(nil)), size, err
}

// openModes lets every user read and run what lies in dir, whatever the umask
// was. A root file system keeps the modes that its packages gave it.
func openModes(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && entry.Name() == rootDir && filepath.Dir(path) == dir {
			return filepath.SkipDir
		}
		info, err := entry.Info()
		if err != nil || info.Mode()&fs.ModeSymlink != 0 {
			return err
		}
		mode := fs.FileMode(0o644)
		if info.IsDir() || info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		return os.Chmod(path, mode)
	})
}
