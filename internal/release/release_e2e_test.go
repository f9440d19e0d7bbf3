//go:build e2e

package release

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// built returns the default release from the real cache, building what it lacks.
func built(t *testing.T) Artifacts {
	t.Helper()
	store, err := Open(Options{InstallPackages: true})
	if err != nil {
		t.Fatal(err)
	}
	artifacts, err := store.Build(t.Context(), "", func(p Progress) { t.Logf("%+v", p) })
	if err != nil {
		t.Fatal(err)
	}
	return artifacts
}

func output(t *testing.T, program string, arguments ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	said, err := exec.CommandContext(ctx, program, arguments...).CombinedOutput()
	if err != nil {
		t.Errorf("%s %s: %v\n%s", program, strings.Join(arguments, " "), err, said)
	}
	return string(said)
}

func TestEveryProgramRunsAndSaysTheVersionThatTheCatalogNames(t *testing.T) {
	artifacts := built(t)
	kubernetes := "Kubernetes v" + artifacts.Version
	for _, test := range []struct{ name, argument, want string }{
		{"kube-apiserver", "--version", kubernetes},
		{"kube-controller-manager", "--version", kubernetes},
		{"kube-scheduler", "--version", kubernetes},
		{"kubelet", "--version", kubernetes},
		{"kube-proxy", "--version", kubernetes},
		{"etcd", "--version", "etcd Version: 3.6.8"},
		{"containerd", "--version", "v2.4.2"},
		{"containerd-shim-runc-v2", "-v", "v2.4.2"},
		{"ctr", "--version", "v2.4.2"},
		{"runc", "--version", "runc version 1.5.2"},
		{"coredns", "-version", "CoreDNS-1.15.0"},
		{"proxy-server", "--help", "--server-port"},
		{"proxy-agent", "--help", "--proxy-server-host"},
	} {
		if said := output(t, artifacts.Binaries[test.name], test.argument); !strings.Contains(said, test.want) {
			t.Errorf("%s says %q, want %q in it", test.name, said, test.want)
		}
	}
	if said := output(t, artifacts.Binaries["kubectl"], "version", "--client"); !strings.Contains(said, "v"+artifacts.Version) {
		t.Errorf("kubectl says %q", said)
	}
	if said := output(t, artifacts.Binaries["runc"], "--version"); !strings.Contains(said, "libseccomp") {
		t.Errorf("runc has no seccomp: %q", said)
	}
}

func TestTheNodeImageHasTheToolsOfANodeAndNothingOfTheHost(t *testing.T) {
	artifacts := built(t)
	for _, tool := range []string{"nft", "iptables", "conntrack", "ip", "mount", "umount", "mkfs.ext4", "busybox"} {
		command := exec.Command("/bin/sh", "-c", "command -v "+tool)
		command.SysProcAttr = &syscall.SysProcAttr{Chroot: artifacts.NodeImage}
		command.Dir = "/"
		command.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
		if said, err := command.CombinedOutput(); err != nil {
			t.Errorf("the node image has no %s: %v %s", tool, err, said)
		}
	}
	for _, name := range []string{"etc/hostname", "etc/resolv.conf", "etc/machine-id"} {
		if info, err := os.Stat(filepath.Join(artifacts.NodeImage, name)); err != nil || info.Size() != 0 {
			t.Errorf("%s is not an empty file: %v", name, err)
		}
	}
	if devices, err := os.ReadDir(filepath.Join(artifacts.NodeImage, "dev")); err != nil || len(devices) != 0 {
		t.Errorf("the node image has devices: %v %v", devices, err)
	}
	if sources, err := os.ReadDir(filepath.Join(artifacts.NodeImage, "etc/apt/sources.list.d")); err != nil || len(sources) != 0 {
		t.Errorf("the node image names the host's package sources: %v %v", sources, err)
	}
}

func TestContainerdImportsEveryImageUnderItsName(t *testing.T) {
	artifacts := built(t)
	dir := t.TempDir()
	socket := filepath.Join(dir, "containerd.sock")
	config := filepath.Join(dir, "config.toml")
	content := "version = 3\nroot = \"" + dir + "/root\"\nstate = \"" + dir + "/state\"\n" +
		"disabled_plugins = [\"io.containerd.grpc.v1.cri\"]\n[grpc]\naddress = \"" + socket + "\"\n[ttrpc]\naddress = \"" + socket + ".ttrpc\"\n"
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	daemon := exec.Command(artifacts.Binaries["containerd"], "--config", config)
	daemon.Env = append(os.Environ(), "PATH="+filepath.Dir(artifacts.Binaries["containerd"])+":"+os.Getenv("PATH"))
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		_ = daemon.Wait()
	})
	ready := func() bool {
		return exec.Command(artifacts.Binaries["ctr"], "--address", socket, "--connect-timeout", "200ms", "version").Run() == nil
	}
	for deadline := time.Now().Add(30 * time.Second); !ready(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("containerd does not answer")
		}
	}
	for _, archive := range artifacts.ImageArchives {
		output(t, artifacts.Binaries["ctr"], "--address", socket, "--namespace", "k8s.io", "images", "import", archive)
	}
	listed := output(t, artifacts.Binaries["ctr"], "--address", socket, "--namespace", "k8s.io", "images", "list", "--quiet")
	for name, reference := range artifacts.Images {
		if !strings.Contains(listed, reference+"\n") {
			t.Errorf("%s is not there as %s, but %q", name, reference, listed)
		}
	}
}
