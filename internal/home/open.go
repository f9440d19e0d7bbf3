package home

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	"berth.dev/berth/internal/naming"
)

// LayoutVersion is the version of the layout that this code reads and writes.
const LayoutVersion = "1"

// The errors of opening a home, matched by errors.Is.
var (
	// ErrNotFound says that the directory holds no install.
	ErrNotFound = errors.New("no Berth install")
	// ErrUnusable says that the directory is not fit to be a home; the wrapping
	// message says why and what to do.
	ErrUnusable = errors.New("the home directory cannot be used")
)

// The files that make a directory a home.
const (
	instanceFile = "instance"
	versionFile  = "version"
)

// Dir is where the home lies: the given directory, else BERTH_HOME, else DefaultDir.
func Dir(given string) (string, error) {
	if given == "" {
		given = os.Getenv("BERTH_HOME")
	}
	if given == "" {
		given = DefaultDir
	}
	return filepath.Abs(given)
}

// Open opens an existing home and changes nothing. ErrNotFound if the
// directory holds none.
func Open(dir string) (Home, error) {
	instance, err := os.ReadFile(filepath.Join(dir, instanceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Home{}, fmt.Errorf("%w in %s", ErrNotFound, dir)
	}
	if err != nil {
		return Home{}, fmt.Errorf("opening the home: %w", err)
	}
	h := Home{Dir: dir, Instance: strings.TrimSpace(string(instance))}
	if !regexp.MustCompile(`^[a-z0-9]{4}$`).MatchString(h.Instance) {
		return Home{}, fmt.Errorf("%w: %s does not hold an instance id", ErrUnusable, filepath.Join(dir, instanceFile))
	}
	version, err := os.ReadFile(filepath.Join(dir, versionFile))
	if errors.Is(err, fs.ErrNotExist) {
		return Home{}, fmt.Errorf("%w: %s has lost its file %s: restore it from a backup", ErrUnusable, dir, versionFile)
	}
	if err != nil {
		return Home{}, fmt.Errorf("opening the home: %w", err)
	}
	if got := strings.TrimSpace(string(version)); got != LayoutVersion {
		return Home{}, fmt.Errorf("%w: %s has layout version %q, this Berth knows %s: use the Berth that made it",
			ErrUnusable, dir, got, LayoutVersion)
	}
	return h, checkOwner(dir)
}

// Create opens the home, and makes it first where there is none. The instance
// id is minted once; taken says which ids are in use on this host.
func Create(dir string, taken func(instance string) bool) (Home, error) {
	if h, err := Open(dir); !errors.Is(err, ErrNotFound) {
		if err == nil {
			err = h.checkWhole()
		}
		if err != nil {
			return Home{}, err
		}
		return h, h.makeDirs()
	}
	// Others may pass through (the CA certificate lies below, and control
	// planes run under ids of their own) but list nothing.
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return Home{}, fmt.Errorf("making the home: %w", err)
	}
	if err := checkOwner(dir); err != nil {
		return Home{}, err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return Home{}, fmt.Errorf("reading the home: %w", err)
	}
	for _, entry := range entries {
		if name := entry.Name(); name != versionFile && name != instanceFile && name != "log" && !strings.HasPrefix(name, ".berth-") {
			if h, err := Open(dir); err == nil { // who started at the same time has just made it
				return h, h.makeDirs()
			}
			return Home{}, fmt.Errorf("%w: %s is not empty and holds no install: name another directory with --home", ErrUnusable, dir)
		}
	}
	instance := naming.Instance()
	for taken(instance) {
		instance = naming.Instance()
	}
	// The id is written last: a home without it is not a home yet.
	if err := WriteFile(filepath.Join(dir, versionFile), []byte(LayoutVersion+"\n"), 0o644); err != nil {
		return Home{}, err
	}
	if err := writeOnce(filepath.Join(dir, instanceFile), []byte(instance+"\n")); err != nil {
		return Home{}, err
	}
	h, err := Open(dir) // who started at the same time may have been first
	if err != nil {
		return Home{}, err
	}
	return h, h.makeDirs()
}

// Remove deletes the home with all that is in it.
func (h Home) Remove() error {
	if _, err := Open(h.Dir); err != nil {
		return fmt.Errorf("removing the home: %w", err)
	}
	entries, err := os.ReadDir(h.Dir)
	if err != nil {
		return fmt.Errorf("removing the home: %w", err)
	}
	// The id goes last, so that an interrupted removal can be done again.
	for _, entry := range entries {
		if name := entry.Name(); name == instanceFile || name == versionFile {
			continue
		}
		if err := os.RemoveAll(filepath.Join(h.Dir, entry.Name())); err != nil {
			return fmt.Errorf("removing the home: %w", err)
		}
	}
	if err := os.RemoveAll(h.Dir); err != nil {
		return fmt.Errorf("removing the home: %w", err)
	}
	return nil
}

// checkWhole refuses a home of which a part is gone without which the rest
// would be lost: a service that started with an empty management API would know
// none of the clusters, and one with a new identity could reach none.
func (h Home) checkWhole() error {
	const mend = "restore it from a backup, or remove the install with berth down --purge"
	etcd := h.ManagementData()
	_, err := os.Stat(etcd)
	if shares, err := h.SharesManagement(); err != nil || shares {
		return err // what its clusters are lies elsewhere
	}
	switch {
	case err == nil:
		if _, err := os.Stat(h.CloudFile()); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: %s is half deleted, %s is gone: %s", ErrUnusable, h.Dir, h.CloudFile(), mend)
		}
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("checking the home: %w", err)
	}
	for _, dir := range []string{h.ControlPlanesDir(), h.MachinesDir()} {
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("checking the home: %w", err)
		}
		if len(entries) > 0 {
			return fmt.Errorf("%w: %s is half deleted, it holds clusters and %s is gone: %s", ErrUnusable, h.Dir, etcd, mend)
		}
	}
	return nil
}

// SharesManagement says whether the install keeps its objects in a cluster that
// it was told of, and has no management API of its own.
func (h Home) SharesManagement() (bool, error) {
	var options map[string]string
	_, err := ReadJSON(h.OptionsFile(), &options)
	return options["management-kubeconfig"] != "", err
}

// makeDirs makes the directories below the home.
func (h Home) makeDirs() error {
	for _, dir := range []struct {
		path string
		mode fs.FileMode
	}{
		{h.IdentityDir(), 0o711},
		{h.ManagementDir(), 0o711},
		{h.ControlPlanesDir(), 0o711},
		{h.MachinesDir(), 0o711},
		{h.BackupsDir(), 0o711},
		{h.BinDir(), 0o755},
		{h.LogDir(), 0o700},
	} {
		if err := os.MkdirAll(dir.path, dir.mode); err != nil {
			return fmt.Errorf("making the home: %w", err)
		}
	}
	return nil
}

// checkOwner makes sure that no one but this user can put files into the home.
func checkOwner(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("checking the home: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is not a directory", ErrUnusable, dir)
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("%w: others may write to %s: run chmod go-w %s", ErrUnusable, dir, dir)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 && stat.Uid != 0 {
		return fmt.Errorf("%w: %s belongs to uid %d: run chown root %s", ErrUnusable, dir, stat.Uid, dir)
	}
	return nil
}
