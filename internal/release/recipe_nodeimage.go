package release

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// nodeImage bootstraps the root file system of a node from the distribution's
// own packages, from wherever the host itself gets them.
type nodeImage struct {
	// Release is the month of the recipe; a later month builds a newer image of the same packages.
	Release string
	// Include are the packages beside the essential ones.
	Include []string
	// Exclude are patterns of files that are left out.
	Exclude []string
	// Directories are made so that a node can mount there.
	Directories []string
}

// debianImage is the node image: what kubelet, kube-proxy and the container
// runtime call, and a shell's tools for whoever looks into a node.
func debianImage() nodeImage {
	return nodeImage{
		Release: "202611",
		Include: []string{
			"busybox-static", // also the tools of the client image
			"ca-certificates", "conntrack", "e2fsprogs", "iproute2", "iptables", "kmod", "mount", "nftables", "procps",
		},
		Exclude: []string{
			"/usr/share/doc/*", "/usr/share/info/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/i18n/*",
			"/usr/share/lintian/*", "/usr/share/bash-completion/*",
		},
		Directories: []string{"/opt/bin", "/opt/cni/bin", "/etc/cni/net.d", "/etc/kubernetes", "/etc/containerd", "/var/lib/kubelet", "/var/lib/containerd"},
	}
}

// Directories of an entry: programs, and the root file system.
const (
	binDir  = "bin"
	rootDir = "rootfs"
)

func (n nodeImage) sources() []string { return nil }
func (n nodeImage) usesGo() bool      { return false }

func (n nodeImage) packages() []debianPackage {
	return []debianPackage{packageBootstrap, packageKeyring}
}

func (n nodeImage) build(ctx context.Context, job job) error {
	if os.Geteuid() != 0 {
		return errors.New("building the node image: run as root, because its files belong to root")
	}
	archives, err := hostArchives(ctx, job.run)
	if err != nil {
		return err
	}
	root := filepath.Join(job.output, rootDir)
	arguments := []string{"--mode=root", "--variant=minbase", "--include=" + strings.Join(n.Include, ",")}
	for _, pattern := range n.Exclude {
		arguments = append(arguments, "--dpkgopt=path-exclude="+pattern)
	}
	arguments = append(arguments, "", root)
	command := exec.Command("mmdebstrap", append(arguments, archives...)...)
	command.Dir = job.source
	job.report.detail("installing Debian packages")
	if err := job.run.run(ctx, command, nil); err != nil {
		return err
	}
	return n.clean(root)
}

// clean removes what belongs to the build or to one machine and not to the image.
func (n nodeImage) clean(root string) error {
	for _, path := range []string{"etc/apt/sources.list", "etc/resolv.conf", "etc/hostname", "etc/machine-id", "var/lib/dbus/machine-id", "var/log/apt"} {
		if err := os.RemoveAll(filepath.Join(root, path)); err != nil {
			return fmt.Errorf("cleaning the node image: %w", err)
		}
	}
	devices, err := filepath.Glob(filepath.Join(root, "dev", "*"))
	if err != nil {
		return err
	}
	for _, device := range devices {
		if err := os.RemoveAll(device); err != nil {
			return fmt.Errorf("cleaning the node image: %w", err)
		}
	}
	for _, file := range []string{"etc/resolv.conf", "etc/hostname", "etc/machine-id"} {
		if err := os.WriteFile(filepath.Join(root, file), nil, 0o644); err != nil {
			return fmt.Errorf("cleaning the node image: %w", err)
		}
	}
	for _, directory := range n.Directories {
		if err := os.MkdirAll(filepath.Join(root, directory), 0o755); err != nil {
			return fmt.Errorf("laying out the node image: %w", err)
		}
	}
	return nil
}

// hostArchives are the apt lines of the host's own distribution, without third
// parties' archives.
func hostArchives(ctx context.Context, run runner) ([]string, error) {
	codename, err := hostCodename("/etc/os-release")
	if err != nil {
		return nil, err
	}
	var output bytes.Buffer
	command := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages")
	command.Dir, command.Stdout = "/", &output
	if err := run.run(ctx, command, nil); err != nil {
		return nil, fmt.Errorf("asking apt for the host's archives: %w", err)
	}
	archives := selectArchives(output.String(), codename)
	if len(archives) == 0 {
		return nil, fmt.Errorf("found no archive of Debian %s among the host's apt sources", codename)
	}
	return archives, nil
}

// hostCodename reads VERSION_CODENAME of a Debian host.
func hostCodename(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("finding out the host's distribution: %w", err)
	}
	defer file.Close()
	values := map[string]string{}
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if name, value, ok := strings.Cut(lines.Text(), "="); ok {
			values[name] = strings.Trim(value, `"`)
		}
	}
	if values["ID"] != "debian" || values["VERSION_CODENAME"] == "" {
		return "", fmt.Errorf("the node image is built from Debian's packages, and this host is %q: build on Debian", values["ID"])
	}
	return values["VERSION_CODENAME"], nil
}

// selectArchives makes sources.list lines of apt's index targets, which come as
// "URI SUITE COMPONENT", of the suites of one codename.
func selectArchives(targets, codename string) []string {
	var archives []string
	seen := map[string]bool{}
	for line := range strings.Lines(targets) {
		fields := strings.Fields(line)
		if len(fields) != 3 || fields[2] != "main" {
			continue
		}
		suite := strings.TrimSuffix(fields[1], "/updates")
		if suite != codename && !strings.HasPrefix(suite, codename+"-") {
			continue
		}
		archive := fmt.Sprintf("deb %s %s %s", fields[0], fields[1], fields[2])
		if !seen[archive] {
			seen[archive] = true
			archives = append(archives, archive)
		}
	}
	return archives
}
