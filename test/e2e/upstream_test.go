//go:build e2e

package e2e

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"berth.dev/berth/internal/release"
)

// passesUpstreamsSpecs runs six of upstream's specs of sig-network, if they are
// built: compiling them takes as long as all else that a cold machine compiles.
// servicesFollow tries much of the same on every machine.
func (c *cluster) passesUpstreamsSpecs(t *testing.T, nodes int) {
	store, err := release.Open(release.Options{})
	if err != nil {
		t.Fatal(err)
	}
	version, _ := release.Resolve("")
	if _, built := store.LookupSuite(version.Version); !built {
		t.Skipf("upstream's tests of %s are not built: sudo make conformance VERSIONS=%s ARGS=\"-suite short\" builds and runs them", version.Version, version.Version)
	}
	program := filepath.Join(t.TempDir(), "conformance")
	if printed, err := exec.Command("go", "build", "-o", program, "berth.dev/berth/test/conformance").CombinedOutput(); err != nil {
		t.Fatalf("building the runner: %v\n%s", err, printed)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	outcomes := t.TempDir()
	command := exec.CommandContext(ctx, program, "-suite", "short", "-version", version.Version, "-workers", "3", "-dir", outcomes,
		"-home", service.home, "-kubeconfig", c.kubeconfig, "-nodes", strconv.Itoa(nodes))
	command.Dir = "../.."
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	command.WaitDelay = time.Minute
	printed, err := command.CombinedOutput()
	t.Logf("%s", printed)
	if err != nil {
		logs, _ := filepath.Glob(filepath.Join(outcomes, "*", "*.log"))
		for _, log := range logs {
			text, _ := os.ReadFile(log)
			t.Logf("%s\n%s", filepath.Base(log), text[max(0, len(text)-4000):])
		}
		t.Error(err)
	}
}
