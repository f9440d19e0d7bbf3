package supervise

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestAChangedComponentStaysUntilWhatItsSuccessorNeedsIsThere(t *testing.T) {
	handle := newHandle(t)
	ensure(t, handle, sleeper("a"))
	before := observe(t, handle, "a", running)

	needed := filepath.Join(t.TempDir(), "needed")
	changed := shell("a", "exec sleep 1001")
	changed.Gate, changed.StayUntilOpen = &Probe{File: needed}, true
	ensure(t, handle, changed)
	observe(t, handle, "a", func(c ComponentStatus) bool { return c.Outdated && c.Waiting != "" })
	if now := observe(t, handle, "a", running); now.PID != before.PID {
		t.Fatalf("it was replaced by %d before its gate was open", now.PID)
	}
	if err := os.WriteFile(needed, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	observe(t, handle, "a", func(c ComponentStatus) bool { return running(c) && c.PID != before.PID && !c.Outdated })
}

func TestTheStatusNamesTheRevisionThatItSpeaksOf(t *testing.T) {
	handle := newHandle(t)
	for _, revision := range []string{"first", "second"} {
		if _, err := handle.Ensure(t.Context(), Spec{Components: []Component{sleeper("a")}, Revision: revision}); err != nil {
			t.Fatal(err)
		}
		eventually(t, 10*time.Second, func() error {
			status, _, err := handle.Status()
			if err == nil && status.Revision != revision {
				err = os.ErrNotExist
			}
			return err
		})
	}
}
