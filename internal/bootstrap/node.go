// Package bootstrap owns what a machine needs to become a node of a cluster:
// its files and the components to run in it, as data. It is pure: it reads and
// writes nothing, and knows neither the management API nor how machines are made.
//
// The order in which a node comes up:
//
//	containerd         at once
//	kubelet            when the API server accepts the machine's one-time token,
//	                   or later the kubelet's own certificate
//	kube-proxy         when the API server shows the node
//	konnectivity-agent when the API server accepts the kubelet's certificate, which is also the agent's
//	disk-plugin        when the API server shows the node
//	image-…            the system images, one after the other, when containerd listens
//	open-for-pods      when the images are there and kube-proxy has written its rules; only then
//	                   the node gets Ready. Where the owner brings the network plugin, that is
//	                   what it waits for
//
// Everything may be ended and started again at any time: the one-time token is
// gone by then, and nothing waits for it.
package bootstrap

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"strings"

	"berth.dev/berth/internal/machine"
	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/supervise"
)

// Node is one node as it should join its cluster.
type Node struct {
	// Name is the node's name, and its machine's host name.
	Name string
	// Address is the node's address in its virtual network.
	Address netip.Addr
	// PodCIDR is the range of this node's pods; not valid where they have PodAddresses.
	PodCIDR netip.Prefix
	// PodAddresses are the addresses of this node's pods where they are a subnet's,
	// and PodSubnet is the range of that.
	PodAddresses []netip.Addr
	PodSubnet    netip.Prefix
	// BringsCNI says that the cluster's owner installs the network plugin: until
	// then the node takes no pods but those of its own network.
	BringsCNI bool
	// ClusterPodCIDR and ServiceCIDR are the cluster's ranges; the former is not
	// valid where pods have PodAddresses.
	ClusterPodCIDR netip.Prefix
	ServiceCIDR    netip.Prefix
	// ClusterDNS is the address of the cluster's DNS service.
	ClusterDNS netip.Addr
	// Nameserver is the address of the DNS outside of the cluster, for the node
	// itself and for pods that ask the node's; none if it is not valid.
	Nameserver netip.Addr
	// MaxPods is the most pods the node takes.
	MaxPods int
	// Labels and Taints are set when the node registers; a taint is key=value:Effect or key:Effect.
	Labels map[string]string
	Taints []string
	// Kubelet are fields of the KubeletConfiguration over those of every node.
	Kubelet map[string]any
	// ProviderID is the node's spec.providerID.
	ProviderID string
	// APIServer is the URL of the API server, without a path.
	APIServer string
	// KonnectivityAddress is host:port of the konnectivity server for agents.
	KonnectivityAddress string
	// ClusterCA are the certificates of the cluster's CA: the one that signs, and
	// those that are trusted beside it.
	ClusterCA []byte
	// Authority names the CA that signs. The kubelet keeps its certificates apart
	// by it: with another one it asks for new ones, with its one-time token.
	Authority string
	// BootstrapToken is the machine's one-time token, "id.secret".
	BootstrapToken string
	// ProxyCert and ProxyKey identify kube-proxy.
	ProxyCert, ProxyKey []byte
	// PauseImage is the reference of the image that holds a pod's namespaces.
	PauseImage string
	// ImageArchives are the file names of the machine's archives of system
	// images, with or without their directory on the host.
	ImageArchives []string
}

// The places in a machine (see package machine).
const (
	programs = "/opt/berth/bin/"
	images   = "/opt/berth/images/"
	plugins  = "/opt/cni/bin"
)

// The files of a node.
const (
	caFile              = "/etc/kubernetes/pki/ca.crt"
	proxyCertFile       = "/etc/kubernetes/pki/kube-proxy.crt"
	proxyKeyFile        = "/etc/kubernetes/pki/kube-proxy.key"
	tokenFile           = "/etc/kubernetes/bootstrap-token"
	bootstrapKubeconfig = "/etc/kubernetes/bootstrap.kubeconfig"
	proxyKubeconfig     = "/etc/kubernetes/kube-proxy.kubeconfig"
	resolverFile        = "/etc/resolv.conf"
	kubeletConfigFile   = "/etc/kubernetes/kubelet.json"
	proxyConfigFile     = "/etc/kubernetes/kube-proxy.json"
	containerdFile      = "/etc/containerd/config.toml"

	// A name that containerd does not read, and the one that it reads.
	cniPendingFile = "/etc/cni/net.d/10-berth.conflist.pending"
	cniFile        = "/etc/cni/net.d/10-berth.conflist"

	// What the kubelet writes itself.
	kubeletDir         = "/var/lib/kubelet/"
	kubeletKubeconfig  = "kubeconfig"
	kubeletCertificate = "kubelet-client-current.pem"
	authorityLength    = 12

	// kubeletPort is where a kubelet listens, kubeletServingCertificate what it
	// shows there once it has it.
	kubeletPort               = 10250
	kubeletServingCertificate = "kubelet-server-current.pem"
	// kubeletKnowsPods is what it logs when it has learnt of its pods, or that it has
	// none. Before, it knows of no pod that it is asked for.
	kubeletKnowsPods = `"SyncLoop ADD" source="api"`

	// proxyMetrics is where kube-proxy serves its metrics.
	proxyMetrics = "127.0.0.1:10249"

	containerdSocket = "/run/containerd/containerd.sock"
)

// PodsDir is where the kubelet of a node keeps the volumes of pods, inside the machine.
const PodsDir = kubeletDir + "pods"

// Machine returns the files and the components of a node.
func Machine(node Node) (map[string]machine.File, []supervise.Component, error) {
	if err := node.validate(); err != nil {
		return nil, nil, fmt.Errorf("bootstrapping node %s: %w", node.Name, err)
	}
	files, err := node.files()
	if err != nil {
		return nil, nil, fmt.Errorf("bootstrapping node %s: %w", node.Name, err)
	}
	return files, node.components(), nil
}

// certificateDir is where the kubelet keeps its certificates.
func (n Node) certificateDir() string { return kubeletDir + "pki" + n.suffix() }

// certificate is the kubelet's client certificate with its key.
func (n Node) certificate() string { return n.certificateDir() + "/" + kubeletCertificate }

// certificateOf is the kubelet's client certificate of an authority.
func (n Node) certificateOf(authority string) string {
	n.Authority = authority
	return n.certificate()
}

// authorities are those that are trusted, the one that signs first.
func (n Node) authorities() []string {
	all := []string{n.Authority}
	for _, id := range pki.AuthorityIDs(n.ClusterCA) {
		if id != n.Authority && n.Authority != "" {
			all = append(all, id)
		}
	}
	return all
}

// suffix tells the kubelet's files of one authority from those of another.
func (n Node) suffix() string { return suffixOf(n.Authority) }

func suffixOf(authority string) string {
	if authority == "" {
		return ""
	}
	return "-" + authority[:min(len(authority), authorityLength)]
}

// validate gathers everything that is wrong with a node.
func (n Node) validate() error {
	var errs []error
	for what, ok := range map[string]bool{
		"a name":                             n.Name != "",
		"an address":                         n.Address.IsValid(),
		"a service range":                    n.ServiceCIDR.IsValid(),
		"a DNS address in the service range": n.ServiceCIDR.Contains(n.ClusterDNS),
		"room for pods":                      n.MaxPods > 0,
		"a cluster CA":                       len(n.ClusterCA) > 0,
		"a bootstrap token":                  n.BootstrapToken != "",
		"a kube-proxy certificate":           len(n.ProxyCert) > 0 && len(n.ProxyKey) > 0,
		"a pause image":                      n.PauseImage != "",
	} {
		if !ok {
			errs = append(errs, fmt.Errorf("the node lacks %s", what))
		}
	}
	errs = append(errs, n.validatePods())
	if server, err := url.Parse(n.APIServer); err != nil || server.Scheme != "https" || server.Host == "" {
		errs = append(errs, fmt.Errorf("the API server's URL %q is not https://host", n.APIServer))
	}
	if _, err := netip.ParseAddrPort(n.KonnectivityAddress); err != nil {
		errs = append(errs, fmt.Errorf("the konnectivity server's address: %w", err))
	}
	for _, text := range n.Taints {
		if _, err := parseTaint(text); err != nil {
			errs = append(errs, err)
		}
	}
	for label := range n.Labels {
		if !selfSet(label) {
			errs = append(errs, fmt.Errorf("label %s: a kubelet may not set it on its own node", label))
		}
	}
	return errors.Join(errs...)
}

// validatePods looks at where the node's pods have their addresses from.
func (n Node) validatePods() error {
	switch {
	case len(n.PodAddresses) > 0:
		for _, address := range n.PodAddresses {
			if !n.PodSubnet.Contains(address) {
				return fmt.Errorf("the pods' address %s is not in their subnet %s", address, n.PodSubnet)
			}
		}
	case !n.PodCIDR.IsValid() || !n.ClusterPodCIDR.IsValid():
		return errors.New("the node lacks a pod range and one of its cluster")
	case !n.ClusterPodCIDR.Contains(n.PodCIDR.Addr()):
		return errors.New("the node lacks a pod range of its own in the cluster's")
	}
	return nil
}

// selfSet says whether Kubernetes lets a kubelet set a label on its own node:
// of kubernetes.io and k8s.io only some.
func selfSet(label string) bool {
	prefix, _, found := strings.Cut(label, "/")
	if !found {
		return true
	}
	switch label {
	case "kubernetes.io/hostname", "kubernetes.io/os", "kubernetes.io/arch",
		"topology.kubernetes.io/region", "topology.kubernetes.io/zone", "node.kubernetes.io/instance-type",
		"failure-domain.beta.kubernetes.io/region", "failure-domain.beta.kubernetes.io/zone",
		"beta.kubernetes.io/instance-type", "beta.kubernetes.io/os", "beta.kubernetes.io/arch":
		return true
	}
	for _, domain := range []string{"kubernetes.io", "k8s.io"} {
		if prefix == domain || strings.HasSuffix(prefix, "."+domain) {
			return prefix == "kubelet.kubernetes.io" || prefix == "node.kubernetes.io" ||
				strings.HasSuffix(prefix, ".kubelet.kubernetes.io") || strings.HasSuffix(prefix, ".node.kubernetes.io")
		}
	}
	return true
}

// taint is a taint as the kubelet's configuration has it.
type taint struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"`
	Effect string `json:"effect"`
}

func parseTaint(text string) (taint, error) {
	rest, effect, found := strings.Cut(text, ":")
	key, value, _ := strings.Cut(rest, "=")
	switch {
	case !found || key == "":
		return taint{}, fmt.Errorf("taint %q is not key=value:Effect", text)
	case effect != "NoSchedule" && effect != "PreferNoSchedule" && effect != "NoExecute":
		return taint{}, fmt.Errorf("taint %q: unknown effect %q", text, effect)
	}
	return taint{Key: key, Value: value, Effect: effect}, nil
}

// archiveName is an archive's name inside the machine.
func archiveName(archive string) string { return path.Base(archive) }
