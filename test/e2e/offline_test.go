//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"berth.dev/berth/internal/naming"
)

// TestAHostWithoutAnyNetworkHasClusters starts a service where there is nothing
// but a loopback interface: no address and no route leads anywhere.
func TestAHostWithoutAnyNetworkHasClusters(t *testing.T) {
	i := installWithoutNetwork(t)
	i.must(t, "up", "--detach")
	i.must(t, "group", "create", "-n", "rg-alone")
	i.must(t, "aks", "create", "-g", "rg-alone", "-n", "alone", "-c", "1", "-s", "Standard_B2s")
	said := i.must(t, "aks", "command", "invoke", "-g", "rg-alone", "-n", "alone", "--command", "kubectl get nodes --no-headers")
	if !strings.Contains(said, " Ready ") {
		t.Errorf("the nodes are %s", said)
	}
	i.must(t, "group", "delete", "-n", "rg-alone", "--yes")
}

// installWithoutNetwork is an install whose every command runs in a network
// namespace of its own; all else is the host's.
func installWithoutNetwork(t *testing.T) *install {
	t.Helper()
	namespace := "berth-e2e-" + naming.Instance()
	for _, command := range [][]string{{"netns", "add", namespace}, {"-n", namespace, "link", "set", "lo", "up"}} {
		if said, err := exec.Command("ip", command...).CombinedOutput(); err != nil {
			t.Fatalf("ip %q: %v\n%s", command, err, said)
		}
	}
	t.Cleanup(func() {
		if said, err := exec.Command("ip", "netns", "delete", namespace).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, said)
		}
	})
	dir, err := os.MkdirTemp("", "berth-offline-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	mode(t, dir, 0o711)
	// ip netns exec would hide the control groups behind a /sys of its own.
	program := filepath.Join(dir, "berth")
	script := fmt.Sprintf("#!/bin/sh\nexec nsenter --net=/run/netns/%s %s \"$@\"\n", namespace, service.program)
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return newInstall(t, program, filepath.Join(dir, "home"))
}
