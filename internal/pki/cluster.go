package pki

import (
	"crypto/rand"
	"errors"
	"net/netip"
	"time"
)

// The files of a cluster's PKI, as NewCluster names them.
const (
	ClusterCACert              = "ca.crt"
	ClusterCAKey               = "ca.key"
	UserCACert                 = "user-ca.crt"
	UserCAKey                  = "user-ca.key"
	FrontProxyCACert           = "front-proxy-ca.crt"
	FrontProxyCAKey            = "front-proxy-ca.key"
	FrontProxyClientCert       = "front-proxy-client.crt"
	FrontProxyClientKey        = "front-proxy-client.key"
	EtcdCACert                 = "etcd-ca.crt"
	EtcdCAKey                  = "etcd-ca.key"
	EtcdServerCert             = "etcd-server.crt"
	EtcdServerKey              = "etcd-server.key"
	EtcdClientCert             = "etcd-client.crt"
	EtcdClientKey              = "etcd-client.key"
	APIServerCert              = "apiserver.crt"
	APIServerKey               = "apiserver.key"
	APIServerKubeletClientCert = "apiserver-kubelet-client.crt"
	APIServerKubeletClientKey  = "apiserver-kubelet-client.key"
	ControllerManagerCert      = "controller-manager.crt"
	ControllerManagerKey       = "controller-manager.key"
	SchedulerCert              = "scheduler.crt"
	SchedulerKey               = "scheduler.key"
	KonnectivityServerCert     = "konnectivity-server.crt"
	KonnectivityServerKey      = "konnectivity-server.key"
	ServiceAccountKey          = "sa.key"
	ServiceAccountPub          = "sa.pub"
	EncryptionKey              = "encryption.key"
	ServiceClientCert          = "service.crt"
	ServiceClientKey           = "service.key"
	MetricsServerCert          = "metrics-server.crt"
	MetricsServerKey           = "metrics-server.key"
	controlPlaneValidity       = 365 * 24 * time.Hour
	serviceAccountKeyBits      = 2048
	encryptionKeyBytes         = 32
	administrators             = "system:masters"
)

// ClusterNames are the names that a cluster's servers go by.
type ClusterNames struct {
	// FQDN is the API server's name in the install zone.
	FQDN string
	// Address is the API server's public address.
	Address netip.Addr
	// ServiceAddress is the first address of the service range, under which
	// pods reach the API server.
	ServiceAddress netip.Addr
	// Validity is how long leaves are valid; 0 means a year.
	Validity time.Duration
}

// validity is how long a new leaf is valid.
func (n ClusterNames) validity() time.Duration {
	if n.Validity == 0 {
		return controlPlaneValidity
	}
	return n.Validity
}

// NewCluster makes the whole PKI of a cluster, by file name. It takes about a
// tenth of a second of CPU, most of it for the service-account key, which is
// RSA because that is what verifiers of federated tokens support.
func NewCluster(names ClusterNames, now time.Time) (map[string][]byte, error) {
	if names.FQDN == "" || !names.Address.IsValid() || !names.ServiceAddress.IsValid() {
		return nil, errors.New("making a cluster's PKI: FQDN, address and service address are needed")
	}
	files := map[string][]byte{}
	authorities := map[string]Authority{}
	for certName, authority := range clusterAuthorities() {
		made, err := NewAuthority(authority.commonName, now)
		if err != nil {
			return nil, err
		}
		if files[authority.keyName], err = made.KeyPEM(); err != nil {
			return nil, err
		}
		files[certName] = made.CertificatePEM()
		authorities[certName] = made
	}
	for _, entry := range clusterLeaves(names) {
		entry.leaf.Validity = names.validity()
		certPEM, keyPEM, err := authorities[entry.authority].Issue(entry.leaf, now)
		if err != nil {
			return nil, err
		}
		files[entry.certName], files[entry.keyName] = certPEM, keyPEM
	}
	var err error
	if files[ServiceAccountKey], files[ServiceAccountPub], err = newServiceAccountKey(); err != nil {
		return nil, err
	}
	files[EncryptionKey] = make([]byte, encryptionKeyBytes)
	rand.Read(files[EncryptionKey]) // never fails: crypto/rand ends the process instead
	return files, nil
}

type clusterAuthority struct{ commonName, keyName string }

// clusterAuthorities are a cluster's authorities by certificate file.
func clusterAuthorities() map[string]clusterAuthority {
	return map[string]clusterAuthority{
		ClusterCACert:    {"berth-cluster-ca", ClusterCAKey},
		UserCACert:       {"berth-user-ca", UserCAKey},
		FrontProxyCACert: {"berth-front-proxy-ca", FrontProxyCAKey},
		EtcdCACert:       {"berth-etcd-ca", EtcdCAKey},
	}
}

type clusterLeaf struct {
	authority, certName, keyName string
	leaf                         Leaf
}

// clusterLeaves are a cluster's certificates below its authorities.
func clusterLeaves(names ClusterNames) []clusterLeaf {
	loopback := []netip.Addr{netip.MustParseAddr("127.0.0.1")}
	if names.Address.IsLoopback() && names.Address != loopback[0] {
		loopback = append(loopback, names.Address) // a control plane on the host's loopback: what is private listens there too
	}
	apiServer := Leaf{
		CommonName: "kube-apiserver",
		DNSNames: []string{names.FQDN, "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local", "localhost"},
		Addresses: []netip.Addr{names.Address, names.ServiceAddress, loopback[0]},
		Server:    true,
	}
	return []clusterLeaf{
		{ClusterCACert, APIServerCert, APIServerKey, apiServer},
		{ClusterCACert, KonnectivityServerCert, KonnectivityServerKey, Leaf{
			CommonName: "konnectivity-server", DNSNames: []string{names.FQDN}, Addresses: []netip.Addr{names.Address}, Server: true,
		}},
		// metrics-server runs in the cluster; the API server knows it by this.
		{ClusterCACert, MetricsServerCert, MetricsServerKey, Leaf{
			CommonName: "metrics-server", DNSNames: []string{"metrics-server.kube-system.svc"}, Server: true,
		}},
		{ClusterCACert, APIServerKubeletClientCert, APIServerKubeletClientKey, Leaf{
			CommonName: "kube-apiserver-kubelet-client", Organizations: []string{administrators}, Client: true,
		}},
		{ClusterCACert, ControllerManagerCert, ControllerManagerKey, Leaf{CommonName: "system:kube-controller-manager", Client: true}},
		{ClusterCACert, SchedulerCert, SchedulerKey, Leaf{CommonName: "system:kube-scheduler", Client: true}},
		{UserCACert, ServiceClientCert, ServiceClientKey, Leaf{
			CommonName: "berth", Organizations: []string{administrators}, Client: true,
		}},
		{FrontProxyCACert, FrontProxyClientCert, FrontProxyClientKey, Leaf{CommonName: "front-proxy-client", Client: true}},
		// etcd's server is a client of itself and its own peer.
		{EtcdCACert, EtcdServerCert, EtcdServerKey, Leaf{
			CommonName: "etcd", DNSNames: []string{"localhost"}, Addresses: loopback, Server: true, Client: true,
		}},
		{EtcdCACert, EtcdClientCert, EtcdClientKey, Leaf{CommonName: "kube-apiserver-etcd-client", Client: true}},
	}
}
