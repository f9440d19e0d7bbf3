package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// ErrMissingPackages says that the host lacks what a build needs; the error
// that wraps it names the packages and the line that installs them.
var ErrMissingPackages = errors.New("packages are missing on this host")

// debianPackage is the name of a package that a build needs.
type debianPackage string

const (
	packageCompiler  debianPackage = "gcc"
	packageLibc      debianPackage = "libc6-dev"
	packagePkgConfig debianPackage = "pkg-config"
	packageSeccomp   debianPackage = "libseccomp-dev"
	packageMake      debianPackage = "make"
	packageBzip2     debianPackage = "bzip2"
	packageBootstrap debianPackage = "mmdebstrap"
	packageKeyring   debianPackage = "debian-archive-keyring"
)

// evidence is what shows that the package is there, whoever brought it: a
// program's name or the pattern of a file.
func (p debianPackage) evidence() string {
	switch p {
	case packageLibc:
		return "/usr/lib/*/libc.a"
	case packageSeccomp:
		return "/usr/lib/*/libseccomp.a"
	case packageKeyring:
		return "/usr/share/keyrings/debian-archive-keyring.gpg"
	}
	return string(p)
}

func (p debianPackage) present() bool {
	evidence := p.evidence()
	if strings.HasPrefix(evidence, "/") {
		found, _ := filepath.Glob(evidence)
		return len(found) > 0
	}
	_, err := findProgram(evidence)
	return err == nil
}

// findProgram is exec.LookPath in the completed PATH.
func findProgram(name string) (string, error) {
	for _, directory := range filepath.SplitList(completePath("")) {
		path := filepath.Join(directory, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &exec.Error{Name: name, Err: exec.ErrNotFound}
}

// missingPackages lists what the parts need and the host lacks.
func missingPackages(parts []part) []string {
	var missing []string
	for _, part := range parts {
		for _, needed := range part.recipe.packages() {
			if name := string(needed); !needed.present() && !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	slices.Sort(missing)
	return missing
}

// MissingPackages lists the Debian packages that building the version needs
// and this host lacks.
func MissingPackages(version string) []string { return missingPackages(parts(version)) }

// installPackages makes what is missing present, where the caller may;
// otherwise its error names in one line what to install.
func (s *Store) installPackages(ctx context.Context, missing []string, report *reporter) error {
	line := "apt-get install --no-install-recommends " + strings.Join(missing, " ")
	apt, err := findProgram("apt-get")
	if err != nil || !s.options.InstallPackages || os.Geteuid() != 0 {
		return fmt.Errorf("%w: run as root: %s", ErrMissingPackages, line)
	}
	report.step("installing " + strings.Join(missing, ", "))
	log, err := s.openLog("packages")
	if err != nil {
		return err
	}
	defer log.Close()
	run := runner{log: log}
	for _, arguments := range [][]string{
		{"update", "-q"},
		append([]string{"install", "-q", "-y", "--no-install-recommends"}, missing...),
	} {
		command := exec.Command(apt, arguments...)
		command.Dir = "/"
		command.Env = replaceEnvironment(os.Environ(), map[string]string{
			"DEBIAN_FRONTEND": "noninteractive", "PATH": completePath(""), "LC_ALL": "C.UTF-8",
		})
		if err := run.run(ctx, command, nil); err != nil {
			return fmt.Errorf("%w, and %s did not work: %w", ErrMissingPackages, line, err)
		}
	}
	return nil
}
