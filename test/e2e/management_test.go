//go:build e2e

package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// agree asserts that ARM and the objects of the management API tell the same
// of the cluster's pools, as an operator sees them.
func (c *cluster) agree(t *testing.T) {
	t.Helper()
	content := must(t, "admin", "kubeconfig")
	admin := &cluster{kubeconfig: filepath.Join(t.TempDir(), "admin.kubeconfig")}
	if err := os.WriteFile(admin.kubeconfig, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	list := must(t, "aks", "nodepool", "list", "-g", c.group, "--cluster-name", c.name,
		"--query", "[].[name, provisioningState]", "-o", "tsv")
	want := strings.Fields(list)
	// The pools' controller hears of the operation's end a moment after ARM's client does.
	admin.eventually(t, 5*time.Second, func(printed string) bool {
		got := strings.Fields(printed)
		if len(got) != len(want) {
			return false
		}
		told := map[string]string{}
		for i := 0; i < len(got); i += 2 {
			told[got[i]] = got[i+1]
		}
		for i := 0; i < len(want); i += 2 {
			if told[want[i]] != want[i+1] || want[i+1] != "Succeeded" {
				return false
			}
		}
		return true
	}, "get", "agentpools", "-o", `jsonpath={range .items[?(@.spec.clusterName=="`+c.object(t, admin)+`")]}{.spec.profile.name} {.status.provisioningState}{"\n"}{end}`)
}

// dump asserts that a support dump has what the components in a node wrote, and
// none of the secrets that this test knows.
func (c *cluster) dump(t *testing.T) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "dump.tar.gz")
	must(t, "support", "dump", "-f", path)
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	compressed, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	sizes := map[string]int{}
	entries := tar.NewReader(compressed)
	for header, err := entries.Next(); !errors.Is(err, io.EOF); header, err = entries.Next() {
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(entries)
		if err != nil {
			t.Fatal(err)
		}
		if filepath.Base(filepath.Dir(header.Name)) == "inside" {
			// An agent of konnectivity is named after the authority that it trusts.
			name, _, _ := strings.Cut(filepath.Base(header.Name), "-agent-")
			sizes[strings.TrimSuffix(name, ".log")] += len(content)
		}
		if bytes.Contains(content, []byte(service.cloud.ClientSecret)) || bytes.Contains(content, []byte("PRIVATE KEY")) {
			t.Errorf("%s has a secret in it", header.Name)
		}
	}
	for _, component := range []string{"containerd", "kubelet", "kube-proxy", "konnectivity"} {
		if sizes[component] == 0 {
			t.Errorf("the log of %s is not in the dump, which has %v of nodes", component, sizes)
		}
	}
}

// object is the name of the cluster's object in the management API.
func (c *cluster) object(t *testing.T, admin *cluster) string {
	t.Helper()
	return admin.must(t, "get", "managedclusters", "-o",
		`jsonpath={.items[?(@.spec.resourceGroup=="`+c.group+`")].metadata.name}`)
}
