//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// cluster is a managed cluster made by a test.
type cluster struct {
	group, name string
	kubeconfig  string
}

// newCluster makes a cluster in a group of its own and removes both in the end.
func newCluster(t *testing.T, name string, flags ...string) *cluster {
	t.Helper()
	c := newClusterLater(t, name)
	must(t, append([]string{"aks", "create", "-g", c.group, "-n", c.name}, flags...)...)
	must(t, "aks", "get-credentials", "--admin", "-g", c.group, "-n", c.name, "-f", c.kubeconfig)
	return c
}

// newClusterLater makes the group alone; the caller makes the cluster in it.
func newClusterLater(t *testing.T, name string) *cluster {
	t.Helper()
	c := &cluster{group: "rg-" + name, name: name, kubeconfig: filepath.Join(t.TempDir(), "kubeconfig")}
	must(t, "group", "create", "-n", c.group, "-l", service.cloud.Location)
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(service.berth("support", "dump", "-f", filepath.Join(os.TempDir(), "berth-e2e-"+name+".tar.gz")))
		}
		if _, err := service.berth("group", "delete", "-n", c.group, "--yes"); err != nil {
			t.Error(err)
		}
	})
	return c
}

// kubectl runs the release's kubectl against the cluster.
func (c *cluster) kubectl(arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, service.kubectl, arguments...)
	command.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	return output(command)
}

// must runs a kubectl command that has to succeed.
func (c *cluster) must(t *testing.T, arguments ...string) string {
	t.Helper()
	printed, err := c.kubectl(arguments...)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(printed)
}

// applyText applies a manifest that the test has in its text.
func (c *cluster) applyText(t *testing.T, manifest string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "manifest.yaml")
	put(t, path, manifest)
	c.must(t, "apply", "-f", path)
}

// eventually runs a kubectl command again until it prints something that satisfies.
func (c *cluster) eventually(t *testing.T, within time.Duration, satisfies func(string) bool, arguments ...string) string {
	t.Helper()
	var printed string
	var err error
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		printed, err = c.kubectl(arguments...)
		if printed = strings.TrimSpace(printed); err == nil && satisfies(printed) {
			return printed
		}
	}
	t.Fatalf("kubectl %s: after %v still %q, %v", strings.Join(arguments, " "), within, printed, err)
	return ""
}

func notEmpty(s string) bool { return s != "" }
