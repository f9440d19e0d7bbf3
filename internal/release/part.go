package release

import (
	"context"
	"fmt"
	"strings"
)

// part is one thing that is built on its own and kept on its own in the cache.
type part struct {
	name    string
	version string
	recipe  recipe
	// needs are the names of the parts that its recipe reads; they come before it.
	needs []string
}

// title names the part to people.
func (p part) title() string { return strings.TrimSpace(p.name + " " + p.version) }

// recipe is how a part is built. Its exported fields are part of the key under
// which the result is kept, and so is every file that sources returns.
type recipe interface {
	// sources are the embedded files that it builds from.
	sources() []string
	// usesGo is true if the result depends on the Go toolchain.
	usesGo() bool
	// packages are the Debian packages that it builds with.
	packages() []debianPackage
	// build puts the result into job.output, an empty directory.
	build(ctx context.Context, job job) error
}

// job is one run of a recipe.
type job struct {
	// source holds the recipe's sources and is removed afterwards; output becomes the cache's entry.
	source, output string
	// inputs are the directories of the parts that the recipe reads, by name.
	inputs map[string]string
	run    runner
	report *reporter
}

// program is one Go main package of a part.
type program struct {
	// Package is an import path of the part's module, or main.go.
	Package string
	// Names are the names it gets; more than one for a multi-call binary.
	Names []string
}

// Names of the parts that are asked for by name elsewhere in this package.
const (
	partNodeImage     = "node-image"
	partCoreDNS       = "coredns"
	partMetricsServer = "metrics-server"
	partSamples       = "samples"
	partPause         = "pause"
	partImages        = "images"
	partCNI           = "cni"
	partEtcd          = "etcd"
)

// parts are all parts of a release in the order in which they are built: what
// fails for want of a package or of the network comes first, the longest last.
func parts(version string) []part {
	return []part{
		{name: partNodeImage, recipe: debianImage()},
		{name: partPause, recipe: cProgram{Source: "pause/pause.c", Name: "pause"}},
		runcPart(),
		{name: partCNI, version: "v1.9.1", recipe: cniPlugins()},
		{name: partEtcd, version: "v3.6.8", recipe: goModule{
			Module: "etcd/v3.6.8", Programs: []program{{"go.etcd.io/etcd/server/v3", []string{"etcd"}}},
		}},
		{name: "konnectivity", version: "v0.34.0", recipe: goModule{
			Module: "konnectivity/v0.34.0",
			Programs: []program{
				{"sigs.k8s.io/apiserver-network-proxy/cmd/server", []string{"proxy-server"}},
				{"sigs.k8s.io/apiserver-network-proxy/cmd/agent", []string{"proxy-agent"}},
			},
		}},
		containerdPart(),
		{name: partCoreDNS, version: "v1.15.0", recipe: goModule{
			Module: "coredns/v1.15.0", Programs: []program{{mainFile, []string{"coredns"}}},
		}},
		{name: partMetricsServer, version: "v0.9.0", recipe: goModule{
			Module: "metrics-server/v0.9.0", Programs: []program{{"sigs.k8s.io/metrics-server/cmd/metrics-server", []string{"metrics-server"}}},
			LDFlags: "-s -w -X k8s.io/component-base/version.gitVersion=v0.9.0",
		}},
		{name: "disk", version: "v1.12.0", recipe: goModule{
			Module: "disk/v1.12.0", Programs: []program{{mainFile, []string{"disk-plugin"}}}, LDFlags: "-s -w", // one runs on every node
		}},
		{name: partSamples, recipe: goSources{Programs: []string{"web", "client"}}},
		{name: partImages, recipe: imageArchives(), needs: []string{partNodeImage, partPause, partCoreDNS, partMetricsServer, partSamples}},
		kubernetesPart(version),
	}
}

func runcPart() part {
	return part{name: "runc", version: "v1.5.2", recipe: goModule{
		Module:   "runc/v1.5.2",
		Programs: []program{{"github.com/opencontainers/runc", []string{"runc"}}},
		Tags:     "seccomp urfave_cli_no_docs netgo osusergo",
		LDFlags:  "-extldflags -static",
		CGO:      true,
	}}
}

func containerdPart() part {
	const module, version = "github.com/containerd/containerd/v2", "v2.4.2"
	return part{name: "containerd", version: version, recipe: goModule{
		Module: "containerd/" + version,
		Programs: []program{
			{module + "/cmd/containerd", []string{"containerd"}},
			{module + "/cmd/containerd-shim-runc-v2", []string{"containerd-shim-runc-v2"}},
			{module + "/cmd/ctr", []string{"ctr"}},
		},
		Tags:    "urfave_cli_no_docs",
		LDFlags: fmt.Sprintf("-X %[1]s/version.Package=%[1]s -X %[1]s/version.Version=%[2]s", module, version),
	}}
}

func cniPlugins() goModule {
	recipe := goModule{Module: "cni/v1.9.1"}
	for _, plugin := range []string{
		"main/bridge", "main/loopback", "main/ptp", "ipam/host-local", "ipam/static",
		"meta/bandwidth", "meta/firewall", "meta/portmap", "meta/tuning",
	} {
		_, name, _ := strings.Cut(plugin, "/")
		recipe.Programs = append(recipe.Programs, program{"github.com/containernetworking/plugins/plugins/" + plugin, []string{name}})
	}
	return recipe
}

func kubernetesPart(version string) part {
	recipe := goModule{
		Module:   "kubernetes/v" + version,
		Programs: []program{{mainFile, []string{"kube-apiserver"}}},
		LDFlags:  stamps(version),
	}
	for _, name := range []string{"kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"} {
		recipe.Programs = append(recipe.Programs, program{"k8s.io/kubernetes/cmd/" + name, []string{name}})
	}
	return part{name: "kubernetes", version: "v" + version, recipe: recipe}
}

// stamps are the linker's flags that stamp the version as upstream's release
// does: kubectl cannot parse the version of a server without it.
func stamps(version string) string {
	numbers := strings.SplitN(version, ".", 3)
	var flags []string
	for _, where := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			fmt.Sprintf("-X %s.gitVersion=v%s", where, version),
			fmt.Sprintf("-X %s.gitMajor=%s", where, numbers[0]),
			fmt.Sprintf("-X %s.gitMinor=%s", where, numbers[1]),
			fmt.Sprintf("-X %s.gitTreeState=clean", where))
	}
	return strings.Join(flags, " ")
}
