// Package release owns the Kubernetes that Berth serves: the catalog of
// versions, how each is built from source, and the content-addressed cache of
// what was built. It must not know clusters or the management API.
package release

// Artifacts is one release, built and ready to run. All paths are absolute and
// lie in the cache; nothing there is ever written to again.
type Artifacts struct {
	// Version is the Kubernetes version without the v, e.g. 1.35.4.
	Version string `json:"version"`
	// Binaries maps a program's name to its path: kube-apiserver,
	// kube-controller-manager, kube-scheduler, kubelet, kube-proxy, kubectl, etcd,
	// containerd, containerd-shim-runc-v2, ctr, runc, proxy-server, proxy-agent,
	// coredns, disk-plugin.
	Binaries map[string]string `json:"binaries"`
	// CNI is the directory of the CNI plugins.
	CNI string `json:"cni"`
	// NodeImage is the root file system of the node image.
	NodeImage string `json:"nodeImage"`
	// NodeImageName is its name, e.g. BerthDebian-202611.<digest>.
	NodeImageName string `json:"nodeImageName"`
	// ImageArchives are the OCI archives of the system images: pause, CoreDNS,
	// metrics-server, the sample web server and the client image.
	ImageArchives []string `json:"imageArchives"`
	// Images maps a short name (pause, coredns, metrics-server, web, client) to
	// the image reference under which the archive loads.
	Images map[string]string `json:"images"`
}

// Progress says how far a build is.
type Progress struct {
	// Step is what is building, e.g. "kubernetes 1.35.4".
	Step string `json:"step"`
	// StepIndex of Steps, from 1.
	StepIndex int `json:"stepIndex"`
	Steps     int `json:"steps"`
	// Done of Total packages are compiled, where that is known.
	Done  int `json:"done"`
	Total int `json:"total"`
	// Detail is what the step does right now, e.g. "compiling".
	Detail string `json:"detail"`
	// Waiting is true while another process builds the step and this one waits for it.
	Waiting bool `json:"waiting"`
	// Elapsed is how long the step has taken, in seconds.
	Elapsed float64 `json:"elapsed"`
}
