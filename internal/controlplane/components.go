package controlplane

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"time"

	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/supervise"
)

// The components of a control plane, in start order: names of programs, of
// components and of their logs.
const (
	Konnectivity      = "proxy-server"
	Etcd              = "etcd"
	APIServer         = "kube-apiserver"
	ControllerManager = "kube-controller-manager"
	Scheduler         = "kube-scheduler"
)

// The ports of a control plane.
const (
	// APIServerPort and KonnectivityPort are open on the public address.
	APIServerPort    = 443
	KonnectivityPort = 8132
	// The others listen on loopback.
	etcdPort               = 2379
	etcdPeerPort           = 2380
	konnectivityAdminPort  = 8133
	konnectivityHealthPort = 8134
	controllerManagerPort  = 10257
	schedulerPort          = 10259
)

// Components says what a control plane consists of: its files below dir, by
// relative path and all of them secret, and the processes in start order. It
// is a pure function.
func Components(desired Desired, dir string) (files map[string][]byte, components []supervise.Component, err error) {
	if err := desired.Validate(); err != nil {
		return nil, nil, err
	}
	if files, err = configuration(desired, dir); err != nil {
		return nil, nil, fmt.Errorf("control plane %s: %w", desired.ID, err)
	}
	p := plan{Desired: desired, dir: dir, loopback: Loopback(desired.Address)}
	if longest := evenSlot.own(p.socket()); len(longest) > maxSocketPath {
		return nil, nil, fmt.Errorf("control plane %s: %s is longer than the %d bytes of a socket's path", desired.ID, longest, maxSocketPath)
	}
	if desired.DatastoreOnly {
		return files, []supervise.Component{p.etcd()}, nil
	}
	return files, []supervise.Component{
		p.etcd(), p.konnectivity(), p.apiServer(), p.controllerManager(), p.scheduler(),
	}, nil
}

// Datastore is where the datastore listens, in the control plane's network
// namespace.
func (d Desired) Datastore() string {
	return net.JoinHostPort(Loopback(d.Address).String(), fmt.Sprint(etcdPort))
}

// maxSocketPath is the kernel's limit, without the final zero.
const maxSocketPath = 107

// Loopback is where the private ports listen. A control plane whose public
// address is a loopback address runs in the host's own namespace, perhaps
// beside others, and keeps to that address.
func Loopback(address netip.Addr) netip.Addr {
	if address.IsLoopback() {
		return address
	}
	return netip.MustParseAddr("127.0.0.1")
}

// plan makes the components of one control plane.
type plan struct {
	Desired
	dir      string
	loopback netip.Addr
}

// component is a process with what all have in common.
func (p plan) component(name string, stopTimeout time.Duration, arguments ...string) supervise.Component {
	return supervise.Component{
		Name:        name,
		Command:     append([]string{p.Binaries[name]}, arguments...),
		Arg0:        name,
		Dir:         p.dir,
		StopTimeout: stopTimeout,
	}
}

// emulating is a component of Kubernetes itself, which can behave as an earlier
// minor: what it stores is then what that minor reads.
func (p plan) emulating(name string, stopTimeout time.Duration, arguments ...string) supervise.Component {
	if p.EmulatedVersion != "" {
		arguments = append(arguments, "--emulated-version=kube="+p.EmulatedVersion)
	}
	return p.component(name, stopTimeout, arguments...)
}

func (p plan) pki(name string) string    { return filepath.Join(p.dir, pkiDir, name) }
func (p plan) config(name string) string { return filepath.Join(p.dir, configDir, name) }
func (p plan) socket() string            { return filepath.Join(p.dir, "konnectivity.sock") }
func (p plan) private(port int) string {
	return net.JoinHostPort(p.loopback.String(), fmt.Sprint(port))
}
func (p plan) apiServerURL() string { return serverURL(p.Address) }

// serverURL is the URL of an API server, under its address: components do not depend on a DNS.
func serverURL(address netip.Addr) string {
	host := address.String()
	if address.Is6() {
		host = "[" + host + "]"
	}
	return "https://" + host // 443 is what https means
}

// etcd is the datastore: one member, reached over loopback with the certificates
// of the cluster's etcd CA alone.
func (p plan) etcd() supervise.Component {
	client, peer := "https://"+p.private(etcdPort), "https://"+p.private(etcdPeerPort)
	etcd := p.component(Etcd, 10*time.Second,
		"--name="+p.ID,
		"--data-dir="+filepath.Join(p.dir, "etcd"),
		"--listen-client-urls="+client,
		"--advertise-client-urls="+client,
		"--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer,
		"--initial-cluster="+p.ID+"="+peer,
		"--cert-file="+p.pki(pki.EtcdServerCert),
		"--key-file="+p.pki(pki.EtcdServerKey),
		"--client-cert-auth",
		"--trusted-ca-file="+p.pki(pki.EtcdCACert),
		"--peer-cert-file="+p.pki(pki.EtcdServerCert),
		"--peer-key-file="+p.pki(pki.EtcdServerKey),
		"--peer-client-cert-auth",
		"--peer-trusted-ca-file="+p.pki(pki.EtcdCACert),
		"--tls-min-version=TLS1.2",
		"--quota-backend-bytes=8589934592", // the most that etcd recommends
		"--snapshot-count=10000",           // entries kept in memory between snapshots
		"--heartbeat-interval=50",          // of one member alone: with the usual second it elects itself half a second later
		"--election-timeout=250",
		"--watch-progress-notify-interval=1m", // who reads consistently asks for it; each 5 s it is a third of what an idle cluster computes
		"--log-outputs=stderr",
	)
	// It reads its certificate for each connection. An authority that is new is
	// vouched for by the one that it knows, so only the end of an old one counts.
	etcd.RestartOnChange = []string{p.config(oldestEtcdCAFile)}
	// Asked to end, it takes no connection any more and waits seconds for the API
	// server's watches, which do not end; all that it acknowledged is in its log.
	etcd.ChangeTimeout = 500 * time.Millisecond
	// The profile of its memory is small, and an upgrade of Berth that changed this would restart it.
	etcd.Env = []string{collector(eager)}
	return etcd
}

// lastRequests is for how long an API server serves on once new connections are
// led past it: a client that was just let in has still to shake hands and to ask.
const lastRequests = 2 * time.Second

// podIssuer is the issuer of service accounts' tokens that every pod finds, trusts
// and reads the keys of, because it is the API server.
const podIssuer = "https://kubernetes.default.svc.cluster.local"

// apiServer is the API server, the only part that customers meet. Some flags
// are missing on purpose: --goaway-chance, which would only make clients
// reconnect to the one server there is, and --shutdown-delay-duration, for which
// every stop would wait: only a hand-over needs it, and has Linger. With
// --shutdown-send-retry-after it ends two seconds after the last request that is
// not a watch; without, it waits a whole minute for the watches to end, which never do.
func (p plan) apiServer() supervise.Component {
	address := p.Address.String()
	server := p.emulating(APIServer, 10*time.Second,
		FirstSlot.flag(),
		"--bind-address="+address,
		"--advertise-address="+address,
		"--tls-cert-file="+p.pki(pki.APIServerCert),
		"--tls-private-key-file="+p.pki(pki.APIServerKey),
		"--tls-min-version=VersionTLS12",
		"--service-cluster-ip-range="+p.ServiceCIDR.String(),
		"--allow-privileged=true",
		"--profiling=false",
		"--request-timeout=1m0s",
		"--shutdown-send-retry-after=true",

		"--etcd-servers=https://"+p.private(etcdPort),
		"--etcd-prefix="+p.EtcdPrefix,
		"--etcd-cafile="+p.pki(pki.EtcdCACert),
		"--etcd-certfile="+p.pki(pki.EtcdClientCert),
		"--etcd-keyfile="+p.pki(pki.EtcdClientKey),
		"--encryption-provider-config="+p.config(encryptionFile),

		"--client-ca-file="+p.config(clientCAFile),
		"--anonymous-auth=false",
		"--enable-bootstrap-token-auth=true",
		"--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--service-account-issuer="+podIssuer, // of new tokens; those of the next are accepted
		"--service-account-issuer="+p.Issuer,
		"--service-account-jwks-uri="+podIssuer+"/openid/v1/jwks",
		"--service-account-key-file="+p.pki(pki.ServiceAccountPub),
		"--service-account-signing-key-file="+p.pki(pki.ServiceAccountKey),

		"--requestheader-client-ca-file="+p.pki(pki.FrontProxyCACert),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file="+p.pki(pki.FrontProxyClientCert),
		"--proxy-client-key-file="+p.pki(pki.FrontProxyClientKey),
		"--endpoint-reconciler-type=none",  // the add-ons hold it: of two servers that hand over, the one that ends would take it away
		"--enable-aggregator-routing=true", // to the pods themselves: no kube-proxy runs beside the API server

		egressFlag+"="+p.config(egressFile),
		"--kubelet-certificate-authority="+p.pki(pki.ClusterCACert),
		"--kubelet-client-certificate="+p.pki(p.lasting(pki.APIServerKubeletClientCert)),
		"--kubelet-client-key="+p.pki(p.lasting(pki.APIServerKubeletClientKey)),
		"--kubelet-preferred-address-types=InternalIP",

		"--audit-policy-file="+p.config(auditPolicyFile),
		auditLogFlag+"="+filepath.Join(p.dir, supervise.LogDir, "audit.log"),
		"--audit-log-maxsize=50",
		"--audit-log-maxbackup=5",
		"--audit-log-maxage=30",
		"--audit-log-truncate-enabled=true",
	)
	server.Env = []string{collector(serving), supervise.NoMemoryProfile}
	server.Linger = lastRequests
	server.Gate = &supervise.Probe{TCP: p.private(etcdPort)}
	// Some of them it watches itself; a successor has all of them from its start.
	server.RestartOnChange = []string{
		p.config(encryptionFile), p.config(auditPolicyFile), p.config(egressFile), p.config(clientCAFile),
		p.pki(pki.ServiceAccountKey), p.pki(pki.ServiceAccountPub),
		p.pki(pki.ClusterCACert), p.pki(pki.APIServerCert),
		p.pki(pki.EtcdCACert), p.pki(pki.EtcdClientCert), p.pki(pki.FrontProxyCACert), p.pki(pki.FrontProxyClientCert),
	}
	return server
}

// controllerManager runs Kubernetes' own controllers. Each signer has the
// authority that its certificates belong to; kubelets' requests are approved
// by Berth, which knows the machines, and by nobody else.
func (p plan) controllerManager() supervise.Component {
	kubeconfig := p.config(controllerManagerKubeconfig)
	manager := p.emulating(ControllerManager, 5*time.Second,
		"--kubeconfig="+kubeconfig,
		"--authentication-kubeconfig="+kubeconfig,
		"--authorization-kubeconfig="+kubeconfig,
		"--bind-address="+p.loopback.String(),
		"--secure-port="+fmt.Sprint(controllerManagerPort),
		"--tls-min-version=VersionTLS12",
		"--leader-elect=false", // there is one
		"--profiling=false",
		"--use-service-account-credentials=true",
		"--controllers=*,bootstrap-signer-controller,token-cleaner-controller,-certificatesigningrequest-approving-controller",
		"--allocate-node-cidrs=false", // a node's range comes with its machine
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--root-ca-file="+p.pki(pki.ClusterCACert),
		"--service-account-private-key-file="+p.pki(pki.ServiceAccountKey),
		"--cluster-signing-duration=720h0m0s",
		"--cluster-signing-kubelet-client-cert-file="+p.config(clusterSignerFile),
		"--cluster-signing-kubelet-client-key-file="+p.pki(pki.ClusterCAKey),
		"--cluster-signing-kubelet-serving-cert-file="+p.config(clusterSignerFile),
		"--cluster-signing-kubelet-serving-key-file="+p.pki(pki.ClusterCAKey),
		"--cluster-signing-kube-apiserver-client-cert-file="+p.config(userSignerFile),
		"--cluster-signing-kube-apiserver-client-key-file="+p.pki(pki.UserCAKey),
	)
	manager.Env = []string{collector(eager), supervise.NoMemoryProfile}
	// It wakes hundreds of times a second for timers of queues that are empty, and
	// nobody waits for it by milliseconds.
	manager.TimerSlack = 25 * time.Millisecond
	manager.Gate = p.ready(pki.ControllerManagerCert, pki.ControllerManagerKey)
	manager.RestartOnChange = []string{
		kubeconfig, p.pki(pki.ClusterCACert), p.pki(pki.ServiceAccountKey), p.config(clusterSignerFile), p.config(userSignerFile),
	}
	return manager
}

func (p plan) scheduler() supervise.Component {
	kubeconfig := p.config(schedulerKubeconfig)
	scheduler := p.emulating(Scheduler, 5*time.Second,
		"--kubeconfig="+kubeconfig,
		"--authentication-kubeconfig="+kubeconfig,
		"--authorization-kubeconfig="+kubeconfig,
		"--bind-address="+p.loopback.String(),
		"--secure-port="+fmt.Sprint(schedulerPort),
		"--tls-min-version=VersionTLS12",
		"--leader-elect=false", // there is one
		"--profiling=false",
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
	)
	scheduler.Env = []string{collector(eager), supervise.NoMemoryProfile}
	scheduler.Gate = p.ready(pki.SchedulerCert, pki.SchedulerKey)
	scheduler.RestartOnChange = []string{kubeconfig}
	return scheduler
}

// By how many percent the memory of a component grows until Go collects its
// garbage; Go's own is 100. docs/design/density.md has the figures.
const (
	// eager is for those who compute little.
	eager = 25
	// serving is for an API server: eager, it needs half as much processor time
	// again until it is ready.
	serving = 40
)

func collector(percent int) string { return fmt.Sprintf("GOGC=%d", percent) }

// ready is the gate of what exits when it meets an API server that has not yet
// made its default roles.
func (p plan) ready(cert, key string) *supervise.Probe {
	return &supervise.Probe{
		HTTPS:    p.apiServerURL() + "/readyz",
		CAFile:   p.pki(pki.ClusterCACert),
		CertFile: p.pki(cert),
		KeyFile:  p.pki(key),
	}
}

// konnectivity is where the nodes' agents dial in, and what the API server
// reaches the nodes through. An agent shows its kubelet's client certificate.
func (p plan) konnectivity() supervise.Component {
	server := p.component(Konnectivity, 2*time.Second,
		"--mode=grpc",
		serverIDFlag+"="+p.ID,
		"--server-count=1",
		socketFlag+"="+p.socket(),
		"--server-port=0",
		"--agent-bind-address="+p.Address.String(),
		"--agent-port="+fmt.Sprint(KonnectivityPort),
		"--cluster-cert="+p.pki(pki.KonnectivityServerCert),
		"--cluster-key="+p.pki(pki.KonnectivityServerKey),
		"--cluster-ca-cert="+p.pki(pki.ClusterCACert),
		"--proxy-strategies=destHost,default",
		"--admin-bind-address="+p.loopback.String(),
		"--admin-port="+fmt.Sprint(konnectivityAdminPort),
		"--health-bind-address="+p.loopback.String(),
		"--health-port="+fmt.Sprint(konnectivityHealthPort),
		"--keepalive-time=30s",
		"--frontend-keepalive-time=30s",
	)
	server.Env = []string{collector(eager), supervise.NoMemoryProfile}
	server.RestartOnChange = []string{
		p.pki(pki.KonnectivityServerCert), p.pki(pki.KonnectivityServerKey), p.pki(pki.ClusterCACert),
	}
	return server
}

// validIssuer says whether an issuer is a URL that tokens may carry.
func validIssuer(issuer string) bool {
	parsed, err := url.Parse(issuer)
	return err == nil && parsed.Scheme == "https" && parsed.Host != ""
}
