//go:build e2e

package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"berth.dev/berth/internal/pki"
)

// caller calls a cluster in a loop, as an old client: with the kubeconfig of
// before, over a new connection each time.
type caller struct {
	stopped chan struct{}
	done    sync.WaitGroup
	calls   int
	longest time.Duration
	failed  []string
}

// startCaller reads and writes through the API server until it is stopped.
func startCaller(t *testing.T, c *cluster) *caller {
	t.Helper()
	kubeconfig := filepath.Join(t.TempDir(), "old")
	data, err := os.ReadFile(c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kubeconfig, data, 0o600); err != nil {
		t.Fatal(err)
	}
	old := &cluster{kubeconfig: kubeconfig}
	loop := &caller{stopped: make(chan struct{})}
	loop.done.Go(func() {
		for {
			select {
			case <-loop.stopped:
				return
			default:
			}
			loop.calls++
			begun := time.Now()
			printed, err := old.kubectl("create", "configmap", "called", "--from-literal=a=b", "--dry-run=server", "-o", "name")
			if err == nil {
				printed, err = old.kubectl("create", "token", "default", "--request-timeout=10s")
			}
			if err != nil {
				loop.failed = append(loop.failed, time.Now().Format(time.TimeOnly)+" "+printed+" "+err.Error())
			}
			loop.longest = max(loop.longest, time.Since(begun))
		}
	})
	return loop
}

// end stops the calls and asserts that none failed.
func (l *caller) end(t *testing.T) {
	t.Helper()
	close(l.stopped)
	l.done.Wait()
	t.Logf("%d rounds of calls, of which the longest took %v", l.calls, l.longest)
	if len(l.failed) > 0 || l.calls == 0 {
		t.Errorf("%d of %d calls failed:\n%s", len(l.failed), l.calls, strings.Join(l.failed, "\n"))
	}
}

// mountedEverywhere asserts that every bundle that a pod has mounted holds the
// authority that signs.
func (c *cluster) mountedEverywhere(t *testing.T) {
	t.Helper()
	authority := strings.TrimSpace(must(t, "aks", "show-certs", "-g", c.group, "-n", c.name, "--query", "properties.authority", "-o", "tsv"))
	mounted := 0
	for _, p := range processes(t) {
		if p.name() != "kubelet" {
			continue
		}
		bundles, err := filepath.Glob(fmt.Sprintf("/proc/%d/root/var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/*/ca.crt", p.pid))
		if err != nil {
			t.Fatal(err)
		}
		for _, bundle := range bundles {
			content, err := os.ReadFile(bundle)
			if err != nil {
				t.Fatal(err)
			}
			mounted++
			if ids := pki.AuthorityIDs(content); !slices.Contains(ids, authority) {
				t.Errorf("the old authorities retired, and %s holds %v, not %s", bundle, ids, authority)
			}
		}
	}
	if mounted < 4 {
		t.Errorf("only %d bundles are mounted: the test looks in the wrong place", mounted)
	}
}

// crossed is the former identity under the present authorities: what is left of
// it is what the API server thinks of the former certificate.
func (c *cluster) crossed(t *testing.T, former []byte) *cluster {
	t.Helper()
	old, err := clientcmd.Load(former)
	if err != nil {
		t.Fatal(err)
	}
	now, err := clientcmd.LoadFromFile(c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	now.AuthInfos[now.Contexts[now.CurrentContext].AuthInfo] = old.AuthInfos[old.Contexts[old.CurrentContext].AuthInfo]
	crossed := &cluster{kubeconfig: filepath.Join(t.TempDir(), "crossed")}
	if err := clientcmd.WriteToFile(*now, crossed.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return crossed
}

func TestARotationFailsNoRequestOfAnOldClientUntilTheOldAuthoritiesRetire(t *testing.T) {
	c := newCluster(t, "rotate", "-c", "2", "-s", "Standard_B2s")
	former, err := os.ReadFile(c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	within := startInside(t, c)
	loop := startCaller(t, c)
	started := time.Now()
	must(t, "aks", "rotate-certs", "-g", c.group, "-n", c.name, "--grace-period", "15s", "--yes")
	took := time.Since(started)
	loop.end(t)
	within.end(t)
	if took > time.Minute {
		t.Errorf("the rotation took %v", took)
	}
	t.Logf("the rotation took %v", took)

	must(t, "aks", "get-credentials", "--admin", "-g", c.group, "-n", c.name, "-f", c.kubeconfig, "--overwrite-existing")
	later := startCaller(t, c)
	for deadline := time.Now().Add(3 * time.Minute); !c.retired(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			t.Fatal("the old authorities never retired")
		}
	}
	c.mountedEverywhere(t)
	must(t, "aks", "get-credentials", "--admin", "-g", c.group, "-n", c.name, "-f", c.kubeconfig, "--overwrite-existing")
	c.must(t, "wait", "--for=condition=Ready", "nodes", "--all", "--timeout=60s")

	crossed := c.crossed(t, former)
	refusedBy := func(of *cluster, why string) {
		t.Helper()
		var printed string
		var err error
		for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(time.Second) { // until the API server was handed over
			if printed, err = of.kubectl("get", "namespaces"); err != nil && strings.Contains(printed+err.Error(), why) {
				return
			}
		}
		t.Errorf("what the retired authorities signed is not refused with %q: %s %v", why, printed, err)
	}
	refusedBy(crossed, "Unauthorized")
	old := &cluster{kubeconfig: filepath.Join(t.TempDir(), "former")}
	if err := os.WriteFile(old.kubeconfig, former, 0o600); err != nil {
		t.Fatal(err)
	}
	refusedBy(old, "x509")
	later.end(t)
}

func TestKeysAndCertificatesEndWithoutAnybodyBeingCutOff(t *testing.T) {
	c := newCluster(t, "keys", "-c", "1", "-s", "Standard_B2s")
	t.Run("the service-account key", c.retiresTheServiceAccountKey)
	t.Run("certificates of a cluster that runs", c.renewedWhileItRuns)
	t.Run("certificates of a cluster that is stopped", c.comesBackAfterTheirEnd)
}

// retiresTheServiceAccountKey expects that tokens of the former key are accepted
// until it retires.
func (c *cluster) retiresTheServiceAccountKey(t *testing.T) {
	token := strings.TrimSpace(c.must(t, "create", "token", "default", "--duration=1h"))
	as := func(token string) string {
		printed, err := c.kubectl("create", "--raw", "/apis/authentication.k8s.io/v1/tokenreviews", "-f", review(t, token))
		if err != nil {
			t.Fatal(err)
		}
		return printed
	}
	must(t, "aks", "rotate-service-account-keys", "-g", c.group, "-n", c.name, "--grace-period", "10s", "--yes")
	if keys := strings.Count(c.must(t, "get", "--raw", "/openid/v1/jwks"), `"kid"`); keys != 2 {
		t.Errorf("%d keys are published", keys)
	}
	if said := as(token); !strings.Contains(said, `"authenticated":true`) {
		t.Errorf("a token of the former key: %s", said)
	}
	fresh := strings.TrimSpace(c.must(t, "create", "token", "default"))
	if header(t, fresh) == header(t, token) {
		t.Error("the former key still signs")
	}
	for deadline := time.Now().Add(time.Minute); !strings.Contains(as(token), "error"); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			t.Fatal("a token of the retired key is accepted")
		}
	}
	if said := as(fresh); !strings.Contains(said, `"authenticated":true`) {
		t.Errorf("a token of the new key: %s", said)
	}
}

// review writes a review of a token to a file.
func review(t *testing.T, token string) string {
	t.Helper()
	data, err := json.Marshal(map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": map[string]string{"token": token},
	})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "review.json")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// header is the part of a token that names its key.
func header(t *testing.T, token string) string {
	t.Helper()
	part, _, _ := strings.Cut(token, ".")
	data, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
