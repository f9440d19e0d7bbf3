package supervise

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestManyCallersStartOneSupervisor(t *testing.T) {
	handle := newHandle(t)
	var callers sync.WaitGroup
	for range 8 {
		callers.Go(func() {
			if _, err := handle.Ensure(context.Background(), Spec{Components: []Component{sleeper("a")}}); err != nil {
				t.Error(err)
			}
			if _, lives, err := handle.Status(); err != nil || !lives {
				t.Errorf("Status() after Ensure() = %v, %v", lives, err)
			}
		})
	}
	callers.Wait()
	observe(t, handle, "a", running)
	log, err := os.ReadFile(logPath(handle.Dir, "supervisor"))
	if got := strings.Count(string(log), "msg=started"); err != nil || got != 1 {
		t.Errorf("the component was started %d times (%v):\n%s", got, err, log)
	}
}

func TestSpecsThatMakeNoSenseAreRefused(t *testing.T) {
	bad := map[string]Component{
		"a name that is a path":      {Name: "../a", Command: []string{"/bin/true"}},
		"the supervisor's own name":  {Name: "supervisor", Command: []string{"/bin/true"}},
		"a relative command":         {Name: "a", Command: []string{"true"}},
		"no command":                 {Name: "a"},
		"a gate without a condition": {Name: "a", Command: []string{"/bin/true"}, Gate: &Probe{}},
		"a gate with two conditions": {Name: "a", Command: []string{"/bin/true"}, Gate: &Probe{TCP: "a:1", File: "/x"}},
		"a gate in clear text":       {Name: "a", Command: []string{"/bin/true"}, Gate: &Probe{HTTPS: "http://a"}},
	}
	for name, component := range bad {
		if _, err := (Handle{Dir: t.TempDir()}).Ensure(context.Background(), Spec{Components: []Component{component}}); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	twice := Spec{Components: []Component{sleeper("a"), sleeper("a")}}
	if err := twice.Validate(); err == nil {
		t.Error("two components of one name were accepted")
	}
}

func TestADirectoryCannotLeadItsHandleElsewhere(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(outside, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	handle := newHandle(t)
	if err := os.Symlink(outside, filepath.Join(handle.Dir, SpecFile)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(filepath.Join(handle.Dir, StatusFile), 0o600); err != nil {
		t.Fatal(err)
	}
	ensure(t, handle, sleeper("a")) // and does not wait for the pipe
	observe(t, handle, "a", running)
	if got, err := os.ReadFile(outside); err != nil || string(got) != "precious" {
		t.Errorf("the file outside is %q, %v", got, err)
	}
	hostile := Handle{Dir: t.TempDir(), Program: handle.Program}
	if err := os.Symlink(outside, filepath.Join(hostile.Dir, LockFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := hostile.Ensure(context.Background(), Spec{}); err == nil {
		t.Error("a lock that is a link out of the directory was taken")
	}
}
