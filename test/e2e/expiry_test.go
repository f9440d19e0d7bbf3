//go:build e2e

package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// Certificates that are about to end, or have ended, are made here: with the
// cluster's own authorities and other dates. The host's clock is left alone.

// renewedWhileItRuns gives a running cluster certificates that end within minutes,
// and expects that others serve before, with no request failing.
func (c *cluster) renewedWhileItRuns(t *testing.T) {
	loop := startCaller(t, c)
	begun := time.Now()
	end := begun.Add(2 * time.Minute)
	c.redate(t, begun.Add(-3*time.Minute), end) // a third of their life is left after 20 s
	shows := func(what string, within time.Duration, right func(notAfter time.Time) bool) {
		t.Helper()
		for deadline := time.Now().Add(within); !right(c.servedUntil(t)); time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the API server never shows %s: it is %v", what, c.servedUntil(t))
			}
		}
	}
	shows("the certificate that ends soon", 30*time.Second, func(notAfter time.Time) bool { return notAfter.Before(end.Add(time.Second)) })
	shows("a renewed one in time", time.Until(end), func(notAfter time.Time) bool { return notAfter.After(end.Add(time.Hour)) })
	t.Logf("renewed %v before the end", time.Until(end).Round(time.Second))
	loop.end(t)
}

// comesBackAfterTheirEnd stops a cluster, lets every certificate of it end while
// the service is down, those inside its node too, and starts it.
func (c *cluster) comesBackAfterTheirEnd(t *testing.T) {
	must(t, "aks", "stop", "-g", c.group, "-n", c.name)
	killDaemon(t)
	ended := time.Now().Add(-time.Hour)
	files := c.redate(t, ended.Add(-30*24*time.Hour), ended)
	c.redateInsideNode(t, files, ended.Add(-30*24*time.Hour), ended)
	must(t, "up", "--detach")
	must(t, "aks", "start", "-g", c.group, "-n", c.name)
	c.settledNodes(t, 1)
	var shown struct {
		Properties struct{ EarliestExpiry time.Time }
	}
	if err := json.Unmarshal([]byte(must(t, "aks", "show-certs", "-g", c.group, "-n", c.name, "-o", "json")), &shown); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(shown.Properties.EarliestExpiry); left < 300*24*time.Hour {
		t.Errorf("the first certificate ends in %v", left)
	}
	c.must(t, "run", "after", "--image=registry.k8s.io/pause", "--dry-run=server") // the API server admits
	c.eventually(t, time.Minute, func(printed string) bool { return printed == "" },
		"get", "secrets", "-n", "kube-system", "--field-selector", "type=bootstrap.kubernetes.io/token", "-o", "name")
	for _, machine := range strings.Fields(manage(t, "get", "machines", "-o", "name")) {
		manage(t, "wait", "--for=condition=Bootstrapped", "--timeout=60s", machine)
	}
}

// stored is the Secret of the only cluster with its files, and its name.
func (c *cluster) stored(t *testing.T) (name string, files map[string][]byte) {
	t.Helper()
	plane := strings.TrimPrefix(manage(t, "get", "controlplanes", "-o", "name"), "controlplane.containerservice.berth.dev/")
	if plane == "" || strings.Contains(plane, "\n") {
		t.Fatalf("the control planes are %q", plane)
	}
	name = naming.Credentials(plane)
	var secret struct{ Data map[string][]byte }
	if err := json.Unmarshal([]byte(manage(t, "get", "secret", "-n", naming.SystemNamespace, name, "-o", "json")), &secret); err != nil {
		t.Fatal(err)
	}
	return name, secret.Data
}

// redate gives every leaf of the cluster other dates, and returns its files.
func (c *cluster) redate(t *testing.T, from, to time.Time) map[string][]byte {
	t.Helper()
	name, files := c.stored(t)
	expiries, err := pki.Expiries(files)
	if err != nil {
		t.Fatal(err)
	}
	changed := map[string][]byte{}
	for _, leaf := range expiries {
		changed[leaf.Name] = redated(t, files, files[leaf.Name], from, to)
	}
	patch, err := json.Marshal(map[string]any{"data": changed})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "patch.json")
	put(t, file, string(patch))
	manage(t, "patch", "secret", "-n", naming.SystemNamespace, name, "--type=merge", "--patch-file", file)
	return files
}

// redated is a certificate with other dates, signed by whichever of the cluster's
// authorities signed it.
func redated(t *testing.T, files map[string][]byte, certificate []byte, from, to time.Time) []byte {
	t.Helper()
	leaf := parsed(t, certificate)
	for _, name := range []string{pki.ClusterCACert, pki.UserCACert, pki.FrontProxyCACert, pki.EtcdCACert} {
		signer := parsed(t, files[name])
		if leaf.CheckSignatureFrom(signer) != nil {
			continue
		}
		block, _ := pem.Decode(files[strings.TrimSuffix(name, ".crt")+".key"])
		key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		again := *leaf
		again.NotBefore, again.NotAfter, again.SerialNumber = from, to, big.NewInt(time.Now().UnixNano())
		der, err := x509.CreateCertificate(rand.Reader, &again, signer, leaf.PublicKey, key.(crypto.Signer))
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	t.Fatalf("no authority of the cluster signed %s", leaf.Subject)
	return nil
}

func parsed(t *testing.T, file []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(file)
	if block == nil {
		t.Fatal("there is no certificate")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// redateInsideNode gives what the kubelet of the only node, which is stopped, keeps
// on its disk other dates.
func (c *cluster) redateInsideNode(t *testing.T, files map[string][]byte, from, to time.Time) {
	t.Helper()
	disks, err := filepath.Glob(filepath.Join(service.home, "machines", "*", "disk"))
	if err != nil || len(disks) != 1 {
		t.Fatalf("the disks are %v: %v", disks, err)
	}
	mounted := t.TempDir()
	if printed, err := exec.Command("mount", "-o", "loop", disks[0], mounted).CombinedOutput(); err != nil {
		t.Fatalf("mounting the node's disk: %v\n%s", err, printed)
	}
	defer func() {
		if printed, err := exec.Command("umount", mounted).CombinedOutput(); err != nil {
			t.Fatalf("unmounting the node's disk: %v\n%s", err, printed)
		}
	}()
	found := 0
	err = filepath.WalkDir(mounted, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type() != 0 || !strings.HasPrefix(filepath.Base(filepath.Dir(path)), "pki-") || filepath.Ext(path) != ".pem" {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found++
		// The client's pair has its key behind the certificate, and so has the server's.
		_, key, there := strings.Cut(string(content), "-----END CERTIFICATE-----\n")
		if !there {
			return errors.New(path + " holds no pair")
		}
		return os.WriteFile(path, append(redated(t, files, content, from, to), key...), 0o600)
	})
	if err != nil || found < 2 {
		t.Fatalf("%d certificates inside the node: %v", found, err)
	}
}

// servedUntil is when the certificate ends that the API server shows.
func (c *cluster) servedUntil(t *testing.T) time.Time {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	server, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	verified, err := rest.TLSConfigFor(config)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := tls.Dial("tcp", server.Host, verified)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0].NotAfter
}
