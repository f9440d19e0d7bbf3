package management

import (
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"berth.dev/berth/internal/pki"
	"berth.dev/berth/internal/supervise"
)

// components are the API's processes in start order.
func (s *Server) components(st state) []supervise.Component {
	work := filepath.Join(s.home.ManagementDir(), "work")
	etcd := supervise.Component{
		Name:    "etcd",
		Command: append([]string{s.binaries["etcd"]}, s.etcdFlags(st)...),
		Arg0:    "etcd",
		Dir:     work,
		// etcd writes every change through to the disk: it has nothing to lose by being stopped.
		StopTimeout: 5 * time.Second,
	}
	apiServer := supervise.Component{
		Name:        "kube-apiserver",
		Command:     append([]string{s.binaries["kube-apiserver"]}, s.apiServerFlags(st)...),
		Arg0:        "kube-apiserver",
		Env:         []string{supervise.NoMemoryProfile},
		Dir:         work,
		Gate:        &supervise.Probe{TCP: fmt.Sprintf("127.0.0.1:%d", st.EtcdClientPort)},
		StopTimeout: 5 * time.Second,
	}
	return []supervise.Component{etcd, apiServer}
}

func (s *Server) etcdFlags(st state) []string {
	client := fmt.Sprintf("https://127.0.0.1:%d", st.EtcdClientPort)
	peer := fmt.Sprintf("https://127.0.0.1:%d", st.EtcdPeerPort)
	return []string{
		"--name=management",
		"--data-dir=" + s.home.ManagementData(),
		"--listen-client-urls=" + client,
		"--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer,
		"--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=management=" + peer,
		"--initial-cluster-token=" + s.home.Prefix(),
		"--client-cert-auth",
		"--trusted-ca-file=" + s.credential(pki.EtcdCACert),
		"--cert-file=" + s.credential(pki.EtcdServerCert),
		"--key-file=" + s.credential(pki.EtcdServerKey),
		"--peer-client-cert-auth",
		"--peer-trusted-ca-file=" + s.credential(pki.EtcdCACert),
		"--peer-cert-file=" + s.credential(pki.EtcdServerCert),
		"--peer-key-file=" + s.credential(pki.EtcdServerKey),
		"--tls-min-version=TLS1.2",
		"--snapshot-count=10000",
		"--log-level=warn",
	}
}

func (s *Server) apiServerFlags(st state) []string {
	return []string{
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1", // or it looks for a default route, and ends on a host that has none
		fmt.Sprintf("--secure-port=%d", st.APIServerPort),
		fmt.Sprintf("--etcd-servers=https://127.0.0.1:%d", st.EtcdClientPort),
		"--etcd-cafile=" + s.credential(pki.EtcdCACert),
		"--etcd-certfile=" + s.credential(pki.EtcdClientCert),
		"--etcd-keyfile=" + s.credential(pki.EtcdClientKey),
		"--encryption-provider-config=" + s.credential(encryptionConfigFile),
		"--client-ca-file=" + s.credential(pki.UserCACert),
		"--tls-cert-file=" + s.credential(pki.APIServerCert),
		"--tls-private-key-file=" + s.credential(pki.APIServerKey),
		"--tls-min-version=VersionTLS12",
		"--authorization-mode=RBAC",
		"--anonymous-auth=false",
		// Nobody uses service-account tokens here, but the API server wants to know who would sign them.
		"--service-account-issuer=https://management.berth.internal",
		"--service-account-key-file=" + s.credential(pki.ServiceAccountPub),
		"--service-account-signing-key-file=" + s.credential(pki.ServiceAccountKey),
		"--max-requests-inflight=400",
		"--max-mutating-requests-inflight=200",
		"--enable-priority-and-fairness=false", // one administrator: the two limits above are all there is to share
		"--endpoint-reconciler-type=none",      // no pod looks for the service "kubernetes"
		"--runtime-config=" + strings.Join(servedAPIs(), ","),
		"--disable-admission-plugins=" + strings.Join(idlePlugins(), ","),
		"--profiling=false",
		"--v=1",
	}
}

// servedAPIs are the groups that Berth, or the API server itself, uses. Without
// the other thirty it starts in 2.4 s instead of 3.3 and needs 60 MB less.
func servedAPIs() []string {
	served := []string{"api/all=false", "api/v1=true"}
	for _, group := range []string{
		"admissionregistration.k8s.io", "apiextensions.k8s.io", "apiregistration.k8s.io", "authentication.k8s.io", "authorization.k8s.io",
		"coordination.k8s.io", "discovery.k8s.io", "events.k8s.io", "networking.k8s.io", "rbac.authorization.k8s.io",
	} {
		served = append(served, group+"/v1=true")
	}
	return served
}

// idlePlugins are the default admission plugins that speak of pods, volumes,
// certificates and quotas, of which there are none.
func idlePlugins() []string {
	return []string{
		"CertificateApproval", "CertificateSigning", "CertificateSubjectRestriction", "ClusterTrustBundleAttest", "DefaultIngressClass",
		"DefaultStorageClass", "DefaultTolerationSeconds", "LimitRanger", "PersistentVolumeClaimResize", "PodSecurity", "Priority",
		"ResourceQuota", "RuntimeClass", "ServiceAccount", "StorageObjectInUseProtection", "TaintNodesByCondition",
	}
}
