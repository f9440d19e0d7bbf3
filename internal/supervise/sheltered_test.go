package supervise

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// filePorts are ports whose state is in files: a supervisor under test is another process.
type filePorts struct{ dir string }

func (p filePorts) file(name string) string { return filepath.Join(p.dir, name) }

func (p filePorts) has(name string) bool {
	_, err := os.Stat(p.file(name))
	return err == nil
}

func (p filePorts) Close(uint16) error { return os.WriteFile(p.file("closed"), nil, 0o600) }

func (p filePorts) Seal(uint16) error { return os.WriteFile(p.file("sealed"), nil, 0o600) }

func (p filePorts) Open() error {
	if p.has("closed") {
		return os.Remove(p.file("closed"))
	}
	return nil
}

func (p filePorts) Silent(uint16, time.Duration) (bool, error) { return p.has("silent"), nil }
func (p filePorts) Listens(uint16) (bool, error)               { return p.has("listens"), nil }

func (p filePorts) set(t *testing.T, name string) {
	t.Helper()
	if err := os.WriteFile(p.file(name), nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestWhoConnectsToAComponentWaitsWhileItIsReplaced(t *testing.T) {
	handle := newHandle(t)
	ports := filePorts{dir: filepath.Join(handle.Dir, portsDir)}
	if err := os.Mkdir(ports.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	sheltered := func(command string) Component {
		c := shell("a", command)
		c.Shelter = &Shelter{Port: 10250, Until: ports.file("certificate"), UntilSaid: "it knows"}
		return c
	}
	ensure(t, handle, sheltered("echo it knows; exec sleep 1000"))
	before := observe(t, handle, "a", running)
	if ports.has("closed") {
		t.Error("its port is closed though nothing replaces it")
	}
	asked := time.Now()
	ensure(t, handle, sheltered("until [ -e "+ports.file("knows")+" ]; do sleep 0.01; done; echo now it knows; exec sleep 1001"))
	eventually(t, 5*time.Second, func() error { return stated(ports.has("closed"), "its port is open while it is replaced") })
	if now := observe(t, handle, "a", running); now.PID != before.PID && time.Since(asked) < shelterPatience {
		t.Error("it was ended while something went over its connections")
	}
	ports.set(t, "silent")
	observe(t, handle, "a", func(c ComponentStatus) bool { return running(c) && c.PID != before.PID })
	if !ports.has("sealed") {
		t.Error("it was ended while it could be asked over connections of before")
	}
	ports.set(t, "listens")
	time.Sleep(5 * shelterEvery) // it has looked by then, and nothing is to happen
	if !ports.has("closed") {
		t.Error("its port is open before it can serve")
	}
	ports.set(t, "certificate")
	time.Sleep(5 * shelterEvery)
	if !ports.has("closed") {
		t.Error("its port is open before it said what is waited for")
	}
	ports.set(t, "knows")
	eventually(t, 5*time.Second, func() error { return stated(!ports.has("closed"), "its port stays closed") })
}

func TestAComponentThatNeverFallsSilentIsReplacedAllTheSame(t *testing.T) {
	handle := newHandle(t)
	ports := filePorts{dir: filepath.Join(handle.Dir, portsDir)}
	if err := os.Mkdir(ports.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	ports.set(t, "listens")
	first, second := sleeper("a"), shell("a", "exec sleep 1001")
	first.Shelter, second.Shelter = &Shelter{Port: 1}, &Shelter{Port: 1}
	ensure(t, handle, first)
	before := observe(t, handle, "a", running)
	ensure(t, handle, second)
	eventually(t, 5*time.Second, func() error { return stated(ports.has("sealed"), "it is asked without end") })
	if observe(t, handle, "a", running).PID != before.PID {
		t.Error("it was ended before it could answer what came before")
	}
	observe(t, handle, "a", func(c ComponentStatus) bool { return running(c) && c.PID != before.PID })
	eventually(t, 5*time.Second, func() error { return stated(!ports.has("closed"), "its port stays closed") })
}

// stated is an error with a text unless something holds.
func stated(holds bool, otherwise string) error {
	if holds {
		return nil
	}
	return &os.PathError{Op: "looking", Path: otherwise, Err: os.ErrInvalid}
}
