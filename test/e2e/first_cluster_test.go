//go:build e2e

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// sample is the manifest that the README deploys.
const sample = "../../examples/hello/web.yaml"

func TestAClusterServesAWebPageThroughItsPublicAddress(t *testing.T) {
	c := newCluster(t, "web", "-c", "1", "-s", "Standard_B2s")

	t.Run("its node is exactly its size", func(t *testing.T) {
		got := c.must(t, "get", "nodes", "-o", "jsonpath={.items[*].status.capacity.cpu} {.items[*].status.capacity.memory}")
		if want := "2 4Gi"; got != want {
			t.Errorf("capacity = %q, want %q", got, want)
		}
	})
	t.Run("its version is the one asked for", func(t *testing.T) {
		if got := c.must(t, "version"); !strings.Contains(got, "Server Version: v1.35.") {
			t.Errorf("kubectl version: %s", got)
		}
	})

	c.must(t, "apply", "-f", sample)
	address := c.eventually(t, 30*time.Second, notEmpty, "get", "service", "web", "-o", "jsonpath={.status.loadBalancer.ingress[0].ip}")
	c.must(t, "rollout", "status", "deployment/web", "--timeout=60s")

	t.Run("the host gets the page", func(t *testing.T) {
		if page := get(t, "http://"+address+"/"); !strings.Contains(page, "web") {
			t.Errorf("the page is %q", page)
		}
	})
	t.Run("the cluster's own pods get the page", func(t *testing.T) {
		c.client(t, "client")
		c.eventually(t, 20*time.Second, notEmpty, "exec", "client", "--", "/client", "get", "http://"+address+"/")
	})
	t.Run("names of services resolve in pods", func(t *testing.T) {
		c.eventually(t, 30*time.Second, notEmpty, "exec", "client", "--", "/client", "lookup", "web.default.svc.cluster.local")
	})
	t.Run("services of every kind are reached from where they should be", c.servesServices)
	t.Run("hundreds of services made at once are reached, and again when kube-proxy was killed", c.programsManyServices)
	t.Run("pods reach their API server", func(t *testing.T) {
		c.must(t, "exec", "client", "--", "/client", "connect", "kubernetes.default.svc.cluster.local:443")
	})
	t.Run("names of the install zone resolve in pods, and their server comes back", c.names)
	t.Run("logs, exec, cp and port-forward work with verification on", func(t *testing.T) {
		c.logsExecCopyForward(t)
	})
	t.Run("a node that asks for another's name or address is refused", func(t *testing.T) {
		c.foreignCertificates(t)
	})
	t.Run("its API server has one connection to its datastore, whatever kinds there are", c.asksOverOneConnection)
	t.Run("an API server that dies is back within two seconds", func(t *testing.T) {
		c.killedAPIServer(t)
	})
	t.Run("a restart of the service touches no cluster", func(t *testing.T) {
		c.restartedService(t, address)
	})
	t.Run("the pool scales out and in again", func(t *testing.T) {
		c.agree(t)
		must(t, "aks", "scale", "-g", c.group, "-n", c.name, "-c", "2")
		if got := c.must(t, "get", "nodes", "-o", "name"); strings.Count(got, "node/") != 2 {
			t.Errorf("nodes after scaling to 2: %s", got)
		}
		c.agree(t)
		c.servesOnTwoNodes(t)
		must(t, "aks", "nodepool", "scale", "-g", c.group, "--cluster-name", c.name, "-n", "nodepool1", "-c", "1")
		if got := c.must(t, "get", "nodes", "-o", "name"); strings.Count(got, "node/") != 1 {
			t.Errorf("nodes after scaling to 1: %s", got)
		}
		c.agree(t)
	})
	t.Run("a support dump has the logs of nodes and no secret", func(t *testing.T) {
		c.dump(t)
	})
	t.Run("a second pool comes and goes", func(t *testing.T) {
		must(t, "aks", "nodepool", "add", "-g", c.group, "--cluster-name", c.name, "-n", "extra", "-c", "1", "-s", "Standard_B2s", "--mode", "User")
		if got := c.must(t, "get", "nodes", "-l", "kubernetes.azure.com/agentpool=extra", "-o", "name"); strings.Count(got, "node/") != 1 {
			t.Errorf("nodes of the second pool: %q", got)
		}
		c.agree(t)
		must(t, "aks", "nodepool", "delete", "-g", c.group, "--cluster-name", c.name, "-n", "extra", "--yes")
		if got := c.must(t, "get", "nodes", "-l", "kubernetes.azure.com/agentpool=extra", "-o", "name"); got != "" {
			t.Errorf("nodes of the deleted pool: %q", got)
		}
		c.agree(t)
	})
}

// client runs a pod of the client image that the tests talk from.
func (c *cluster) client(t *testing.T, name string) {
	t.Helper()
	c.must(t, "run", name, "--image=berth.internal/test/client:v1", "--restart=Never", "--command", "--", "/client", "sleep")
	c.must(t, "wait", "--for=condition=Ready", "pod/"+name, "--timeout=60s")
}

// get fetches a page, again for a few seconds while connections are refused.
func get(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Timeout: 2 * time.Second}
	var err error
	for deadline := time.Now().Add(15 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		var response *http.Response
		if response, err = client.Get(url); err != nil {
			continue
		}
		body, readErr := io.ReadAll(response.Body)
		response.Body.Close()
		if err = readErr; err == nil && response.StatusCode == http.StatusOK {
			return string(body)
		}
		err = fmt.Errorf("status %d: %s", response.StatusCode, body)
	}
	t.Fatalf("getting %s: %v", url, err)
	return ""
}

func (c *cluster) logsExecCopyForward(t *testing.T) {
	t.Helper()
	if got := c.must(t, "exec", "client", "--", "/client", "lookup", "web.default.svc.cluster.local"); got == "" {
		t.Error("exec printed nothing")
	}
	c.eventually(t, 10*time.Second, notEmpty, "logs", "deployment/web")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	forward := exec.CommandContext(ctx, service.kubectl, "port-forward", "--address", "127.0.0.1", "deployment/web", ":8080")
	forward.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	stdout, err := forward.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := forward.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { cancel(); _ = forward.Wait() }() // killed on purpose
	line := make([]byte, 256)
	n, err := stdout.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(string(line[:n]), "127.0.0.1:")
	port, _, _ = strings.Cut(port, " ")
	if page := get(t, "http://127.0.0.1:"+port+"/"); page == "" {
		t.Error("port-forward brought an empty page")
	}
	source := filepath.Join(t.TempDir(), "file")
	want := bytes.Repeat([]byte("berth\n"), 10_000)
	if err := os.WriteFile(source, want, 0o600); err != nil {
		t.Fatal(err)
	}
	c.must(t, "cp", source, "client:/tmp/file")
	back := filepath.Join(t.TempDir(), "back")
	c.must(t, "cp", "client:/tmp/file", back)
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the copied file came back with %d bytes, %v", len(got), err)
	}
}

// restartedService restarts the service and expects every process of the
// cluster to be the same, and the page to stay.
func (c *cluster) restartedService(t *testing.T, address string) {
	t.Helper()
	before, clustersBefore := pids(t)
	must(t, "restart")
	after, clustersAfter := pids(t)
	if before == after {
		t.Errorf("the service has pid %d as before: it was not restarted", after)
	}
	if clustersBefore != clustersAfter {
		t.Errorf("processes of clusters changed:\n%s\n%s", clustersBefore, clustersAfter)
	}
	get(t, "http://"+address+"/")
	must(t, "aks", "show", "-g", c.group, "-n", c.name)
}
