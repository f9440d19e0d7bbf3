package bootstrap

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/supervise"
)

// environment is that of every component.
func environment() []string {
	return []string{"PATH=" + strings.TrimSuffix(programs, "/") + ":/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
}

// components are the node's programs. Images come last: later components wait
// for a program that runs once, and only pods need images.
func (n Node) components() []supervise.Component {
	components := []supervise.Component{
		{Name: "containerd", Command: []string{programs + "containerd", "--config", containerdFile}},
		n.kubelet(),
		n.kubeProxy(),
		n.diskPlugin(),
	}
	for _, authority := range n.authorities() {
		components = append(components, n.konnectivityAgent(authority))
	}
	components = append(components, n.imageImports()...)
	if !n.BringsCNI {
		components = append(components, openForPods())
	}
	for i := range components {
		if components[i].Env == nil {
			components[i].Env = []string{supervise.NoMemoryProfile}
		}
		components[i].Env = append(environment(), components[i].Env...)
		components[i].Dir = "/"
	}
	return components
}

// kubelet waits for the API server to accept the one-time token, because a
// kubelet that comes too early sleeps for seconds before it tries again. Once
// it has a certificate of its own, that takes the token's place.
func (n Node) kubelet() supervise.Component {
	var labels []string
	for _, key := range slices.Sorted(maps.Keys(n.Labels)) {
		labels = append(labels, key+"="+n.Labels[key])
	}
	command := []string{
		programs + "kubelet",
		"--config=" + kubeletConfigFile,
		"--bootstrap-kubeconfig=" + bootstrapKubeconfig,
		"--kubeconfig=" + kubeletDir + kubeletKubeconfig + n.suffix(),
		"--cert-dir=" + n.certificateDir(),
		"--hostname-override=" + n.Name,
		"--vmodule=kubelet=2", // what kubeletKnowsPods is logged at
		"--node-ip=" + n.Address.String(),
	}
	if len(labels) > 0 {
		command = append(command, "--node-labels="+strings.Join(labels, ","))
	}
	return supervise.Component{
		Name: "kubelet", Command: command, StayUntilOpen: true,
		// One request at a time on a connection: then it is seen when all are answered,
		// and who asked over one that ends before it was heard asks again. Over HTTP/2
		// nobody does.
		Env: []string{supervise.NoMemoryProfile + ",http2server=0"},
		Shelter: &supervise.Shelter{
			Port: kubeletPort, Until: n.certificateDir() + "/" + kubeletServingCertificate, UntilSaid: kubeletKnowsPods,
		},
		Gate: &supervise.Probe{
			HTTPS: n.APIServer + "/readyz", CAFile: caFile, TokenFile: tokenFile,
			CertFile: n.certificate(), KeyFile: n.certificate(),
		},
	}
}

// kubeProxy waits until the node is registered: it looks for the node's
// addresses once a second only.
func (n Node) kubeProxy() supervise.Component {
	return supervise.Component{
		Name: "kube-proxy", Command: []string{programs + "kube-proxy", "--config=" + proxyConfigFile},
		Gate: &supervise.Probe{
			HTTPS: n.APIServer + "/api/v1/nodes/" + n.Name, CAFile: caFile,
			CertFile: proxyCertFile, KeyFile: proxyKeyFile,
		},
		RestartOnChange: []string{proxyKubeconfig},
		StopTimeout:     2 * time.Second,
	}
}

// konnectivityAgent shows the kubelet's certificate: it proves which node the
// agent speaks for, and it rotates. The agent waits until that certificate
// opens the API server: then there is a network, too. There is one for each
// authority that is trusted: what goes through an agent ends with it, so that of an
// old authority goes only with the konnectivity server that takes it.
func (n Node) konnectivityAgent(authority string) supervise.Component {
	certificate := n.certificateOf(authority)
	server, _ := netip.ParseAddrPort(n.KonnectivityAddress) // validated
	family := "ipv4"
	if n.Address.Is6() {
		family = "ipv6"
	}
	return supervise.Component{
		Name: "konnectivity-agent" + suffixOf(authority), StayUntilOpen: true,
		Command: []string{
			programs + "proxy-agent",
			"--agent-id=" + n.Name,
			"--agent-identifiers=" + family + "=" + n.Address.String() + "&host=" + n.Name,
			"--agent-cert=" + certificate,
			"--agent-key=" + certificate,
			"--ca-cert=" + caFile,
			"--proxy-server-host=" + server.Addr().String(),
			"--proxy-server-port=" + strconv.Itoa(int(server.Port())),
			"--sync-forever=true",
			"--sync-interval=1s",
			"--sync-interval-cap=5s",
			"--keepalive-time=30s",
			"--health-server-host=127.0.0.1",
			"--health-server-port=" + strconv.Itoa(agentPort(authority)),
			"--admin-bind-address=127.0.0.1",
			"--admin-server-port=" + strconv.Itoa(agentPort(authority)+1),
		},
		Gate: &supervise.Probe{
			HTTPS: n.APIServer + "/readyz", CAFile: caFile,
			CertFile: certificate, KeyFile: certificate,
		},
		RestartOnChange: []string{certificate},
		StopTimeout:     2 * time.Second,
	}
}

// agentPort is where an agent tells its health on loopback, the next one where it
// tells the rest: two of them run side by side for a while. Where both of them chose
// the same, one has none, and works all the same.
func agentPort(authority string) int {
	const first, pairs = 8133, 64
	sum := 0
	for _, b := range []byte(authority) {
		sum += int(b)
	}
	return first + 2*(sum%pairs)
}

// diskPlugin is the node's half of the driver of disks: it binds what the host
// brings into the machine to where the kubelet wants it. It waits until the node
// is registered: a kubelet that finds it sooner fails for seconds.
func (n Node) diskPlugin() supervise.Component {
	return supervise.Component{
		Name: "disk-plugin", StopTimeout: 2 * time.Second,
		Gate: &supervise.Probe{
			HTTPS: n.APIServer + "/api/v1/nodes/" + n.Name, CAFile: caFile,
			CertFile: n.certificate(), KeyFile: n.certificate(),
		},
		Command: []string{programs + "disk-plugin", "-node=" + n.Name, "-disks=" + machine.DiskDir, "-kubelet=" + strings.TrimSuffix(kubeletDir, "/")},
	}
}

// imageImports load the system images: the pause image first, because every
// pod needs it. Layers are unpacked when a pod first wants them, and the
// kubelet never collects the images as garbage: there may be no registry to
// get them back from.
func (n Node) imageImports() []supervise.Component {
	archives := slices.Clone(n.ImageArchives)
	slices.SortStableFunc(archives, func(a, b string) int { return cmp.Compare(importRank(a), importRank(b)) })
	var components []supervise.Component
	for _, archive := range archives {
		file := archiveName(archive)
		name, _, _ := strings.Cut(file, ".")
		components = append(components, supervise.Component{
			Name: "image-" + name, Once: true,
			Command: []string{
				programs + "ctr", "--address", containerdSocket, "--namespace", "k8s.io",
				"images", "import", "--local", "--no-unpack", "--label", "io.cri-containerd.pinned=pinned", images + file,
			},
			Gate: &supervise.Probe{Unix: containerdSocket},
		})
	}
	return components
}

// openForPods gives containerd its network configuration. Without one the node
// is not Ready, so that no pod comes before the images are there: it would try
// a registry, fail, and wait for ten seconds. Nor does one come, or a balancer's
// connection, before kube-proxy has written its rules, which its own health does
// not tell: what asked for a service would be refused. It is a move within the
// directory, because containerd ignores files that are created there.
func openForPods() supervise.Component {
	return supervise.Component{
		Name: "open-for-pods", Once: true,
		Gate:    &supervise.Probe{TCP: proxyMetrics, Metric: "kubeproxy_sync_proxy_rules_last_timestamp_seconds"},
		Command: []string{"/bin/mv", "--force", cniPendingFile, cniFile},
	}
}

// importRank is smaller for what pods need sooner.
func importRank(archive string) int {
	switch name := archiveName(archive); {
	case strings.HasPrefix(name, "pause"):
		return 0
	case strings.HasPrefix(name, "coredns"):
		return 1
	}
	return 2
}
