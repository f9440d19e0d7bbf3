package release

import (
	"context"
	"errors"
	"fmt"
	"go/version"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"berth.dev/berth/kubernetes"
)

// DefaultDir is where the cache lies unless BERTH_CACHE says otherwise. It is
// no part of a home and survives its removal.
const DefaultDir = "/var/cache/berth"

// DirFromEnvironment is the directory of the cache that the environment asks for.
func DirFromEnvironment() string {
	if dir := os.Getenv("BERTH_CACHE"); dir != "" {
		return dir
	}
	return DefaultDir
}

// ErrUnknownVersion says that the catalog does not have a version.
var ErrUnknownVersion = errors.New("is not in the catalog")

// ErrDamaged says that a part of the cache is not as it was built.
var ErrDamaged = errors.New("damaged")

// Options say where and how a store builds.
type Options struct {
	// Dir is the cache's directory; empty means DirFromEnvironment.
	Dir string
	// InstallPackages allows a build to install Debian packages that it lacks.
	InstallPackages bool
}

// Store is the cache of what was built.
//
//	<dir>/parts/<name>-<version>-<key>/   one part; appears whole, never changes
//	<dir>/work/<same name>/               a part that is being built
//	<dir>/locks/<same name>               flock of whoever builds it, with its progress
//	<dir>/checked/<same name>             what its files were like when their digests were right
//	<dir>/damaged/<same name>-<time>/     a part that was not, and was replaced
//	<dir>/log/<name>.log                  what the last build of a part printed
//	<dir>/imported/<Go version>           there is something imported that it built
//
// A key is a digest of everything that a part is built from, so an entry is
// valid for ever, and two versions of Berth share what they have in common.
type Store struct {
	options Options

	mu sync.Mutex
	// found is the host's Go, once it was looked for and found.
	found toolchain
	// checked is, by entry, what its programs were like when all its digests were right.
	checked map[string]string
}

// Open opens the cache, making its directory if need be. It builds nothing.
func Open(options Options) (*Store, error) {
	if options.Dir == "" {
		options.Dir = DirFromEnvironment()
	}
	dir, err := filepath.Abs(options.Dir)
	if err != nil {
		return nil, fmt.Errorf("finding the cache: %w", err)
	}
	options.Dir = dir
	return &Store{options: options}, nil
}

// toolchain finds the host's Go, and looks again as long as there is none.
func (s *Store) toolchain(ctx context.Context) (toolchain, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.found.program != "" {
		return s.found, nil
	}
	found, err := findToolchain(ctx)
	if err == nil {
		s.found = found
	}
	return found, err
}

// Dir is the directory of the cache.
func (s *Store) Dir() string { return s.options.Dir }

// Lookup returns a release that is built and sound. It is cheap, unless files
// were touched since their digests were computed last: then it computes them.
func (s *Store) Lookup(name string) (Artifacts, bool) {
	resolved, ok := Resolve(name)
	if !ok {
		return Artifacts{}, false
	}
	for _, goVersion := range s.goVersions() {
		if artifacts, err := s.assemble(resolved.Version, goVersion); err == nil {
			return artifacts, true
		}
	}
	return Artifacts{}, false
}

// Missing names the parts of a release that are not built.
func (s *Store) Missing(name string) []string {
	resolved, ok := Resolve(name)
	if !ok {
		return nil
	}
	var goVersion string
	if versions := s.goVersions(); len(versions) > 0 {
		goVersion = versions[0]
	}
	var missing []string
	all := parts(resolved.Version)
	entries := newEntries(all, goVersion)
	for _, part := range all {
		switch err := s.inspect(entries.name(part.name)); {
		case errors.Is(err, ErrDamaged):
			missing = append(missing, fmt.Sprintf("%s (%v)", part.title(), err))
		case err != nil:
			missing = append(missing, part.title())
		}
	}
	return missing
}

// goVersions are the toolchains whose results are good: the host's and those of
// what was imported, or on a host that has none, all that entries were built
// with, newest first.
func (s *Store) goVersions() []string {
	if found, err := s.toolchain(context.Background()); err == nil {
		return append([]string{found.version}, s.importedGoVersions()...)
	}
	return recordedGoVersions(s.path("parts"))
}

// recordedGoVersions are the toolchains of the entries in dir, newest first.
func recordedGoVersions(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	names := make([]string, len(entries))
	for i, entry := range entries {
		names[i] = entry.Name()
	}
	return goVersionsOf(names)
}

// goVersionsOf are the toolchains that the names of entries end in, newest first.
func goVersionsOf(entries []string) []string {
	var versions []string
	for _, entry := range entries {
		index := strings.LastIndex(entry, "-go")
		if index >= 0 && version.IsValid(entry[index+1:]) {
			versions = append(versions, entry[index+1:])
		}
	}
	slices.SortFunc(versions, func(a, b string) int { return version.Compare(b, a) })
	return slices.Compact(versions)
}

func (s *Store) path(elements ...string) string {
	return filepath.Join(append([]string{s.options.Dir}, elements...)...)
}

// present says whether an entry of the cache is there and as it was built.
func (s *Store) present(entry string) bool { return s.inspect(entry) == nil }

// inspect says what is wrong with an entry: ErrDamaged, or that it is not there.
func (s *Store) inspect(entry string) error {
	dir := s.path("parts", entry)
	manifest, err := readManifest(dir)
	if err != nil {
		return err
	}
	if err := manifest.check(dir); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	if err := s.sound(entry, manifest); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// openLog opens the log of a step anew.
func (s *Store) openLog(name string) (*os.File, error) {
	if err := os.MkdirAll(s.path("log"), 0o755); err != nil {
		return nil, fmt.Errorf("making the cache's log directory: %w", err)
	}
	file, err := os.Create(s.path("log", name+".log"))
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	return file, nil
}

// readSource reads one of the embedded files.
func readSource(name string) ([]byte, error) {
	content, err := kubernetes.Sources.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("reading what is built: %w", err)
	}
	return content, nil
}
