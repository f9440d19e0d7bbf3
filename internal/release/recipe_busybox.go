package release

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// busybox builds busybox from upstream's source, which Debian's mirrors have
// beside its packages. Debian's own build leaves variables out of what its sh
// calls that have no name of a shell's, such as data-1, which the tests look for.
type busybox struct {
	// Version is upstream's, and SHA256 the sum of its archive.
	Version string
	SHA256  string
	// Without are upstream's default settings that are turned off.
	Without []string
}

// busyboxArchive is where a mirror has the source.
const busyboxArchive = "pool/main/b/busybox/busybox_%s.orig.tar.bz2"

func (b busybox) sources() []string { return nil }
func (b busybox) usesGo() bool      { return false }

func (b busybox) packages() []debianPackage {
	return []debianPackage{packageCompiler, packageLibc, packageMake, packageBzip2}
}

func (b busybox) build(ctx context.Context, job job) error {
	mirror, err := hostMirror(ctx, job.run)
	if err != nil {
		return err
	}
	job.report.detail("downloading its source")
	archive := fmt.Sprintf(busyboxArchive, b.Version)
	// apt's own, because it knows the host's proxies and compares the sum.
	fetch := exec.Command("/usr/lib/apt/apt-helper", "download-file", mirror+archive, path.Base(archive), "SHA256:"+b.SHA256)
	unpack := exec.Command("tar", "--extract", "--strip-components=1", "--file", path.Base(archive))
	for _, command := range []*exec.Cmd{fetch, unpack, exec.Command("make", "defconfig")} {
		command.Dir = job.source
		if err := job.run.run(ctx, command, nil); err != nil {
			return err
		}
	}
	if err := b.configure(filepath.Join(job.source, ".config")); err != nil {
		return err
	}
	job.report.detail("compiling")
	compile := exec.Command("make", "--jobs=2")
	compile.Dir = job.source
	if err := job.run.run(ctx, compile, nil); err != nil {
		return err
	}
	binaries := filepath.Join(job.output, binDir)
	if err := os.MkdirAll(binaries, 0o755); err != nil {
		return err
	}
	return os.Rename(filepath.Join(job.source, "busybox"), filepath.Join(binaries, "busybox"))
}

// configure turns settings off in upstream's defaults, and makes the program a static one.
func (b busybox) configure(file string) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	settings := string(content)
	const dynamic, static = "# CONFIG_STATIC is not set\n", "CONFIG_STATIC=y\n"
	changes := map[string]string{dynamic: static}
	for _, setting := range b.Without {
		changes["CONFIG_"+setting+"=y\n"] = "# CONFIG_" + setting + " is not set\n"
	}
	for from, to := range changes {
		if !strings.Contains(settings, from) {
			return fmt.Errorf("busybox %s has no setting %q by default", b.Version, strings.TrimSpace(from))
		}
		settings = strings.Replace(settings, from, to, 1)
	}
	return os.WriteFile(file, []byte(settings), 0o644)
}

// hostMirror is the URL of the mirror that the host's own packages come from, with a slash at its end.
func hostMirror(ctx context.Context, run runner) (string, error) {
	archives, err := hostArchives(ctx, run)
	if err != nil {
		return "", err
	}
	for _, archive := range archives {
		if fields := strings.Fields(archive); !strings.Contains(fields[2], "-security") && !strings.Contains(fields[2], "/") {
			return strings.TrimSuffix(fields[1], "/") + "/", nil
		}
	}
	return "", errors.New("the host's apt sources have security updates alone")
}
