//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestTwoStartsAtOnceMakeOneService starts a service twice at the same moment on a
// home that is not there yet: both find the one that runs.
func TestTwoStartsAtOnceMakeOneService(t *testing.T) {
	parent, err := os.MkdirTemp("", "berth-two-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(parent) })
	mode(t, parent, 0o711)
	i := newInstall(t, service.program, filepath.Join(parent, "home"))
	var starts sync.WaitGroup
	for range 2 {
		starts.Go(func() {
			if said, err := i.berth("up", "--detach"); err != nil {
				t.Errorf("a start failed: %v\n%s", err, said)
			}
		})
	}
	starts.Wait()
	if status, err := i.status(); err != nil || status.PID == 0 {
		t.Errorf("the service is %+v, %v", status, err)
	}
}
