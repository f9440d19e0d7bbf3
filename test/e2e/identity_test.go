//go:build e2e

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// foreignCertificates asks for certificates as a node may try to, for a name,
// an address and an identity that are not its own, and for its own as the
// positive control.
func (c *cluster) foreignCertificates(t *testing.T) {
	t.Helper()
	node := strings.TrimPrefix(c.must(t, "get", "nodes", "-o", "name"), "node/")
	address := c.must(t, "get", "nodes", "-o", "jsonpath={.items[0].status.addresses[?(@.type=='InternalIP')].address}")
	const serving, client = "kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"
	for _, try := range []struct {
		name, signer, subject, host, address, want string
	}{
		{"own-serving", serving, node, node, address, "Approved"},
		{"other-name", serving, node, "aks-other-00000000-vmss000000", address, "Denied"},
		{"other-address", serving, node, node, "10.224.0.99", "Denied"},
		{"other-subject", serving, "aks-other-00000000-vmss000000", node, address, "Denied"},
		{"own-client", client, node, "", "", "Approved"},
		{"other-client", client, "aks-other-00000000-vmss000000", "", "", "Denied"},
	} {
		request := certificateRequest{name: try.name, signer: try.signer, subject: try.subject, host: try.host, address: try.address}
		if err := c.requestCertificate(t, node, request); err != nil {
			// A request for another subject does not even come to exist: the API server's node restriction refuses it.
			if try.subject == node || !strings.Contains(err.Error(), "Forbidden") {
				t.Errorf("certificate request %s: %v", try.name, err)
			}
			continue
		}
		got := c.eventually(t, 10*time.Second, notEmpty, "get", "csr", try.name, "-o", "jsonpath={.status.conditions[*].type}")
		if got != try.want {
			t.Errorf("certificate request %s: %s, want %s", try.name, got, try.want)
		}
	}
}

type certificateRequest struct {
	name, signer, subject, host, address string
}

// requestCertificate creates a CertificateSigningRequest as a node would.
func (c *cluster) requestCertificate(t *testing.T, asNode string, request certificateRequest) error {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: "system:node:" + request.subject, Organization: []string{"system:nodes"}}}
	usages := "[\"digital signature\", \"client auth\"]"
	if request.host != "" {
		template.DNSNames, template.IPAddresses = []string{request.host}, []net.IP{net.ParseIP(request.address)}
		usages = "[\"digital signature\", \"server auth\"]"
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	encoded := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
	manifest := filepath.Join(t.TempDir(), request.name+".yaml")
	content := fmt.Sprintf("apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: %s}\nspec: {signerName: %s, request: %s, usages: %s}\n",
		request.name, request.signer, encoded, usages)
	if err := os.WriteFile(manifest, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = c.kubectl("create", "-f", manifest, "--as=system:node:"+asNode, "--as-group=system:nodes", "--as-group=system:authenticated")
	return err
}
