//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"berth.dev/berth/internal/backup"
	"berth.dev/berth/internal/backup/datastore"
	"berth.dev/berth/internal/controlplane"
	"berth.dev/berth/internal/naming"
	"berth.dev/berth/internal/pki"
)

// manySecrets is how many Secrets are encrypted anew: more than one page of etcd.
const manySecrets = 700

func TestEverySecretIsEncryptedWithTheNewKeyAndWithTheOldOneNoMore(t *testing.T) {
	c := newCluster(t, "encrypt", "-c", "1", "-s", "Standard_B2s")
	c.makeSecrets(t)
	must(t, "aks", "backup", "create", "-g", c.group, "--cluster-name", c.name, "-n", "before")
	if key, values := c.secretsInEtcd(t); key != "key1" || len(values) < manySecrets {
		t.Fatalf("%d Secrets, the key is %s", len(values), key)
	}
	loop := startCaller(t, c)
	must(t, "aks", "rotate-encryption-key", "-g", c.group, "-n", c.name, "--yes")
	loop.end(t)
	rotated := c.encryptedWithOneKey(t)
	if rotated == "key1" {
		t.Fatal("the old key encrypts")
	}
	// What the backup holds was encrypted with a key that the cluster has forgotten.
	c.must(t, "delete", "secret", "s-1")
	must(t, "aks", "backup", "restore", "-g", c.group, "-n", "before", "--accept-loss", "--yes")
	if key := c.encryptedWithOneKey(t); key != rotated {
		t.Errorf("after the restore %s encrypts, before %s did", key, rotated)
	}
}

// makeSecrets makes Secrets whose content tells their name.
func (c *cluster) makeSecrets(t *testing.T) {
	t.Helper()
	var text strings.Builder
	for n := range manySecrets {
		fmt.Fprintf(&text, "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s-%d}\nstringData: {said: word-%d}\n", n, n)
	}
	file := filepath.Join(t.TempDir(), "secrets.yaml")
	if err := os.WriteFile(file, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	c.must(t, "create", "-f", file)
}

// encryptedWithOneKey asserts that every Secret is stored with the key that the
// cluster encrypts with, that it holds no other, and that they can be read.
func (c *cluster) encryptedWithOneKey(t *testing.T) string {
	t.Helper()
	key, values := c.secretsInEtcd(t)
	if len(values) < manySecrets {
		t.Errorf("%d Secrets are stored", len(values))
	}
	for name, value := range values {
		if want := "k8s:enc:secretbox:v1:" + key + ":"; !strings.HasPrefix(value, want) {
			t.Errorf("%s begins with %.40q, not with %q", name, value, want)
		}
	}
	for _, n := range []string{"1", "699"} {
		if got := c.must(t, "get", "secret", "s-"+n, "-o", "go-template={{.data.said | base64decode}}"); got != "word-"+n {
			t.Errorf("Secret %s says %q", n, got)
		}
	}
	return key
}

// secretsInEtcd reads what is stored of Secrets, past the API server, and the
// name of the only key that the cluster has.
func (c *cluster) secretsInEtcd(t *testing.T) (key string, values map[string]string) {
	t.Helper()
	var planes struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ EtcdPrefix string }
		}
	}
	if err := json.Unmarshal([]byte(manage(t, "get", "controlplanes", "-o", "json")), &planes); err != nil || len(planes.Items) != 1 {
		t.Fatalf("%d control planes: %v", len(planes.Items), err)
	}
	plane := planes.Items[0]
	var stored struct{ Data map[string][]byte }
	if err := json.Unmarshal([]byte(manage(t, "get", "secret", "-n", naming.SystemNamespace, naming.Credentials(plane.Metadata.Name), "-o", "json")), &stored); err != nil {
		t.Fatal(err)
	}
	keys, err := pki.EncryptionKeys(stored.Data[pki.EncryptionKey])
	if err != nil || len(keys) != 1 {
		t.Fatalf("the cluster has %d keys: %v", len(keys), err)
	}
	namespace := ""
	for _, p := range processes(t) {
		if p.name() == controlplane.Etcd && strings.Contains(p.cgroup, plane.Metadata.Name) {
			namespace = fmt.Sprintf("/proc/%d/ns/net", p.pid)
		}
	}
	client, err := datastore.Dial(datastore.Endpoint{
		Address: "127.0.0.1:2379", Namespace: namespace, CA: stored.Data[pki.EtcdCACert],
		Certificate: stored.Data[pki.EtcdClientCert], Key: stored.Data[pki.EtcdClientKey],
	})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	snapshot, err := datastore.Range{Client: client, Prefix: plane.Spec.EtcdPrefix}.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	values = map[string]string{}
	err = snapshot.Each(t.Context(), func(entry backup.Entry) error {
		if strings.HasPrefix(entry.Key, "/secrets/") {
			values[entry.Key] = string(entry.Value)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys[0].Name, values
}
