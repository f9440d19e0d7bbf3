//go:build e2e

package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestACommandOutlivesTheServiceThatStartedIt kills the service while a command
// runs in a cluster: it runs on, once, and its result is there afterwards.
func TestACommandOutlivesTheServiceThatStartedIt(t *testing.T) {
	c := newCluster(t, "command", "-c", "1", "-s", "Standard_B2s")
	type result struct {
		printed string
		err     error
	}
	ended := make(chan result, 1)
	go func() {
		printed, err := service.berth("aks", "command", "invoke", "-g", c.group, "-n", c.name, "-c",
			"kubectl create configmap ran -n default && until kubectl get configmap go -n default >/dev/null 2>&1; do sleep 1; done; echo once")
		ended <- result{printed, err}
	}()
	c.eventually(t, time.Minute, notEmpty, "get", "configmap", "ran", "-o", "name", "--ignore-not-found")
	killDaemon(t)
	must(t, "up", "--detach")
	c.must(t, "create", "configmap", "go")
	select {
	case r := <-ended:
		if r.err != nil || !strings.HasSuffix(r.printed, "created\nonce\n") {
			t.Errorf("printed %q, %v", r.printed, r.err)
		}
	case <-time.After(2 * time.Minute):
		t.Fatal("the command never ends")
	}
	c.eventually(t, 30*time.Second, func(s string) bool { return s == "" }, "get", "pods,secrets", "-n", "aks-command", "-o", "name")
}
