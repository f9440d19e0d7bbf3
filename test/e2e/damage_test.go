//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"berth.dev/berth/internal/backup/datastore"
	"berth.dev/berth/internal/pki"
)

// damagedObjects writes into the management API's etcd, past every check, what
// no definition allows of a cluster's objects. Nothing of the cluster may be
// lost by it, nobody else may notice, and with the right content all goes on.
func damagedObjects(t *testing.T, a, b *cluster) {
	content := must(t, "admin", "kubeconfig")
	admin := &cluster{kubeconfig: filepath.Join(t.TempDir(), "admin.kubeconfig")}
	put(t, admin.kubeconfig, content)
	object := a.object(t, admin)
	first := func(kind string) string {
		return admin.must(t, "get", kind, "-o", `jsonpath={.items[?(@.spec.clusterName=="`+object+`")].metadata.name}`)
	}
	before := survivors(t)
	d := openStore(t)
	d.damage(t, "managedclusters", object, func(o map[string]any) { o["spec"].(map[string]any)["tags"] = "none" })
	d.damage(t, "controlplanes", first("controlplanes"), func(o map[string]any) { delete(o, "status") })
	d.damage(t, "machines", first("machines"), func(o map[string]any) { o["spec"].(map[string]any)["index"] = "first" })
	d.damage(t, "agentpools", first("agentpools"), func(o map[string]any) {
		o["spec"].(map[string]any)["profile"].(map[string]any)["mode"] = "Strange"
	})

	unharmed := func(when string) {
		t.Helper()
		must(t, "aks", "nodepool", "update", "-g", b.group, "--cluster-name", b.name, "-n", "nodepool1", "--labels", "damage="+when)
		b.eventually(t, 30*time.Second, notEmpty, "get", "nodes", "-l", "damage="+when, "-o", "name")
		a.must(t, "exec", "client", "--", "/client", "connect", "kubernetes.default.svc.cluster.local:443")
		if after := survivors(t); after != before {
			t.Errorf("what ran before ran no more %s:\n%s\nand after:\n%s", when, before, after)
		}
	}
	unharmed("while-it-ran")
	killDaemon(t)
	must(t, "up", "--detach")
	unharmed("after-a-start")
	for _, request := range [][]string{
		{"aks", "show", "-g", a.group, "-n", a.name},
		{"aks", "scale", "-g", a.group, "-n", a.name, "-c", "2"},
	} {
		if said, err := service.berth(request...); err == nil || !strings.Contains(err.Error(), "cannot read its own record") {
			t.Errorf("%q of the damaged cluster: %s, %v", request, said, err)
		}
	}
	d.repair(t)
	must(t, "aks", "nodepool", "update", "-g", a.group, "--cluster-name", a.name, "-n", "nodepool1", "--labels", "damage=repaired")
	a.eventually(t, 30*time.Second, notEmpty, "get", "nodes", "-l", "damage=repaired", "-o", "name")
	unharmed("in-the-end")
}

// survivors are what the clusters' control planes and machines consist of.
func survivors(t *testing.T) string {
	t.Helper()
	var lines []string
	for _, p := range processes(t) {
		if place := p.place(); place == "cp" || place == "machine" && strings.Contains(p.command, " machine boot") {
			lines = append(lines, fmt.Sprintf("%s %s %d %s", place, p.name(), p.pid, p.start))
		}
	}
	return strings.Join(lines, "\n")
}

// store is the etcd of the service's own management API.
type store struct {
	client *clientv3.Client
	whole  map[string]string // what was there, by key
}

func openStore(t *testing.T) *store {
	t.Helper()
	var state struct {
		EtcdClientPort int `json:"etcdClientPort"`
	}
	dir := filepath.Join(service.home, "management")
	content, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(content, &state); err != nil {
		t.Fatal(err)
	}
	credential := func(name string) []byte {
		content, err := os.ReadFile(filepath.Join(dir, "pki", name))
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	client, err := datastore.Dial(datastore.Endpoint{
		Address: fmt.Sprintf("127.0.0.1:%d", state.EtcdClientPort),
		CA:      credential(pki.EtcdCACert), Certificate: credential(pki.EtcdClientCert), Key: credential(pki.EtcdClientKey),
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &store{client: client, whole: map[string]string{}}
	t.Cleanup(func() {
		s.repair(t)
		client.Close()
	})
	return s
}

// damage changes the stored object and remembers what it was.
func (s *store) damage(t *testing.T, kind, name string, change func(map[string]any)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	key := "/registry/containerservice.berth.dev/" + kind + "/" + name
	found, err := s.client.Get(ctx, key)
	if err != nil || len(found.Kvs) != 1 {
		t.Fatalf("reading %s: %v", key, err)
	}
	var object map[string]any
	if err := json.Unmarshal(found.Kvs[0].Value, &object); err != nil {
		t.Fatal(err)
	}
	change(object)
	changed, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	s.whole[key] = string(found.Kvs[0].Value)
	if _, err := s.client.Put(ctx, key, string(changed)); err != nil {
		t.Fatal(err)
	}
}

// repair writes back what was damaged.
func (s *store) repair(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for key, content := range s.whole {
		if _, err := s.client.Put(ctx, key, content); err != nil {
			t.Errorf("repairing %s: %v", key, err)
		}
		delete(s.whole, key)
	}
}
