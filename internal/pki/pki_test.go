package pki

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"
)

// now is the time of the tests.
func now() time.Time { return time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC) }

func names() ClusterNames {
	return ClusterNames{
		FQDN: "demo-12345678.hcp.local.berth.internal", Address: netip.MustParseAddr("198.18.0.16"),
		ServiceAddress: netip.MustParseAddr("10.0.0.1"),
	}
}

func newCluster(t *testing.T) map[string][]byte {
	t.Helper()
	files, err := NewCluster(names(), now())
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func parse(t *testing.T, certPEM []byte) *x509.Certificate {
	t.Helper()
	block, rest := pem.Decode(certPEM)
	if block == nil || len(rest) > 0 {
		t.Fatalf("%q is not one certificate", certPEM)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// verify says whether an authority vouches for a certificate in a role at a time.
func verify(t *testing.T, authority, certificate []byte, options x509.VerifyOptions) error {
	t.Helper()
	options.Roots = x509.NewCertPool()
	options.Roots.AddCert(parse(t, authority))
	_, err := parse(t, certificate).Verify(options)
	return err
}

// asServer is what a client asks of the server that it reached under a name.
func asServer(name string) x509.VerifyOptions {
	return x509.VerifyOptions{DNSName: name, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, CurrentTime: now()}
}

// asClient is what a server asks of a client at a time.
func asClient(at time.Time) x509.VerifyOptions {
	return x509.VerifyOptions{KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, CurrentTime: at}
}

func TestServersAreVerifiedUnderEachOfTheirNamesAndNoOther(t *testing.T) {
	files := newCluster(t)
	for _, server := range []struct {
		authority, certificate string
		names                  []string
	}{
		{ClusterCACert, APIServerCert, []string{
			"demo-12345678.hcp.local.berth.internal", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local", "localhost", "198.18.0.16", "10.0.0.1", "127.0.0.1",
		}},
		{ClusterCACert, KonnectivityServerCert, []string{"demo-12345678.hcp.local.berth.internal", "198.18.0.16"}},
		{EtcdCACert, EtcdServerCert, []string{"localhost", "127.0.0.1"}},
	} {
		for _, name := range server.names {
			if err := verify(t, files[server.authority], files[server.certificate], asServer(name)); err != nil {
				t.Errorf("%s as %s: %v", server.certificate, name, err)
			}
		}
		for _, name := range []string{"example.org", "198.18.0.17"} {
			if verify(t, files[server.authority], files[server.certificate], asServer(name)) == nil {
				t.Errorf("%s is also %s", server.certificate, name)
			}
		}
	}
}

func TestClientsAreWhoTheyAreUnderTheirOwnAuthorityAlone(t *testing.T) {
	files := newCluster(t)
	authorities := []string{ClusterCACert, UserCACert, FrontProxyCACert, EtcdCACert}
	for certificate, want := range map[string]struct {
		authority, name string
		groups          []string
	}{
		APIServerKubeletClientCert: {ClusterCACert, "kube-apiserver-kubelet-client", []string{"system:masters"}},
		ControllerManagerCert:      {ClusterCACert, "system:kube-controller-manager", nil},
		SchedulerCert:              {ClusterCACert, "system:kube-scheduler", nil},
		ServiceClientCert:          {UserCACert, "berth", []string{"system:masters"}},
		FrontProxyClientCert:       {FrontProxyCACert, "front-proxy-client", nil},
		EtcdClientCert:             {EtcdCACert, "kube-apiserver-etcd-client", nil},
		EtcdServerCert:             {EtcdCACert, "etcd", nil},
	} {
		for _, authority := range authorities {
			err := verify(t, files[authority], files[certificate], asClient(now()))
			if (err == nil) != (authority == want.authority) {
				t.Errorf("%s under %s: %v", certificate, authority, err)
			}
		}
		subject := parse(t, files[certificate]).Subject
		if subject.CommonName != want.name || !slices.Equal(subject.Organization, want.groups) {
			t.Errorf("%s is %v", certificate, subject)
		}
	}
	for _, server := range []string{APIServerCert, KonnectivityServerCert} {
		if verify(t, files[ClusterCACert], files[server], asClient(now())) == nil {
			t.Errorf("%s may be used as a client's", server)
		}
	}
}

func TestEveryCertificateComesWithItsKey(t *testing.T) {
	files := newCluster(t)
	for _, name := range []string{
		"ca", "user-ca", "front-proxy-ca", "front-proxy-client", "etcd-ca", "etcd-server", "etcd-client", "apiserver",
		"apiserver-kubelet-client", "controller-manager", "scheduler", "konnectivity-server", "service",
	} {
		if _, err := tls.X509KeyPair(files[name+".crt"], files[name+".key"]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(files[EncryptionKey]) != 32 || len(files[ServiceAccountKey]) == 0 || len(files[ServiceAccountPub]) == 0 {
		t.Error("a key is missing")
	}
	if want := 2*14 + 3; len(files) != want {
		t.Errorf("%d files %v, want %d", len(files), slices.Sorted(maps.Keys(files)), want)
	}
}

func TestTwoClustersShareNothing(t *testing.T) {
	one, other := newCluster(t), newCluster(t)
	for name, content := range one {
		if bytes.Equal(content, other[name]) {
			t.Errorf("both have the same %s", name)
		}
	}
}

func TestAClusterWithoutANameIsRefused(t *testing.T) {
	if _, err := NewCluster(ClusterNames{FQDN: "a"}, now()); err == nil {
		t.Error("a cluster without addresses got a PKI")
	}
}

func TestAnAuthoritySurvivesStorage(t *testing.T) {
	made, err := NewAuthority("ca", now())
	if err != nil {
		t.Fatal(err)
	}
	key, err := made.KeyPEM()
	if err != nil {
		t.Fatal(err)
	}
	read, err := ParseAuthority(made.CertificatePEM(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, _, err := read.Issue(Leaf{CommonName: "c", Client: true}, now())
	if err != nil {
		t.Fatal(err)
	}
	if err := verify(t, made.CertificatePEM(), certificate, asClient(now())); err != nil {
		t.Error(err)
	}
}

func TestParsingRefusesWhatIsNoAuthority(t *testing.T) {
	files := newCluster(t)
	for name, pair := range map[string][2]string{
		"another's key":        {ClusterCACert, UserCAKey},
		"a leaf":               {APIServerCert, APIServerKey},
		"a key as certificate": {ClusterCAKey, ClusterCAKey},
		"no key":               {ClusterCACert, ClusterCACert},
		"nothing":              {"", ""},
	} {
		if _, err := ParseAuthority(files[pair[0]], files[pair[1]]); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
}

func TestCertificatesAreValidFromNowAndNoLongerThanTheirAuthority(t *testing.T) {
	authority, err := NewAuthority("ca", now())
	if err != nil {
		t.Fatal(err)
	}
	hour, _, err := authority.Issue(Leaf{CommonName: "c", Client: true, Validity: time.Hour}, now())
	if err != nil {
		t.Fatal(err)
	}
	for at, want := range map[time.Duration]bool{-time.Hour: false, 0: true, 59 * time.Minute: true, 61 * time.Minute: false} {
		if err := verify(t, authority.CertificatePEM(), hour, asClient(now().Add(at))); (err == nil) != want {
			t.Errorf("%v after now: %v", at, err)
		}
	}
	ages, _, err := authority.Issue(Leaf{CommonName: "c", Client: true, Validity: 2 * authorityValidity}, now())
	if err != nil {
		t.Fatal(err)
	}
	if end := parse(t, ages).NotAfter; end.After(parse(t, authority.CertificatePEM()).NotAfter) {
		t.Errorf("a certificate is valid until %v, longer than its authority", end)
	}
	if _, _, err := authority.Issue(Leaf{CommonName: "c"}, now()); err == nil {
		t.Error("a certificate for nothing was issued")
	}
}

func TestAKubeconfigIsReadBackAsItWasMeant(t *testing.T) {
	files := newCluster(t)
	data, err := Kubeconfig(KubeconfigOptions{
		Cluster: "demo", Server: "https://198.18.0.16:443", User: "clusterAdmin", CA: files[ClusterCACert],
		ClientCert: files[ServiceClientCert], ClientKey: files[ServiceClientKey], Token: "token",
	})
	if err != nil {
		t.Fatal(err)
	}
	config, err := clientcmd.RESTConfigFromKubeConfig(data)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://198.18.0.16:443" || config.BearerToken != "token" || !bytes.Equal(config.CAData, files[ClusterCACert]) ||
		!bytes.Equal(config.CertData, files[ServiceClientCert]) || !bytes.Equal(config.KeyData, files[ServiceClientKey]) {
		t.Errorf("config = %+v", config)
	}
}
