package bootstrap

import (
	"encoding/json"
	"fmt"
	"maps"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/pki"
)

// object is a piece of a JSON document; its keys are written in order.
type object = map[string]any

// files are the node's files. The programs read JSON wherever they read YAML.
func (n Node) files() (map[string]machine.File, error) {
	bootstrap, err := pki.Kubeconfig(pki.KubeconfigOptions{
		Cluster: "cluster", User: "bootstrap", Server: n.APIServer, CAFile: caFile, Token: n.BootstrapToken, // the kubelet's own refers to the file, too
	})
	if err != nil {
		return nil, err
	}
	proxy, err := pki.Kubeconfig(pki.KubeconfigOptions{
		Cluster: "cluster", User: "kube-proxy", Server: n.APIServer, CA: n.ClusterCA,
		ClientCert: n.ProxyCert, ClientKey: n.ProxyKey,
	})
	if err != nil {
		return nil, err
	}
	files := map[string]machine.File{
		caFile:              {Mode: 0o644, Content: n.ClusterCA},
		tokenFile:           {Mode: 0o600, Content: []byte(n.BootstrapToken)},
		bootstrapKubeconfig: {Mode: 0o600, Content: bootstrap},
		proxyKubeconfig:     {Mode: 0o600, Content: proxy},
		proxyCertFile:       {Mode: 0o644, Content: n.ProxyCert},
		proxyKeyFile:        {Mode: 0o600, Content: n.ProxyKey},
		containerdFile:      {Mode: 0o644, Content: n.containerdConfig(), AtStart: true},
	}
	if n.Nameserver.IsValid() {
		// A second is enough for an answer from the same host; what has no answer is refused at once.
		files[resolverFile] = machine.File{Mode: 0o644, Content: fmt.Appendf(nil, "nameserver %s\noptions timeout:1 attempts:2\n", n.Nameserver)}
	}
	documents := map[string]object{kubeletConfigFile: n.kubeletConfig(), proxyConfigFile: n.proxyConfig()}
	if !n.BringsCNI {
		documents[cniPendingFile] = n.cniConfig()
	}
	for path, document := range documents {
		content, err := json.MarshalIndent(document, "", "  ")
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", path, err)
		}
		files[path] = machine.File{Mode: 0o644, Content: append(content, '\n'), AtStart: true}
	}
	return files, nil
}

// kubeletConfig is a KubeletConfiguration. What is not said is upstream's default.
func (n Node) kubeletConfig() object {
	resolver := "" // then pods that ask the node's resolver have none
	if n.Nameserver.IsValid() {
		resolver = resolverFile
	}
	config := object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",

		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": caFile},
		},
		"authorization":      object{"mode": "Webhook"},
		"rotateCertificates": true,
		"serverTLSBootstrap": true,
		"tlsMinVersion":      "VersionTLS12",
		"readOnlyPort":       0,

		// A machine is a user namespace with cgroups that were handed to it:
		// what the kubelet may not set there, the host has set.
		"featureGates": object{"KubeletInUserNamespace": true},
		"cgroupDriver": "cgroupfs",
		"failCgroupV1": false,
		"failSwapOn":   false,

		"containerRuntimeEndpoint": "unix://" + containerdSocket,
		"makeIPTablesUtilChains":   false, // kube-proxy has nftables; nothing here reads iptables
		"resolvConf":               resolver,
		"clusterDNS":               []string{n.ClusterDNS.String()},
		"clusterDomain":            "cluster.local",
		"maxPods":                  n.MaxPods,
		"providerID":               n.ProviderID,
		"kubeReserved":             object{"cpu": "50m", "memory": "128Mi"},
		"systemReserved":           object{"cpu": "50m", "memory": "64Mi"},
		"containerLogMaxSize":      "50Mi",
		"containerLogMaxFiles":     5,
		// Upstream's, said so that they hold whatever becomes of that: images that no
		// pod uses go at 85 % of the disk until it is 80 % full.
		"imageGCHighThresholdPercent": 85,
		"imageGCLowThresholdPercent":  80,
		"volumePluginDir":             "/var/lib/kubelet/volumeplugins",
		"nodeStatusUpdateFrequency":   "5s",
		"serializeImagePulls":         false,
	}
	maps.Copy(config, n.Kubelet)
	if _, chosen := n.Kubelet["cpuCFSQuotaPeriod"]; chosen { // upstream has it behind a gate
		config["featureGates"] = object{"KubeletInUserNamespace": true, "CustomCPUCFSQuotaPeriod": true}
	}
	if len(n.Taints) > 0 {
		var taints []taint
		for _, text := range n.Taints {
			parsed, _ := parseTaint(text) // validated
			taints = append(taints, parsed)
		}
		config["registerWithTaints"] = taints
	}
	return config
}

// proxyConfig is a KubeProxyConfiguration.
func (n Node) proxyConfig() object {
	config := object{
		"apiVersion":         "kubeproxy.config.k8s.io/v1alpha1",
		"kind":               "KubeProxyConfiguration",
		"mode":               "nftables",
		"clientConnection":   object{"kubeconfig": proxyKubeconfig},
		"hostnameOverride":   n.Name,
		"metricsBindAddress": proxyMetrics,
		// The size of the connection table is the host's; the machine cannot set it. The times are its own, upstream's
		// defaults: a connection that one side has closed is kept for an hour instead of the kernel's minute.
		"conntrack": object{"maxPerCore": 0, "tcpEstablishedTimeout": "24h0m0s", "tcpCloseWaitTimeout": "1h0m0s"},
		"nftables":  object{"minSyncPeriod": "200ms"},
	}
	if n.ClusterPodCIDR.IsValid() {
		config["clusterCIDR"] = n.ClusterPodCIDR.String()
	} else { // pods are told from others by their links
		config["detectLocalMode"] = "InterfaceNamePrefix"
		config["detectLocal"] = object{"interfaceNamePrefix": podLinkPrefix}
	}
	return config
}

// containerdConfig turns off what a user namespace, or a host without
// CAP_SYS_RESOURCE, does not allow.
func (n Node) containerdConfig() []byte {
	return fmt.Appendf(nil, `version = 3
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = [
  "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.erofs",
  "io.containerd.snapshotter.v1.zfs",
  "io.containerd.tracing.processor.v1.otlp",
]

[grpc]
  address = %q

[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = %q

[plugins."io.containerd.cri.v1.images".registry]
  config_path = "/etc/containerd/certs.d"

[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  disable_hugetlb_controller = true

[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = [%q]
  conf_dir = "/etc/cni/net.d"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
  SystemdCgroup = false
`, containerdSocket, n.PauseImage, plugins)
}
