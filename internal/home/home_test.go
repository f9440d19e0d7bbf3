package home

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

func notTaken(string) bool { return false }

func TestCreateMakesAHomeOnlyWhereItIsSafe(t *testing.T) {
	t.Run("mints the instance once and opens it again", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "home")
		first, err := Create(dir, notTaken)
		if err != nil {
			t.Fatal(err)
		}
		second, err := Create(dir, notTaken)
		if err != nil {
			t.Fatal(err)
		}
		opened, err := Open(dir)
		if err != nil {
			t.Fatal(err)
		}
		if first != second || first != opened || len(first.Instance) != 4 {
			t.Errorf("got %v, %v and %v", first, second, opened)
		}
	})
	t.Run("passes over an instance id that is taken", func(t *testing.T) {
		var refused string
		h, err := Create(filepath.Join(t.TempDir(), "home"), func(instance string) bool {
			if refused == "" {
				refused = instance
			}
			return instance == refused
		})
		if err != nil {
			t.Fatal(err)
		}
		if h.Instance == refused {
			t.Errorf("took the id %q that is in use", refused)
		}
	})
	t.Run("refuses a directory that holds something else", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(dir, notTaken); !errors.Is(err, ErrUnusable) {
			t.Errorf("got %v, want ErrUnusable", err)
		}
	})
	t.Run("refuses a directory that others may write to", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(dir, notTaken); !errors.Is(err, ErrUnusable) {
			t.Errorf("got %v, want ErrUnusable", err)
		}
	})
	t.Run("refuses a home of another layout", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "home")
		if _, err := Create(dir, notTaken); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "version"), []byte("2\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(dir, notTaken); !errors.Is(err, ErrUnusable) {
			t.Errorf("got %v, want ErrUnusable", err)
		}
	})
}

func TestOpenSaysThatThereIsNoInstall(t *testing.T) {
	if _, err := Open(t.TempDir()); !errors.Is(err, ErrNotFound) {
		t.Errorf("got %v, want ErrNotFound", err)
	}
}

func TestLockIsHeldByOneAtATime(t *testing.T) {
	h, err := Create(filepath.Join(t.TempDir(), "home"), notTaken)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := h.Lock(); !errors.Is(err, ErrLocked) {
		t.Errorf("the second lock: got %v, want ErrLocked", err)
	}
	if err := lock.Release(); err != nil {
		t.Fatal(err)
	}
	again, err := h.Lock()
	if err != nil {
		t.Fatalf("after the release: %v", err)
	}
	defer func() { _ = again.Release() }()
}

func TestInstallProgramKeepsEveryContentApart(t *testing.T) {
	h, err := Create(filepath.Join(t.TempDir(), "home"), notTaken)
	if err != nil {
		t.Fatal(err)
	}
	source := filepath.Join(t.TempDir(), "program")
	paths := map[string]bool{}
	for _, content := range []string{"one", "two", "one"} {
		if err := os.WriteFile(source, []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		path, err := h.InstallProgram(source)
		if err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != content {
			t.Errorf("%s holds %q, want %q", path, got, content)
		}
		paths[path] = true
	}
	if len(paths) != 2 {
		t.Errorf("got %d copies of two contents: %v", len(paths), paths)
	}
}

func TestRemoveLeavesNothingOfTheHome(t *testing.T) {
	h, err := Create(filepath.Join(t.TempDir(), "home"), notTaken)
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(h.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory is still there: %v", err)
	}
	if err := h.Remove(); !errors.Is(err, ErrNotFound) {
		t.Errorf("removing what is no home: got %v, want ErrNotFound", err)
	}
}

func TestDaemonIsAliveOnlyAsTheProcessItWas(t *testing.T) {
	startTime, err := ProcessStartTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if d := (Daemon{PID: os.Getpid(), StartTime: startTime}); !d.Alive() {
		t.Error("this process is not alive")
	}
	if d := (Daemon{PID: os.Getpid(), StartTime: startTime + 1}); d.Alive() {
		t.Error("a process of another start time is taken for this one")
	}
}

func TestAKilledDaemonRemainsUntilNothingOfItIsLeft(t *testing.T) {
	command := exec.Command("sleep", "1000")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	startTime, err := ProcessStartTime(command.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	d := Daemon{PID: command.Process.Pid, StartTime: startTime}
	if err := command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(5 * time.Second); d.Alive(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is alive 5 s after it was killed")
		}
	}
	if !d.Remains() { // a zombie, since nobody has waited for it
		t.Error("nothing remains of a process that nobody has waited for")
	}
	_ = command.Wait() // says that it was killed
	if d.Remains() {
		t.Error("it remains after its end")
	}
}

func TestAHomeThatIsHalfDeletedIsRefused(t *testing.T) {
	whole := func(t *testing.T) Home {
		h, err := Create(filepath.Join(t.TempDir(), "home"), notTaken)
		if err != nil {
			t.Fatal(err)
		}
		for _, dir := range []string{h.ManagementData(), filepath.Join(h.ControlPlanesDir(), "abcdefghij")} {
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(h.CloudFile(), []byte("{}"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Create(h.Dir, notTaken); err != nil {
			t.Fatalf("a whole home: %v", err)
		}
		return h
	}
	for name, lost := range map[string]func(Home) string{
		"the data of the management API": Home.ManagementDir,
		"the identity":                   Home.IdentityDir,
		"the version":                    func(h Home) string { return filepath.Join(h.Dir, versionFile) },
		"the instance's id":              func(h Home) string { return filepath.Join(h.Dir, instanceFile) },
	} {
		t.Run(name, func(t *testing.T) {
			h := whole(t)
			if err := os.RemoveAll(lost(h)); err != nil {
				t.Fatal(err)
			}
			if _, err := Create(h.Dir, notTaken); !errors.Is(err, ErrUnusable) {
				t.Errorf("got %v, want ErrUnusable", err)
			}
			if _, err := os.Stat(lost(h)); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the refusal made it anew: %v", err)
			}
		})
	}
}

func TestOfTwoWhoMakeAHomeAtOnceBothGetTheSame(t *testing.T) {
	for range 20 {
		dir := filepath.Join(t.TempDir(), "home")
		made := make(chan Home, 2)
		failed := make(chan error, 2)
		for range 2 {
			go func() {
				h, err := Create(dir, notTaken)
				made <- h
				failed <- err
			}()
		}
		first, second := <-made, <-made
		if err := errors.Join(<-failed, <-failed); err != nil || first != second {
			t.Fatalf("they got %v and %v, %v", first, second, err)
		}
	}
}
